"""Gradient steps on a batch, against steps by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from policy_gradient import diagnostics, improvement, objectives, ppo
from policy_gradient.config import ImproveConfig
from policy_gradient.improvement import improve, shuffled_minibatches
from policy_gradient.policies import Evaluation, tabular_softmax
from policy_gradient.trajectory import Batch
from tests.exercises.oracle import oracle
from tests.policy_gradient import inputs
from tests.policy_gradient.learning import shares_of_the_way


def shuffle(key, size=24, epochs=2, minibatches=4):
    rows = improvement.shuffled_minibatches(
        jax.random.key(key), size, epochs, minibatches
    )
    return np.asarray(rows)


def test_a_shuffle_has_every_sample_once_an_epoch():
    rows = shuffle(0)
    assert rows.shape == (8, 6)
    for epoch in rows.reshape(2, 24):
        assert_array_equal(np.sort(epoch), np.arange(24))


def test_every_epoch_is_shuffled_anew():
    rows = shuffle(1)
    orders = {tuple(range(24)), *map(tuple, rows.reshape(2, 24))}
    assert len(orders) == 3, "two epochs in the same order, or one left as it was"
    assert len({frozenset(row) for row in rows}) == 8, "the same samples together again"


def test_the_order_of_an_epoch_tells_nothing_about_the_next_one():
    """Of 600 samples: one permutation that is only rolled on would keep its steps."""
    first, *later = shuffle(4, 600, 3, 5).reshape(3, 600)
    for order in (first, *(np.argsort(first)[other] for other in later)):
        steps = np.bincount(np.diff(order) % 600, minlength=600)
        assert steps.max() <= 12, "by chance each step between neighbours comes once"
        # By chance a fifth of a minibatch, 24, were together before, +- 4.4.
        together = [np.bincount(batch // 120).max() for batch in order.reshape(5, 120)]
        assert max(together) < 60, "the samples of a minibatch stay together"


def test_a_shuffle_depends_on_its_key_alone():
    assert_array_equal(shuffle(2), shuffle(2))
    assert (shuffle(2) != shuffle(3)).any()


def linear(params, observations, actions):
    """A stand-in for a policy: log pi = w x a, whose gradient is x a."""
    zeros = jnp.zeros_like(observations)
    return Evaluation(params * observations * actions, zeros, zeros)


def batch_of(observations, advantages):
    ones = jnp.ones_like(advantages)
    zeros = jnp.zeros_like(advantages)
    return Batch(observations, ones, zeros, zeros, advantages, zeros, ones)


def run(config, batch, step_size=1e-3, key=0):
    optimizer = optax.sgd(step_size)
    return improved(jnp.zeros(()), batch, linear, optimizer, config, key)


def improved(params, batch, evaluate, optimizer, config, key=0):
    loss = partial(
        ppo.loss,
        evaluate=evaluate,
        entropy_weight=config.entropy_weight,
        config=config,
    )
    state = optimizer.init(params)
    return improve(params, state, jax.random.key(key), batch, loss, optimizer, config)


def test_the_first_gradient_is_that_of_the_plain_policy_gradient():
    """At the old parameters the ratio is 1: the gradient is mean(A grad log pi)."""
    x, advantages = jnp.array([1.0, -2.0, 3.0, 0.5]), jnp.array([2.0, 1.0, -1.0, 4.0])
    config = ImproveConfig(epochs=1, minibatches=1)
    params, _, diagnostics = run(config, batch_of(x, advantages))
    assert_allclose(params, 1e-3 * jnp.mean(advantages * x), rtol=1e-5)
    assert_allclose(diagnostics.first_ratio, 1.0)
    assert_allclose(diagnostics.approx_kl, 0.0)
    assert_allclose(diagnostics.clip_fraction, 0.0)


@pytest.mark.slow
def test_every_sample_is_used_once_in_every_epoch_and_in_another_order():
    """Each sample moves its own parameter: after one step of size 1, by its x / n."""
    size, seen = 12, []

    def record(params, observations, actions):
        zeros = jnp.zeros_like(actions)
        return Evaluation(params[observations], zeros, zeros)

    optimizer = optax.sgd(1.0)
    params = jnp.zeros(size)
    batch = batch_of(jnp.arange(size), jnp.ones(size))
    for epochs in (1, 2):
        config = ImproveConfig(epochs=epochs, minibatches=3, clip=1e9)
        moved = improved(params, batch, record, optimizer, config).params
        # One step of ratio 1 adds 1/4; the next adds exp(1/4) / 4.
        seen.append(np.asarray(moved))
    assert_allclose(seen[0], 0.25, rtol=1e-6)
    assert_allclose(seen[1], 0.25 + np.exp(0.25) / 4, rtol=1e-6)

    # In minibatches of one, momentum makes the order visible.
    config = ImproveConfig(epochs=1, minibatches=size)
    heavy = optax.sgd(1e-3, momentum=0.9)
    ends = []
    for key in range(2):
        scaled = batch_of(jnp.arange(1.0, 13.0), jnp.ones(size))
        moved = improved(jnp.zeros(()), scaled, linear, heavy, config, key)
        ends.append(moved.params)
    assert ends[0] != ends[1]


def improved_rows(advantages, targets, optimizer, config, further_loss=None):
    """The result of an update, run step by step, and the rows of each minibatch."""
    seen, params = [], inputs.params_of_rows(len(advantages))
    batch = inputs.batch_of_rows(inputs.array(advantages), inputs.array(targets))
    loss = inputs.loss_of_rows(config.clip, seen)
    key, state = jax.random.key(0), optimizer.init(params)
    with jax.disable_jit():
        arguments = params, state, key, batch, loss, optimizer, config, further_loss
        return improve(*arguments), np.array(seen)


@oracle
def numbers_by_hand(advantages, targets, config, step_size):
    """Log pi / pi_old and v of each row, which moves once in every epoch."""
    log_ratios, values = np.zeros((2, len(advantages)))
    for i, (advantage, target) in enumerate(zip(advantages, targets, strict=True)):
        for _ in range(config.epochs):
            ratio = np.exp(log_ratios[i])
            edge = 1.0 + config.clip * np.sign(advantage)
            beyond = (ratio - edge) * advantage > 0
            share = step_size * config.minibatches / len(advantages)
            log_ratios[i] += 0.0 if beyond else share * advantage * ratio
            values[i] += share * (target - values[i])
    return log_ratios, values


def test_every_row_takes_a_step_of_its_own_in_every_epoch(rng):
    """Each begins where the epoch before has left it, until the clip stops it."""
    advantages, targets = rng.normal(0.0, 2.0, 8), rng.normal(1.0, 3.0, 8)
    advantages[:2] = 3.0, -3.0
    config = ImproveConfig(epochs=3, minibatches=2, clip=0.3)
    optimizer = optax.sgd(optax.constant_schedule(0.5))
    found, seen = improved_rows(advantages, targets, optimizer, config)
    log_ratios, values = numbers_by_hand(advantages, targets, config, 0.5)
    got = np.asarray(found.params["log_probs"]) - np.log(0.5)
    assert_allclose(got, log_ratios, rtol=1e-4, atol=1e-5)
    assert_allclose(found.params["values"], values, rtol=1e-4, atol=1e-5)
    assert jax.tree.leaves(found.optimizer_state) == [6], "the optimiser took 6 steps"
    orders = [tuple(epoch) for epoch in seen.reshape(3, 8)]
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(8))}
    assert len({tuple(range(8)), *orders}) == 4, "every epoch has an order of its own"


def test_the_mean_loss_and_the_first_ratio_are_measured():
    """One row: v goes from 0 to 2, of 4, the ratio from 1 to beyond the clip of 1.2."""
    config = ImproveConfig(epochs=2, minibatches=1)
    found, _ = improved_rows([1.0], [4.0], optax.sgd(0.5), config)
    losses = 0.5 * 4.0**2 - 1.0, 0.5 * 2.0**2 - 1.2
    assert_allclose(found.diagnostics.loss, np.mean(losses), rtol=1e-5)
    assert_allclose(found.diagnostics.first_ratio, 1.0, err_msg="not a mean")


def test_rows_stop_at_the_kl_limit_and_the_further_loss_gets_new_keys():
    """After the first step log rho is 0.4 and the KL 0.09: too much for another."""
    config = ImproveConfig(epochs=5, minibatches=1, clip=9.0, kl_limit=0.05)
    found, _ = improved_rows([2.0], [0.0], optax.sgd(0.2), config)
    got = found.params["log_probs"][0] - np.log(0.5)
    assert got == pytest.approx(0.4, rel=1e-4), "one step, and no other"

    keys = []

    def further_loss(params, batch, key):
        keys.append(tuple(jax.random.key_data(key).tolist()))
        return 0.5 * (params["other"] - 5.0) ** 2

    config = ImproveConfig(epochs=2, minibatches=2)
    found, _ = improved_rows([0.0] * 4, [0.0] * 4, optax.sgd(0.5), config, further_loss)
    assert found.params["other"] == 5.0 - 4.0 / 2**4
    assert len(set(keys)) == 4


def test_ppo_with_these_steps_goes_most_of_the_way_to_the_exact_optimum(small):
    config = ppo.Config(
        num_updates=60, num_environments=16, num_steps=8, epochs=2, minibatches=2
    )

    def learn(key):
        return ppo.train(key, small, config)[0]

    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    shares = list(shares_of_the_way(learn, keys, small, tabular_softmax(small)))
    assert min(shares) > 0.9, shares


def test_the_entropy_bonus_flattens_the_policy():
    def evaluate(params, observations, actions):
        log_probs = jax.nn.log_softmax(params)
        entropy = -jnp.sum(jnp.exp(log_probs) * log_probs)
        return Evaluation(log_probs[actions], jnp.full(2, entropy), jnp.zeros(2))

    params, optimizer = jnp.array([2.0, 0.0]), optax.sgd(0.1)
    batch = Batch(jnp.zeros(2), jnp.zeros(2, int), *jnp.zeros((4, 2)), jnp.ones(2))
    config = ImproveConfig(epochs=1, minibatches=1, entropy_weight=1.0)
    moved = improved(params, batch, evaluate, optimizer, config).params
    assert abs(moved[0] - moved[1]) < abs(params[0] - params[1])


def test_the_clip_fraction_counts_ratios_out_of_range_whether_or_not_the_clip_acts():
    """TRL and verl count only the first and the last of these five, where it acts."""
    ratios = jnp.array([1.5, 0.5, 1.1, 1.5, 0.5])
    batch = batch_of(jnp.zeros(5), jnp.array([1.0, 1.0, 1.0, -1.0, -1.0]))
    now = Evaluation(batch.log_probs + jnp.log(ratios), batch.values, batch.values)
    measured = diagnostics.measure(jnp.zeros(()), now, batch, clip=0.2)
    assert_allclose(measured.clip_fraction, 4 / 5)
    surrogates = jax.vmap(objectives.clipped_surrogate, (0, 0, 0, None))(
        now.log_prob, batch.log_probs, batch.advantages, 0.2
    )
    acts = ~jnp.isclose(surrogates, ratios * batch.advantages)
    assert_array_equal(acts, [True, False, False, False, True])


@pytest.mark.slow
def test_without_a_clip_many_epochs_run_away_with_the_policy():
    """The ratio is to the policy that acted: the clip stops it, also in 100 steps."""
    batch = batch_of(jnp.ones(4), jnp.ones(4))
    ends = {}
    for clip in (0.2, float("inf")):
        config = ImproveConfig(epochs=100, minibatches=1, clip=clip)
        params, _, diagnostics = run(config, batch, 2e-2)
        ends[clip] = np.exp(params), diagnostics.clip_fraction
    assert 1.2 <= ends[0.2][0] < 1.25
    assert ends[float("inf")][0] > 5
    assert ends[float("inf")][1] == 0
    assert ends[0.2][1] > 0.5


def test_no_step_is_taken_beyond_the_kl_limit():
    """With d = log rho, the estimate is exp(d) - 1 - d: it stops at the first above."""
    limit = 0.01
    config = ImproveConfig(epochs=100, minibatches=1, clip=1e9, kl_limit=limit)
    params, _, _ = run(config, batch_of(jnp.ones(4), jnp.ones(4)), 1e-2)
    moved, allowed = 0.0, 0.0
    while np.exp(moved) - 1 - moved <= limit:  # what the loop should do, by hand
        allowed = moved = moved + 1e-2 * np.exp(moved)
    assert_allclose(params, allowed, rtol=1e-4)


def test_a_clipped_critic_does_not_move_far_at_once():
    def evaluate(params, observations, actions):
        zeros = jnp.zeros_like(observations)
        return Evaluation(zeros, zeros, params * jnp.ones_like(observations))

    batch = batch_of(jnp.ones(4), jnp.ones(4))._replace(value_targets=jnp.full(4, 5.0))
    ends = []
    for clip_values in (True, False):
        config = ImproveConfig(epochs=50, minibatches=1, clip_values=clip_values)
        optimizer = optax.sgd(0.1)
        moved = improved(jnp.zeros(()), batch, evaluate, optimizer, config)
        ends.append(moved.params)
    # The steps are of value_weight times the error: 0.5 * 5 at first.
    assert 0.2 <= ends[0] < 0.2 + 0.25
    assert ends[1] > 4


@pytest.mark.parametrize("size", [12, 100])
def test_a_shuffle_is_a_permutation_of_its_own_in_every_epoch(size):
    """Over 2,000 keys each sample is first equally often (chi-squared, 99.99%)."""
    indices = shuffled_minibatches(jax.random.key(0), size, 3, 4)
    assert indices.shape == (12, size // 4)
    epochs = np.asarray(indices).reshape(3, size)
    assert_array_equal(np.sort(epochs), np.tile(np.arange(size), (3, 1)))
    assert (epochs[0] != epochs[1]).any()
    assert (epochs[1] != epochs[2]).any()

    keys = jax.random.split(jax.random.key(1), 2000)
    shuffle = jax.jit(jax.vmap(lambda key: shuffled_minibatches(key, size, 1, 4)))
    first = np.asarray(shuffle(keys))[:, 0, 0]
    counts = np.bincount(first, minlength=size)
    expected = 2000 / size
    chi2 = ((counts - expected) ** 2 / expected).sum()
    degrees = size - 1
    assert chi2 < degrees + 3.72 * np.sqrt(2 * degrees) + 10
