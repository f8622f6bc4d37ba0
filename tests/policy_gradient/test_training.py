"""Training as a function: over seeds, over sweeps, in chunks, evaluated exactly."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from policy_gradient import actor_critic, exact, ppo, reinforce, training
from policy_gradient.comparison.seeds import train_many
from policy_gradient.config import ActorCriticConfig, PPOConfig, ReinforceConfig
from policy_gradient.policies import policy_table, tabular_softmax

CHECKPOINTS = np.array([100, 1000, 2000])
ALGORITHMS = [
    (reinforce, ReinforceConfig(num_updates=20, num_episodes=8)),
    (actor_critic, ActorCriticConfig(num_updates=20, num_environments=4)),
    (ppo, PPOConfig(num_updates=20, num_environments=8, num_steps=16)),
]
each = pytest.mark.parametrize(("algorithm", "config"), ALGORITHMS)


@pytest.mark.slow
@each
def test_many_side_by_side_are_each_what_it_would_be_alone(small, algorithm, config):
    """Policies, and J in float64, after the last update that fits the checkpoint."""
    keys = jax.random.split(jax.random.key(0), 3)
    make = partial(algorithm.learner, small)
    many = train_many(keys, config, make, CHECKPOINTS, 100)
    steps = np.asarray(many.history.steps)
    assert (np.diff(steps) > 0).all()
    seed, c = 1, 1
    fitting = int((steps[seed] <= CHECKPOINTS[c]).sum())
    start_key, loop_key = jax.random.split(keys[seed])
    learner = make(config)
    state, history = training.loop(
        loop_key, learner.start(start_key), learner.update, fitting
    )
    table = policy_table(tabular_softmax(small), state.params, 4)
    assert_allclose(many.policies[seed, c], table, atol=2e-4)
    for mine, alone in zip(many.history, history, strict=True):
        assert_allclose(mine[seed, :fitting], alone, rtol=1e-2, atol=1e-4)
    for where in np.ndindex(3, len(CHECKPOINTS)):
        expected = exact.performance(small, many.policies[where])
        assert many.performance[where] == pytest.approx(expected, abs=1e-9)


@each
def test_every_history_has_its_diagnostics(small, algorithm, config):
    _, history = jax.jit(lambda key: algorithm.train(key, small, config))(
        jax.random.key(2)
    )
    assert_allclose(history.first_ratio, 1.0, atol=1e-5)
    assert (np.asarray(history.approx_kl) > 0).mean() > 0.9
    assert (np.asarray(history.gradient_norm) > 0).all()
    assert (np.asarray(history.entropy) > 0).all()
    assert (np.asarray(history.entropy) < np.log(3)).all()
    assert (np.asarray(history.explained_variance) <= 1.0).all()
    finished = np.asarray(history.episode_return)
    assert np.nanmin(finished) > -40
    assert np.nanmax(finished) < 40


@pytest.mark.slow
def test_the_sampled_return_is_the_exact_one_on_average(small):
    """A policy that hardly moves: 200 updates of 8 episodes, within 4 errors."""
    for algorithm, config in (ALGORITHMS[0], ALGORITHMS[2]):
        still = replace(config, num_updates=200, step_size=1e-9)
        _, history = jax.jit(lambda key, a=algorithm, c=still: a.train(key, small, c))(
            jax.random.key(3)
        )
        returns = np.asarray(history.episode_return, np.float64)
        # The first episodes to stop are the short ones: leave the first rows out.
        returns = returns[50:][np.isfinite(returns[50:])]
        error = returns.std() / np.sqrt(len(returns))
        available = small.available / small.available.sum(-1, keepdims=True)
        truth = exact.performance(small, available)
        assert abs(returns.mean() - truth) < 4 * error + 0.02
        assert error < 0.15


def test_equal_settings_share_one_object_and_traced_ones_do_not():
    made = training.shared(lambda *settings: object())
    assert made(1, PPOConfig()) is made(1, PPOConfig())
    assert made(1, PPOConfig()) is not made(1, PPOConfig(clip=0.3))
    kept = []
    jax.vmap(lambda x: kept.extend([made(x), made(x)]) or x)(jnp.ones(2))
    assert kept[0] is not kept[1]
