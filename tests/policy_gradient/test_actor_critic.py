"""Actor-critic: its estimates against sums by hand, its policy against the optimum."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mdp
from policy_gradient import actor_critic
from policy_gradient.advantages import n_step_advantages, td_errors
from policy_gradient.config import ActorCriticConfig
from policy_gradient.policies import tabular_softmax
from tests.policy_gradient.learning import shares_of_the_way


def test_with_a_full_trace_the_target_is_the_return_as_far_as_the_rows_go(
    three_episodes,
):
    """A2C: as many real rewards as there are, then the critic."""
    stacked = jax.tree.map(lambda x: x[None], three_episodes)
    full = actor_critic.estimate(stacked, ActorCriticConfig(trace_decay=1.0))
    none = actor_critic.estimate(stacked, ActorCriticConfig(trace_decay=0.0))
    assert_allclose(full.advantages, n_step_advantages(three_episodes, 11), rtol=1e-5)
    assert_allclose(none.advantages, td_errors(three_episodes), rtol=1e-6)
    for found in (full, none):
        targets = found.advantages + three_episodes.values
        assert_allclose(found.value_targets, targets, rtol=1e-6)


@pytest.mark.slow
def test_the_critic_learns_the_value_of_the_policy(small):
    """With an actor that stands still, TD(lambda) ends at v_pi, by the linear solve."""
    frozen = tabular_softmax(small)

    def apply(params, state):
        log_probs, value = frozen.apply(params, state)
        return jax.lax.stop_gradient(log_probs), value

    config = ActorCriticConfig(
        num_updates=1500, num_environments=64, step_size=0.02, value_weight=1.0
    )

    def learn(key):
        return actor_critic.train(key, small, config, frozen._replace(apply=apply))[0]

    keys = jax.random.split(jax.random.key(0), 3)
    values = jax.jit(jax.vmap(learn))(keys).values
    truth = mdp.evaluate(small, mdp.uniform_policy(small))
    assert_allclose(values[:, :3], np.tile(truth[:3], (3, 1)), atol=0.2)
    assert np.abs(truth[:3]).min() > 1.0


@pytest.mark.parametrize(
    ("num_steps", "trace_decay"),
    [(1, 1.0), pytest.param(8, 0.9, marks=pytest.mark.slow)],
    ids=str,
)
def test_it_learns_the_best_policy_of_a_small_world(small, num_steps, trace_decay):
    """One step and TD(lambda): share of the way > 0.9, on 3 of 3 seeds."""
    config = ActorCriticConfig(
        num_updates=400, num_steps=num_steps, trace_decay=trace_decay
    )

    def learn(key):
        return actor_critic.train(key, small, config)[0]

    keys = jax.random.split(jax.random.key(0), 3)
    shares = shares_of_the_way(learn, keys, small, tabular_softmax(small))
    assert all(share > 0.9 for share in shares)


def test_a_config_refuses_what_cannot_be():
    with pytest.raises(ValueError, match=r"trace_decay must be in \[0, 1\], got -0.1"):
        ActorCriticConfig(trace_decay=-0.1)
    with pytest.raises(ValueError, match="num_environments must be positive, got 0"):
        ActorCriticConfig(num_environments=0)
    with pytest.raises(ValueError, match="entropy_weight must not be negative, got -1"):
        ActorCriticConfig(entropy_weight=-1.0)
