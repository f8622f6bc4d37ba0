"""Exact evaluation, dense and sparse, and the states that can be reached."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp import evaluation
from tests.mdp import inputs, oracles


@pytest.mark.parametrize("gamma", [None, 1.0])
@pytest.mark.parametrize("shape", [(3, 2, 2), (6, 3, 4)])
def test_the_solution_is_the_limit_of_many_sweeps(rng, shape, gamma):
    """Also without a discount, because every action may end the episode."""
    world = inputs.world(rng, *shape, gamma=gamma)
    policy = inputs.policy(rng, world)
    exact = mdp.evaluate(world, policy)
    expected = oracles.exact_values(world, policy)
    assert_allclose(exact, expected, rtol=1e-8, atol=1e-8)
    assert exact.shape == (world.num_states,)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
def test_a_reward_for_ever_is_a_geometric_series(gamma):
    values = mdp.evaluate(inputs.loop(-2.0, gamma), np.ones((1, 1)))
    assert_allclose(values, [-2.0 / (1 - gamma)])


def test_the_inverse_of_the_system_counts_discounted_visits(rng):
    """sum_t (gamma T_pi)^t, for a stack of policies at once."""
    world = inputs.world(rng)
    policies = np.stack([inputs.policy(rng, world) for _ in range(4)]).reshape(
        2, 2, 6, 3
    )
    inverses = np.linalg.inv(mdp.bellman_system(world, policies))
    for index in np.ndindex(2, 2):
        weights = policies[index][:, :, None] * world.probs * world.discounts
        leads = world.next_states[..., None] == np.arange(6)
        step = (weights[..., None] * leads).sum((1, 2))
        visits = sum(np.linalg.matrix_power(step, t) for t in range(200))
        assert_allclose(inverses[index], visits, atol=1e-8)


def test_a_state_is_reachable_if_it_appears_in_sampled_episodes(rng):
    """For a stack of policies that take one action each, so that states are missed."""
    world = inputs.world(rng, 8, 3, 2)
    world = world._replace(start=np.eye(8)[0])
    actions = [
        [rng.choice(np.flatnonzero(row)) for row in world.available] for _ in "ab"
    ]
    policies = np.eye(3)[np.array(actions)]
    reached = mdp.reachable(world, policies)
    for policy, states in zip(policies, reached, strict=True):
        episodes = [mdp.sample_episode(rng, world, policy) for _ in range(150)]
        seen = {int(s) for episode in episodes for s in episode.states}
        assert set(np.flatnonzero(states)) == seen


def test_dense_and_sparse_solve_the_same_equations(dense, policy, monkeypatch):
    expected = mdp.evaluate(dense.mdp, policy)
    monkeypatch.setattr(evaluation, "DENSE_STATES", 0)
    assert_allclose(mdp.evaluate(dense.mdp, policy), expected, rtol=1e-12)


def test_outcomes_that_lead_to_the_same_state_add_up(monkeypatch):
    """Half the time +1 and stay, half the time -3 and stay: -1 a step for ever."""
    twice = mdp.from_outcomes([[[(0.5, 0, 1.0, False), (0.5, 0, -3.0, False)]]], 0.9)
    for limit in (0, 2000):
        monkeypatch.setattr(evaluation, "DENSE_STATES", limit)
        assert_allclose(mdp.evaluate(twice, np.ones((1, 1))), [-10.0])


def test_a_long_random_walk_is_solved_as_a_sparse_system():
    """With gamma 1 and +1 at the right end, v(s) is the chance to end there."""
    n = 20_000
    state = np.arange(n)
    next_states = np.clip(np.stack([state - 1, state + 1], -1), 0, n - 1)[:, None]
    ends = np.zeros((n, 1, 2), bool)
    ends[0, 0, 0] = ends[-1, 0, 1] = True
    rewards = np.zeros((n, 1, 2))
    rewards[-1, 0, 1] = 1.0
    walk = mdp.MDP(
        probs=np.full((n, 1, 2), 0.5),
        next_states=next_states,
        rewards=rewards,
        # A little below 1 inside, so that one look shows that the walk comes to an end.
        discounts=np.where(ends, 0.0, 1.0 - 1e-15),
        available=np.ones((n, 1), bool),
        start=np.full(n, 1 / n),
    )
    values = mdp.evaluate(walk, np.ones((n, 1)))
    assert_allclose(values, (state + 1) / (n + 1), atol=1e-6)


def test_the_way_to_the_end_is_found_backwards_from_it():
    """0 -> 1 -> 2 (terminal) by action 1; action 0 stays; nothing leaves 3."""
    transitions = np.zeros((4, 2, 4))
    transitions[np.arange(4), 0, np.arange(4)] = 1.0
    transitions[[0, 1, 2, 3], 1, [1, 2, 2, 3]] = 1.0
    model = mdp.from_arrays(transitions, np.zeros((4, 2)), 1.0, terminal=[2])
    ends, actions = evaluation.ways_to_end(model)
    assert_array_equal(ends, [True, True, True, False])
    assert_array_equal(actions[:2], [1, 1])
    stay = np.eye(2)[[0, 1, 0, 0]]
    assert_array_equal(
        evaluation.ways_to_end(model, stay)[0], [False, True, True, False]
    )
    assert evaluation.ways_to_end(model.with_discount(0.9))[0].all()


def test_a_policy_that_never_ends_has_no_value_at_gamma_one():
    """Of two states, 0 can be left for the end and 1 cannot be left."""
    transitions = np.zeros((3, 1, 3))
    transitions[0, 0] = [0.5, 0.0, 0.5]
    transitions[1, 0, 1] = 1.0
    model = mdp.from_arrays(transitions, [-1.0, -1.0, 0.0], 1.0, terminal=[2])
    with pytest.raises(ValueError, match=r"must end the episode .* from state 1$"):
        mdp.evaluate(model, np.ones((3, 1)))
    # Below gamma = 1 it has one, and so has every state from which the end is reached.
    below = mdp.evaluate(model.with_discount(0.5), np.ones((3, 1)))
    assert_allclose(below, [-1 / 0.75, -2.0, 0.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda policy: policy[:4], r"policy must have shape \(5, 3\), got \(4, 3\)"),
        (lambda policy: policy * 0.5, r"policy\[s=0\] must sum to 1, got 0\.5"),
        (lambda policy: -policy, r"policy\[s=0, a=0\] must be at least 0, got -"),
        (
            lambda policy: policy * np.nan,
            r"policy\[s=0, a=0\] must be at least 0, got n",
        ),
        (lambda policy: np.full((5, 3), 1 / 3), r"policy\[s=1, a=2\] must be 0"),
    ],
)
def test_what_is_not_a_policy_is_refused(dense, policy, change, message):
    with pytest.raises(ValueError, match=message):
        mdp.evaluate(dense.mdp, change(policy))
