"""REINFORCE's sampled gradient, against the exact one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from policy_gradient import exact, reinforce
from policy_gradient.advantages import discounts_to_date
from policy_gradient.config import ReinforceConfig
from policy_gradient.policies import evaluator, tabular_softmax
from policy_gradient.rollout import to_jax
from policy_gradient.training import State
from tests.exercises.oracle import oracle
from tests.mdp import inputs as of_worlds
from tests.policy_gradient import inputs, oracles
from tests.policy_gradient.episodes import remembered_episodes
from tests.policy_gradient.learning import shares_of_the_way

EPISODES, BATCHES = 64, 400
VALUE_WEIGHT = 0.4  # of the critic's error in the loss


def sampled_gradients(small, params, baseline):
    """Independent gradient estimates, [batches, S, A], of 64 episodes each."""
    # The constant, and a critic that is wrong: any baseline must do.
    config = ReinforceConfig(
        num_episodes=EPISODES, time_limit=60, baseline=baseline, constant=-1.0
    )
    policy, table = tabular_softmax(small), to_jax(small)

    def estimate(key):
        rollout = reinforce.collect(params, key, table, policy, config)
        batch = reinforce.estimate(rollout.trajectory, config)
        gradient, _ = jax.grad(reinforce.loss, has_aux=True)(
            params, batch, evaluator(policy, 4), config
        )
        return -gradient.preferences

    keys = jax.random.split(jax.random.key(3), BATCHES)
    return np.asarray(jax.jit(jax.vmap(estimate))(keys), np.float64)


@pytest.fixture
def random_params(small):
    return jax.tree.map(jnp.asarray, inputs.tabular(small, 2)[1])


@pytest.mark.slow
def test_the_sampled_gradient_is_the_exact_one_within_its_standard_error(
    small, random_params
):
    """The mean of 25,600 episodes; the largest of 9 errors stays below 4 errors."""
    truth = exact.performance_gradient(small, tabular_softmax(small), random_params)
    estimates = sampled_gradients(small, random_params, "leave_one_out")
    error = estimates.std(0) / np.sqrt(BATCHES)
    free = small.available & (np.arange(4) < 3)[:, None]
    z_scores = (estimates.mean(0) - truth.preferences)[free] / error[free]
    assert np.abs(z_scores).max() < 4, z_scores
    # The standard error is small enough to notice a missing factor gamma.
    assert error[free].max() < 0.1 * np.abs(truth.preferences).max()
    assert_allclose(estimates.mean(0)[~free], 0.0, atol=1e-6)


@pytest.mark.slow
def test_leaving_an_episode_out_undoes_what_the_average_shrinks(small, random_params):
    """Of 2 episodes of one length, the average of both halves every advantage."""
    policy, table = tabular_softmax(small), to_jax(small)
    config = ReinforceConfig(num_episodes=2, time_limit=1)
    rows = reinforce.collect(
        random_params, jax.random.key(5), table, policy, config
    ).trajectory
    others = ReinforceConfig(num_episodes=2, time_limit=1, baseline="leave_one_out")
    shrunk = reinforce.estimate(rows, config).advantages
    whole = reinforce.estimate(rows, others).advantages
    assert_allclose(shrunk, whole / 2, rtol=1e-5)
    assert np.abs(whole).min() > 0.01
    with pytest.raises(ValueError, match=r"at least 2 .* got 1"):
        ReinforceConfig(num_episodes=1, baseline="leave_one_out")


@pytest.mark.slow
def test_a_baseline_changes_the_variance(small, random_params):
    """The worse the constant, the noisier; the average is quieter than none."""
    config = ReinforceConfig(num_episodes=EPISODES, time_limit=60)
    policy, table = tabular_softmax(small), to_jax(small)

    @jax.jit
    def variance(offset):
        def estimate(key):
            rows = reinforce.collect(random_params, key, table, policy, config)
            batch = reinforce.estimate(rows.trajectory, config)
            gamma_to_t = jax.vmap(discounts_to_date)(rows.trajectory)
            shifted = batch.advantages + gamma_to_t * offset
            return jax.grad(reinforce.loss, has_aux=True)(
                random_params,
                batch._replace(advantages=shifted),
                evaluator(policy, 4),
                config,
            )[0].preferences

        keys = jax.random.split(jax.random.key(4), 100)
        return jax.vmap(estimate)(keys).var(0).sum()

    near, off, far = variance(0.0), variance(2.0), variance(10.0)
    assert near < off < far
    # Far off, the variance grows with the square of the offset.
    assert far / off == pytest.approx(25, rel=0.5)


@oracle
def ascent(world, params, rows, baseline):
    """The gradients of a batch, in numpy, step by step: by preferences, by values."""
    preferences, values = (np.asarray(x, float) for x in params)
    by_preferences, by_values = np.zeros_like(preferences), np.zeros_like(values)
    episodes = [jax.tree.map(lambda x, i=i: x[i], rows) for i in range(len(rows.mask))]
    returns = np.array([oracles.rewards_to_go(episode) for episode in episodes])
    mask = np.asarray(rows.mask)
    mean = oracles.mean_return(returns, mask)
    for i, t in zip(*np.nonzero(mask), strict=True):
        s, a = int(rows.observations[i, t]), int(rows.actions[i, t])
        gamma_to_t = np.prod(np.asarray(rows.discounts[i, :t], float))
        above = returns[i, t] - (mean if baseline == "average" else values[s])
        score = np.eye(len(preferences[s]))[a]
        score = score - oracles.policy(preferences[s], world.available[s])
        by_preferences[s] += gamma_to_t * above * score / len(mask)
        if baseline == "value":
            by_values[s] += VALUE_WEIGHT * (returns[i, t] - values[s]) / mask.sum()
    return by_preferences, by_values


@pytest.mark.parametrize(("baseline", "updates"), [("value", 1), ("average", 2)])
def test_the_first_updates_are_those_that_numpy_works_out(baseline, updates):
    """With momentum, so that the second step needs the state that the first one left.

    theta  <-  theta + alpha m,   m  <-  grad J + 0.9 m
    """
    world, optimizer = of_worlds.small_world(), optax.sgd(0.1, momentum=0.9)
    config = ReinforceConfig(
        num_episodes=3, time_limit=3, baseline=baseline, value_weight=VALUE_WEIGHT
    )
    policy, params = inputs.tabular(world, 4)
    params, table = jax.tree.map(inputs.array, params), to_jax(world)
    state = State(params, optimizer.init(params), jnp.array(5), ())
    momentum, steps, by_hand = [0.0, 0.0], 5, [np.asarray(x, float) for x in params]
    for key in [jax.random.key(1), jax.random.key(2)][:updates]:
        now = type(params)(*map(inputs.array, by_hand))
        with remembered_episodes():
            rows = reinforce.collect(now, key, table, policy, config).trajectory
        gradients = ascent(world, by_hand, rows, baseline)
        momentum = [g + 0.9 * m for g, m in zip(gradients, momentum, strict=True)]
        by_hand = [x + 0.1 * m for x, m in zip(by_hand, momentum, strict=True)]
        steps += int(rows.mask.sum())
        with remembered_episodes():
            state, history = reinforce.update(
                state, key, table, policy, optimizer, config
            )
        for name, got, right in zip(params._fields, state.params, by_hand, strict=True):
            assert_allclose(got, right, rtol=1e-4, atol=1e-5, err_msg=name)
        assert state.steps == history.steps == steps


@pytest.mark.parametrize(
    "baseline", ["average", pytest.param("value", marks=pytest.mark.slow)]
)
def test_reinforce_learns_the_best_policy_of_a_small_world(small, baseline):
    config = ReinforceConfig(num_updates=150, time_limit=40, baseline=baseline)

    def learn(key):
        return reinforce.train(key, small, config)[0]

    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    shares = shares_of_the_way(learn, keys, small, tabular_softmax(small))
    assert all(share > 0.9 for share in shares)
