"""DPO, against the optimum that the reward has in closed form."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.alternatives import dpo, loop
from lm_bandit.alternatives.config import DPOConfig
from lm_bandit.alternatives.dpo import dpo_loss
from lm_bandit.alternatives.loop import TuningState
from tests.lm_bandit.alternatives.conftest import BETA, assert_same_step, descending
from tests.lm_bandit.inputs import array
from tests.lm_bandit.oracles import summed_log_prob_gradient

compiled = jax.jit(jax.value_and_grad(dpo_loss))


def test_the_policy_is_judged_as_its_own_reward_model(rng):
    """exp(h) = (pi / pi_ref)^beta; the first wins with exp(h) / (exp(h) + exp(h'))."""
    (pi, ref), beta = rng.uniform(0.01, 0.6, (2, 2)), rng.uniform(0.1, 0.9)
    p = rng.uniform(0.05, 0.95)
    weights = (pi / ref) ** beta
    wins = weights[0] / weights.sum()
    expected = -p * np.log(wins) - (1 - p) * np.log(1 - wins)
    loss, _ = compiled(array(np.log(pi)), array(np.log(ref)), array(p), beta)
    assert_allclose(loss, expected, rtol=1e-4)


def test_at_the_optimum_of_rlhf_it_has_nothing_to_learn(rng):
    """pi* = pi_ref exp(r / beta) / Z, for any Z; at the reference the loss is log 2."""
    reference, rewards = -rng.uniform(1.0, 9.0, 2), np.array([1.5, -0.2])
    beta, log_z = rng.uniform(0.1, 0.9), rng.normal()
    p = 1 / (1 + np.exp(rewards[1] - rewards[0]))
    optimum = reference + rewards / beta - log_z
    _, slopes = compiled(array(optimum), array(reference), array(p), beta)
    assert_allclose(slopes, 0.0, atol=1e-5)
    loss, slopes = compiled(array(reference), array(reference), array(p), beta)
    assert_allclose(loss, np.log(2.0), rtol=1e-5)
    assert_allclose(slopes, [-beta * (p - 0.5), beta * (p - 0.5)], rtol=1e-3)


def test_long_texts_may_be_off_by_hundreds_of_nats():
    given = array([-900.0, -100.0]), array([-300.0, -300.0]), array(1.0)
    loss, slopes = compiled(*given, 0.5)
    assert_allclose(loss, 400.0, rtol=1e-5)
    assert_allclose(slopes, [-0.5, 0.5], rtol=1e-5)


@pytest.mark.slow
def test_an_update_weighs_pairs_by_how_wrong_the_implicit_reward_is(short_run, facts):
    """Rafailov et al. (2023), section 4: beta (p - sigmoid(m)) (grad y1 - grad y2).

    And online DPO leads towards the optimum.
    """
    config = descending(DPOConfig, 1 / BETA)(writer="policy")
    step, policy, pulls, share = short_run(dpo.train, config)
    known = list(facts(policy, pulls))
    weighted = []
    for first, second in zip(known[::2], known[1::2], strict=True):
        preferred = 1 / (1 + np.exp(second[2] - first[2]))
        believed = 1 / (1 + np.exp(BETA * (second[3] - first[3])))
        weight = (preferred - believed) / 16
        weighted += [(weight, *first[:2]), (-weight, *second[:2])]
    expected = summed_log_prob_gradient(policy, weighted)
    assert_same_step(step, expected)
    assert 0.8 < share < 1.0


@pytest.mark.parametrize("writer", ["reference", "policy"])
def test_the_pairs_are_written_by_the_reference_or_by_the_policy(
    writer, fixed, policy, monkeypatch
):
    def note(model, *_):
        raise StopIteration(model)

    monkeypatch.setattr(loop, "pull_and_score", note)
    state, key = TuningState(policy, None), jax.random.key(0)
    with pytest.raises(StopIteration) as stopped:
        dpo.update(state, key, fixed, 3, DPOConfig(writer=writer))
    expected = {"reference": fixed.reference, "policy": policy}[writer]
    assert stopped.value.value is expected


def test_pairs_that_do_not_come_out_even_are_refused():
    with pytest.raises(ValueError, match="2 must divide pulls = 9"):
        DPOConfig(pulls=9, minibatches=1)
