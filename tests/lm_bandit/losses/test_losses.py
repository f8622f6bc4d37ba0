"""What a loss maximises: derivations against the enumeration of all groups."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lm_bandit.__main__ import main
from lm_bandit.losses import command, expected, own_loss
from lm_bandit.losses.expected import Update, by_jax
from lm_bandit.losses.known import BETA, KNOWN, top_k, top_p
from lm_bandit.losses.tiny import FIFTEEN, THREE
from mdp.interface.files import read_json

SUMS = [name for name, each in KNOWN.items() if each.climbs]
OTHERS = [name for name, each in KNOWN.items() if not each.climbs]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def test_the_bandits_hold_all_completions():
    assert THREE.names == ["<end>", "a <end>", "a a"]
    assert len(set(FIFTEEN.names)) == 15
    assert sorted(FIFTEEN.lengths) == [1] + 2 * [2] + 12 * [3]
    logits = FIFTEEN.points()[0].logits
    assert float(FIFTEEN.probabilities(logits).sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", SUMS)
def test_a_known_loss_climbs_what_its_derivation_says(name):
    """The derivations are in known.py; weights are equal at all points."""
    update, points = KNOWN[name].update(2), FIFTEEN.points()
    updates = np.concatenate([update(point) for point in points])
    gradients = expected.known_gradients(FIFTEEN, points)
    terms, rest = expected.explain(updates, gradients)
    assert rest < 1e-9
    assert terms == pytest.approx(KNOWN[name].terms(2), abs=1e-9)


def test_beta_of_a_known_loss_is_the_one_that_is_asked_for():
    updates = KNOWN["k1-in-reward"].update(2, kl_weight=0.3)(FIFTEEN.points()[0])
    gradients = expected.known_gradients(FIFTEEN, FIFTEEN.points()[:1])
    wanted = gradients["E[r]"] - 0.3 * gradients["KL(pi || ref)"]
    np.testing.assert_allclose(updates, wanted, atol=1e-12)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_losses_climb_no_sum_and_are_no_gradient(name):
    update, points = KNOWN[name].update(2), FIFTEEN.points()
    updates = np.concatenate([update(point) for point in points])
    _, rest = expected.explain(updates, expected.known_gradients(FIFTEEN, points))
    assert rest > 1e-3
    assert max(expected.curl(update.jacobian(point)) for point in points) > 1e-3


def test_the_update_is_the_mean_over_groups_one_by_one():
    """The groups of two of the small bandit, written out in a loop."""
    point = THREE.points()[0]
    update = KNOWN["k3-in-loss"].update(2, bandit=THREE)
    policy = np.asarray(THREE.token_log_probs(point.logits))
    reference = np.asarray(THREE.token_log_probs(point.reference))

    def mean_loss(logits):
        """The expected loss, with the probabilities of the groups held still."""
        total, now = 0.0, THREE.token_log_probs(logits)
        for i in range(3):
            for j in range(3):
                pair = np.array([i, j])
                k3 = jnp.exp(reference[pair] - now[pair]) - 1
                k3 = (k3 - (reference[pair] - now[pair])) * THREE.mask[pair]
                signs = (point.rewards[i] - point.rewards[j]) * jnp.array([1, -1])
                gain = jnp.dot(signs, now[pair].sum(1)) / 2
                prob = math.exp(policy[i].sum() + policy[j].sum())
                total += prob * (BETA * k3.sum() / 2 - gain)
        return total

    expected = -jax.grad(mean_loss)(point.logits).ravel()
    np.testing.assert_allclose(update(point), expected, atol=1e-12)


def test_the_variance_is_that_of_sampled_groups():
    """Mean and variance of 1,000 groups that are drawn: within 5 standard errors."""
    point, update = THREE.points()[0], KNOWN["leave-one-out"].update(2, bandit=THREE)
    probs = np.asarray(THREE.probabilities(point.logits))
    draws = np.random.default_rng(0).choice(3, size=(1000, 2), p=probs)
    score = np.asarray(jax.jacfwd(THREE.token_log_probs)(point.logits))
    score = score.sum(1).reshape(3, -1)  # grad log pi of each completion
    gaps = np.asarray(point.rewards)[draws] @ [1.0, -1.0]
    each = gaps[:, None] * (score[draws[:, 0]] - score[draws[:, 1]]) / 2
    errors = each.std(0) / math.sqrt(len(each))
    assert np.all(np.abs(each.mean(0) - update(point)) < 5 * errors + 1e-12)
    squares = np.sum((each - update(point)) ** 2, axis=1)
    error = squares.std() / math.sqrt(len(each))
    assert abs(squares.mean() - update.variance(point)) < 5 * error


def test_the_leash_of_k3_in_the_reward_vanishes_near_the_reference():
    """Of completions: grad KL(pi || ref) - grad KL(ref || pi) is of second order."""
    strength = expected.leash_strength(
        KNOWN["k3-of-completions-in-reward"].update(2), BETA, (0.1, 0.01, 0.001)
    )
    assert 0.0 < abs(strength[0]) < 0.1
    assert strength[1] / strength[0] == pytest.approx(0.1, rel=0.1)
    assert strength[2] / strength[1] == pytest.approx(0.1, rel=0.1)
    right = expected.leash_strength(KNOWN["k1-in-reward"].update(2), BETA)
    assert right == pytest.approx([1, 1, 1], abs=1e-6)


def test_following_the_right_loss_ends_at_the_optimum():
    end = expected.follow(KNOWN["rloo"].update(2), FIFTEEN.points()[0], BETA)
    assert end.at_rest
    assert end.share == pytest.approx(1.0, abs=1e-4)
    point = FIFTEEN.points()[0]
    reference = np.asarray(FIFTEEN.probabilities(point.reference))
    optimum = reference * np.exp(np.asarray(point.rewards) / BETA)
    np.testing.assert_allclose(end.policy, optimum / optimum.sum(), atol=1e-3)


def test_without_a_leash_the_policy_ends_on_one_completion():
    point = FIFTEEN.points()[0]
    end = expected.follow(KNOWN["leave-one-out"].update(2), point, BETA)
    assert not end.at_rest
    assert end.policy.max() > 0.99


def test_a_loss_that_moves_nothing_on_average_is_told_so():
    """k1 alone: E[grad log pi] = 0, and what is left is rounding."""
    update = Update(by_jax(lambda log_probs, *others: log_probs.sum()), size=2)
    points = FIFTEEN.points()
    updates = np.concatenate([update(point) for point in points])
    gradients = expected.known_gradients(FIFTEEN, points)
    assert expected.explain(updates, gradients) == ({}, 0.0)


def test_an_update_that_jumps_is_followed_for_a_while_only(monkeypatch):
    """The set of the two likeliest tokens changes at once, and the flow never rests."""
    monkeypatch.setattr(expected, "MOST", 100)
    end = expected.follow(KNOWN["top-k"].update(2), FIFTEEN.points()[0], BETA)
    assert not end.at_rest
    assert end.policy.sum() == pytest.approx(1.0)


def test_samplers_leave_tokens_out():
    logits = jnp.log(jnp.array([[0.5, 0.35, 0.15], [0.9, 0.06, 0.04]]))
    np.testing.assert_allclose(
        np.exp(top_k(logits))[0], [0.5 / 0.85, 0.35 / 0.85, 0], atol=1e-12
    )
    np.testing.assert_allclose(np.exp(top_p(logits))[1], [1, 0, 0], atol=1e-12)


def rewards_times_log_probs(log_probs, old, reference, mask, rewards):
    return -(rewards * (log_probs * mask).sum(1)).mean()


@pytest.mark.slow
def test_a_loss_in_numpy_has_the_update_of_the_same_loss_in_jax(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n\n"
        "def loss(log_probs, old, reference, mask, rewards):\n"
        "    return float(-np.mean(rewards * np.sum(log_probs * mask, axis=1)))\n"
    )
    name, update = own_loss.own_update(f"{file}:loss", 3)
    assert (name, update.size) == ("loss", 2)
    same = Update(by_jax(rewards_times_log_probs), size=2)
    point = FIFTEEN.points()[0]
    np.testing.assert_allclose(update(point), same(point), atol=1e-7)
    assert expected.curl(update.jacobian(point)) < command.TURNS, "it is a gradient"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return log_probs.sum(1)", r"one number, got an array of shape \(3,\)"),
        ("return np.nan * log_probs.sum()", "must return a finite number"),
        ("log_probs[0] = 0\n    return float(log_probs.sum())", "must not change"),
        ("return undefined", "NameError"),
        ("return None", "one number"),
        ("return 'low'", "one number"),
    ],
)
def test_a_wrong_loss_is_refused_in_one_line(tmp_path, body, message):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n\n"
        f"def loss(log_probs, old, reference, mask, rewards):\n    {body}\n"
    )
    with pytest.raises(ValueError, match=message) as error:
        own_loss.own_update(f"{file}:loss", 3)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("k3-of-completions-in-loss", "0.1 KL(ref || pi): the divergence is the other"),
        ("k1-in-loss", "ascends E[r]: nothing holds the policy near"),
        ("group-mean", "ascends 0.5 E[r]: nothing"),
        ("deviation", "is the gradient of nothing: it turns by"),
    ],
)
def test_the_verdict_names_it(name, sentence):
    update, points = KNOWN[name].update(2), FIFTEEN.points()
    updates = np.concatenate([update(point) for point in points])
    terms, rest = expected.explain(updates, expected.known_gradients(FIFTEEN, points))
    found = expected.Examination(
        terms=terms,
        unexplained=rest,
        curl=expected.curl(update.jacobian(points[0])),
        cosines=np.ones(1),
        groups_needed=1.0,
        leash=[],
        end=expected.End(np.ones(1), 1.0, 0.0, 1.0, True),
    )
    assert sentence in command.verdict(name, found)


@pytest.mark.slow  # it follows the update to its end
def test_the_command_shows_a_verdict_and_writes_its_files(tmp_path, capsys):
    with jax.enable_x64(False):  # as in the program
        assert main(["examine", "rloo", "--group", "2", "--out", str(tmp_path)]) == 0
    assert "that is J, with the right divergence" in " ".join(
        capsys.readouterr().out.split()
    )
    report = read_json(tmp_path / "rloo.json")
    assert report["end"]["share"] == pytest.approx(1.0, abs=1e-4)
    assert (tmp_path / "rloo.png").stat().st_size > 10_000


def test_the_command_lists_what_it_knows_and_refuses_the_rest(capsys):
    assert main(["examine"]) == 0
    assert "k3-in-reward" in capsys.readouterr().out
    assert main(["examine", "grop"]) != 0
    assert "LOSS must be one of sum," in capsys.readouterr().err
