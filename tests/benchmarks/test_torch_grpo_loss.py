"""Losses in torch, examined: TRL's own GRPO is ours, and a bad one is refused."""

import jax
import numpy as np
import pytest

from benchmarks import torch_grpo_loss
from lm_bandit.losses import command, expected, own_loss
from lm_bandit.losses.expected import Update, by_jax
from lm_bandit.losses.known import KNOWN
from lm_bandit.losses.tiny import FIFTEEN

torch = pytest.importorskip("torch", reason="torch comes with the benchmarks' extra")

TRL = f"{torch_grpo_loss.__file__}:loss"
HEAD = "import torch\n\ndef loss(log_probs, old, reference, mask, rewards):\n    "
PLAIN = "-(rewards * (torch.clone(log_probs) * mask).sum(1)).mean()"


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.slow  # TRL takes seconds to import
def test_the_loss_of_trl_is_ours_and_gets_the_same_verdict():
    pytest.importorskip("trl", reason="it comes with the benchmarks' extra")
    name, theirs = own_loss.own_update(TRL, 2)
    ours = KNOWN["grpo"].update(2)
    points, found = FIFTEEN.points(), []
    gradients = expected.known_gradients(FIFTEEN, points)
    for update in (theirs, ours):
        updates = np.concatenate([update(point) for point in points])
        terms, rest = expected.explain(updates, gradients)
        curl = expected.curl(update.jacobian(points[0]))
        end = expected.End(np.ones(1), 1.0, 0.0, 1.0, True)
        told = expected.Examination(terms, rest, curl, np.ones(1), 1.0, [], end)
        found.append((updates, command.verdict(name, told)))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-6)
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (f"return {PLAIN}", 3),  # of all groups in one call
        (f"return {PLAIN} if rewards.std() > 0 else {PLAIN}", 2),  # one by one
    ],
)
def test_a_loss_in_torch_has_the_update_of_the_same_loss_in_jax(tmp_path, body, size):
    (tmp_path / "mine.py").write_text(HEAD + body)
    _, update = own_loss.own_update(f"{tmp_path / 'mine.py'}:loss", 3)
    assert update.size == size
    same = Update(by_jax(rewards_times_log_probs), size=size)
    point = FIFTEEN.points()[0]
    np.testing.assert_allclose(update(point), same(point), atol=1e-12)


def rewards_times_log_probs(log_probs, old, reference, mask, rewards):
    return -(rewards * (log_probs * mask).sum(1)).mean()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return torch.exp(log_probs).sum(1)", r"one number, got .* \(3,\)"),
        ("return torch.log(-torch.exp(log_probs)).sum()", "finite number, got nan"),
        ("log_probs[0] = 0; return torch.exp(log_probs).sum()", "failed: .*in-place"),
        ("rewards -= 1; return torch.exp(log_probs).sum()", "it changes rewards"),
        ("return torch.exp(log_probs).detach().sum()", "must be differentiable"),
        ("return torch.exp(log_probs).sum().item()", "a tensor, .* got a float"),
        ("return torch.exp(log_probs).sum() * 1j", "a float, got .*complex"),
        ("return torch.exp(log_probz).sum()", "failed: NameError.*line 4, in loss"),
        ("return torch.sqrt(log_probs - log_probs).sum()", "gradient must be finite"),
    ],
)
def test_a_wrong_loss_in_torch_is_refused_in_one_line(tmp_path, body, message):
    (tmp_path / "mine.py").write_text(HEAD + body)
    with pytest.raises(ValueError, match=message) as error:
        own_loss.own_update(f"{tmp_path / 'mine.py'}:loss", 3)
    assert "\n" not in str(error.value)
