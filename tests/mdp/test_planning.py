"""The solvers, against all deterministic policies, and against their promises."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp import inputs, oracles

# More rounds than a correct solver needs.
ENOUGH = 5000

SOLVERS = [
    mdp.value_iteration,
    mdp.value_iteration_in_place,
    mdp.policy_iteration,
    mdp.modified_policy_iteration,
]


def every_solver(test):
    return pytest.mark.parametrize("solver", SOLVERS, ids=lambda f: f.__name__)(test)


def loops(*rewards, gamma):
    """One state; every action leads back to it, and earns its reward for ever."""
    return mdp.from_arrays(np.ones((1, len(rewards), 1)), [rewards], gamma)


def assert_optimal(solver, world):
    solution = solver(world, 1e-9, ENOUGH)
    best = oracles.best_values(world)
    assert solution.converged
    assert_allclose(solution.values, best, atol=1e-6)
    q = oracles.action_values(world, best)
    assert_allclose(solution.action_values, q, atol=1e-6)
    earned = oracles.exact_values(world, solution.policy)
    assert_allclose(earned, best, atol=1e-6)
    assert_array_equal(solution.policy[~world.available], 0.0)
    assert_allclose(solution.policy.sum(-1), 1.0)
    return solution


@every_solver
def test_no_policy_is_better_than_the_one_a_solver_finds(solver, dense):
    solution = assert_optimal(solver, dense.mdp)
    assert isinstance(solution.residuals, np.ndarray)


def test_value_iteration_finds_the_best_of_all_policies(rng):
    for world in inputs.worlds_to_solve(rng):
        assert_optimal(mdp.value_iteration, world)


def test_policy_iteration_finds_the_best_of_all_policies(rng):
    for world in inputs.worlds_to_solve(rng):
        assert_optimal(mdp.policy_iteration, world)


def assert_within_half_of_epsilon(solver, rng):
    """The values rise on one loop, fall on the other, and may do both in the world."""
    for gamma in (0.3, 0.97):
        random = inputs.world(rng, 5, gamma=gamma)
        for world in (inputs.loop(1.0, gamma), inputs.loop(-1.0, gamma), random):
            best = oracles.best_values(world)
            for epsilon in (1.0, 1e-3):
                solution = solver(world, epsilon)
                assert solution.converged
                error = abs(solution.values - best).max()
                assert error <= epsilon / 2 + 1e-12, "it stopped too early"


def test_the_error_of_value_iteration_is_at_most_half_of_epsilon(rng):
    assert_within_half_of_epsilon(mdp.value_iteration, rng)


def test_the_error_of_policy_iteration_is_at_most_half_of_epsilon(rng):
    assert_within_half_of_epsilon(mdp.policy_iteration, rng)


@pytest.mark.parametrize("reward", [1.0, -1.0])
def test_value_iteration_that_runs_out_of_sweeps_has_not_converged(reward):
    solution = mdp.value_iteration(inputs.loop(reward, 0.9), 1e-6, max_sweeps=3)
    assert not solution.converged
    assert len(solution.residuals) == 3
    assert_allclose(solution.values, reward * (1 + 0.9 + 0.9**2))


def test_the_residuals_of_value_iteration_are_the_largest_changes():
    """On a loop that earns r the n-th sweep adds r gamma^(n-1); here are four loops."""
    loops = mdp.from_arrays(np.eye(4)[:, None], [-1.0, -1.0, 0.0, 0.5], 0.5)
    solution = mdp.value_iteration(loops, 1e-3)
    expected = 0.5 ** np.arange(len(solution.residuals))
    assert_allclose(solution.residuals, expected)
    assert len(solution.residuals) < 14, "it goes on when it could stop"


@every_solver
@pytest.mark.parametrize("rewards", [(0.0, 1.0), (-2.0, -1.0)])
def test_a_solver_stops_as_late_as_its_promise_needs_and_no_later(solver, rewards):
    """The better of two loops: +-1 / (1 - gamma) = +-100, and all solvers begin at 0.

    After n sweeps gamma^n / (1 - gamma) is missing, which is gamma / (1 - gamma) times
    the last change: the bound of the theorem is the error itself.
    """
    world, exact = loops(*rewards, gamma=0.99), rewards[1] / (1 - 0.99)
    sweeps = 21 if solver is mdp.modified_policy_iteration else 1  # a round
    for epsilon in (150.0, 60.0, 1e-2):
        solution = solver(world, epsilon, 2000)
        error = abs(solution.values[0] - exact)
        assert solution.converged, f"2000 rounds are enough for epsilon {epsilon}"
        assert error <= epsilon / 2, "the rule lacks (1 - gamma), or 1/2, or | |"
        if solver is mdp.policy_iteration:
            assert_allclose(solution.residuals, [1.0, 0.0], err_msg="the gains left")
        else:
            rounds = np.arange(len(solution.residuals))
            assert_allclose(solution.residuals, 0.99 ** (sweeps * rounds), atol=1e-9)
            assert error / 0.99**sweeps > epsilon / 2, "a round fewer was enough"


@every_solver
def test_without_a_future_the_best_reward_is_the_value(solver, dense):
    solution = solver(dense.mdp.with_discount(0.0), 1e-9, ENOUGH)
    best = np.where(dense.mdp.available, dense.mdp.expected_rewards, -np.inf).max(-1)
    assert solution.converged
    assert_allclose(solution.values, best)
    if solver is not mdp.policy_iteration:
        assert len(solution.residuals) == 1, "one sweep is exact"


def test_without_discount_the_sweeps_stop_at_the_first_change_within_epsilon():
    residuals = mdp.value_iteration(mdp.worlds.frozen_lake(1.0), 1e-3).residuals
    assert residuals[-1] <= 1e-3 < residuals[-2]


def test_the_discount_of_what_cannot_happen_does_not_delay_the_stop(dense):
    padding = dense.mdp.probs == 0
    padded = dense.mdp._replace(discounts=np.where(padding, 1.0, dense.mdp.discounts))
    for ours, theirs in zip(
        *map(mdp.value_iteration, (dense.mdp, padded)), strict=True
    ):
        assert_array_equal(ours, theirs)


@every_solver
@pytest.mark.parametrize("world", ["cliff_walking", "frozen_lake", "four_by_three"])
def test_all_solvers_agree_where_gamma_is_one_and_episodes_end(solver, world):
    """The values are those of the policy that value iteration finds."""
    model = getattr(mdp.worlds, world)()
    exact = mdp.evaluate(model, mdp.value_iteration(model, 1e-12).policy)
    solution = solver(model, 1e-12, ENOUGH)
    assert model.discounts.max() == 1
    assert solution.converged
    assert_allclose(solution.values, exact, atol=1e-9)
    assert_allclose(mdp.evaluate(model, solution.policy), exact, atol=1e-9)


@pytest.mark.parametrize("reward", [1.0, -1.0])
@pytest.mark.parametrize("solver", SOLVERS[:2], ids=lambda f: f.__name__)
def test_a_problem_without_an_end_uses_up_its_sweeps_when_gamma_is_one(solver, reward):
    solution = solver(loops(reward, gamma=1.0), max_sweeps=50)
    assert not solution.converged
    assert len(solution.residuals) == 50


@pytest.mark.parametrize("solver", SOLVERS[2:], ids=lambda f: f.__name__)
def test_a_problem_without_an_end_is_refused_when_gamma_is_one(solver):
    with pytest.raises(ValueError, match=r"no way to do so from state 0$"):
        solver(loops(-1.0, gamma=1.0), 1e-9, 50)


def where_staying_pays(reward):
    """Of two states, 0 may stay (action 0) or end for -3 (action 1)."""
    transitions = np.zeros((2, 2, 2))
    transitions[0, 0, 0] = transitions[0, 1, 1] = 1.0
    return mdp.from_arrays(transitions, [[reward, -3.0], [0.0, 0.0]], 1.0, terminal=[1])


def test_earning_for_ever_is_reported_when_gamma_is_one():
    model = where_staying_pays(1.0)
    with pytest.raises(ValueError, match=r"earn for ever .* from state 0$"):
        mdp.policy_iteration(model)
    for solver in (mdp.value_iteration, mdp.modified_policy_iteration):
        solution = solver(model, max_sweeps=50)
        assert not solution.converged
        assert len(solution.residuals) == 50


@every_solver
def test_ending_at_a_price_is_better_than_losing_for_ever(solver):
    solution = solver(where_staying_pays(-1.0), 1e-9, ENOUGH)
    assert_allclose(solution.values, [-3.0, 0.0])


@pytest.mark.parametrize("solver", SOLVERS[1:], ids=lambda f: f.__name__)
def test_a_solver_that_runs_out_of_rounds_has_not_converged(solver):
    solution = solver(mdp.worlds.frozen_lake(0.99), 1e-9, 2)
    assert not solution.converged
    assert len(solution.residuals) == 2


def test_in_place_a_change_travels_through_all_states_in_one_sweep():
    """Each state of a corridor leads to the one before it, and state 0 is the end."""
    steps = 20
    transitions = np.eye(steps + 1)[[[0], *([s] for s in range(steps))]]
    rewards = np.full((steps + 1, 1), -1.0)
    rewards[0] = 0.0
    corridor = mdp.from_arrays(transitions, rewards, 1.0, terminal=[0])
    in_place = mdp.value_iteration_in_place(corridor)
    assert_array_equal(in_place.values, -np.arange(steps + 1.0))
    assert len(in_place.residuals) == 2, "one sweep to find the values, one to see it"
    assert len(mdp.value_iteration(corridor).residuals) == steps + 1


def test_policy_iteration_leaves_no_gain_that_breaks_its_promise():
    """A gain of 1 a step is a gain of 100 in all: epsilon / 2 decides."""
    for epsilon, rounds in ((2 * 100 * 0.99, 2), (2 * 100 * 1.01, 1)):
        solution = mdp.policy_iteration(loops(3.0, 4.0, gamma=0.99), epsilon)
        assert_allclose(solution.residuals, [1.0, 0.0][:rounds])
        assert_allclose(solution.values, 400 if rounds == 2 else 300)
        assert solution.converged


def test_policy_iteration_keeps_an_action_that_ties():
    """In state 1 it costs nothing to stay (0), and nothing to end (1).

    When state 0 changes to the action that ends for -1, a solver that takes the first
    of the best actions everywhere would stay in state 1, and never end.
    """
    transitions = np.zeros((3, 2, 3))
    transitions[0, :, 2] = transitions[1, 0, 1] = transitions[1, 1, 2] = 1.0
    rewards = [[-2.0, -1.0], [0.0, 0.0], [0.0, 0.0]]
    world = mdp.from_arrays(transitions, rewards, 1.0, terminal=[2])
    assert_array_equal(mdp.policy_iteration(world).values, [-1.0, 0.0, 0.0])
    # At gamma = 1 only a gain above epsilon counts: here 1 is left to gain.
    lazy = mdp.policy_iteration(world, epsilon=1.0)
    assert_array_equal(lazy.residuals, [1.0])
    assert_array_equal(lazy.values, [-2.0, 0.0, 0.0])


def test_policy_iteration_converges_only_to_the_best(rng):
    """However few iterations there are."""
    for _ in range(5):
        world = inputs.world(rng, 5, 4, gamma=0.95)
        best = oracles.best_values(world)
        for max_iterations in (1, 2, 3):
            solution = mdp.policy_iteration(world, max_iterations=max_iterations)
            assert len(solution.residuals) <= max_iterations
            if solution.converged:
                assert_allclose(solution.values, best, atol=1e-8)


@pytest.mark.parametrize("better", [0, 1])
def test_policy_iteration_takes_a_small_gain_that_is_earned_in_every_step(better):
    """0.02 a step, at gamma = 0.99, is 2 in all: more than an epsilon of 1 allows."""
    rewards = [[1.0, 1.0]]
    rewards[0][better] = 1.02
    world = mdp.from_arrays(np.ones((1, 2, 1)), rewards, 0.99)
    solution = mdp.policy_iteration(world, epsilon=1.0)
    assert_allclose(solution.values, [102.0], atol=0.5)


def test_the_residuals_of_policy_iteration_are_the_largest_gains_that_are_left():
    """Two states of eight can earn 1 instead of 0, and that is all there is to gain.

    With the first policy: all of it, half of it if both actions are taken equally
    often, or nothing.
    """
    rewards = np.zeros((8, 2))
    rewards[[2, 5], 1] = 1.0
    stay = np.broadcast_to(np.eye(8)[:, None], (8, 2, 8))
    solution = mdp.policy_iteration(mdp.from_arrays(stay, rewards, 0.5))
    residuals = np.asarray(solution.residuals)
    assert np.isclose(residuals[0], [0.0, 0.5, 1.0]).any()
    assert (residuals[:-1] > 0).all(), "it went on with nothing to gain"
    assert np.isclose(residuals[-1], 0.0)


def reordered(rng, world, num_actions):
    """Every action is the only one of the world, its outcomes in another order."""
    num_states, _, num_outcomes = world.probs.shape
    order = np.array([rng.permutation(num_outcomes) for _ in range(num_actions)])
    fields = [field[:, 0][:, order] for field in world[:4]]
    return mdp.MDP(*fields, np.ones((num_states, num_actions), bool), world.start)


def test_ties_do_not_keep_policy_iteration_going_for_ever(rng):
    tied = reordered(rng, inputs.world(rng, 12, 1, 6, gamma=0.99), 5)
    solution = mdp.policy_iteration(tied, max_iterations=50)
    assert solution.converged
    assert len(solution.residuals) < 50
    uniform = np.full((12, 5), 1 / 5)
    assert_allclose(solution.values, oracles.exact_values(tied, uniform), atol=1e-9)


def test_rounding_errors_do_not_lead_policy_iteration_in_circles():
    """All actions are equal, but for the order in which their outcomes are added up.

    Values in the millions round by more than epsilon. An apparent gain may be none, and
    its policy may find that the policy before was better.
    """
    rng = np.random.default_rng(0)
    for _ in range(40):
        probs, rewards = rng.dirichlet(np.ones(10), (10, 1)), rng.normal(size=10) * 1e6
        one = mdp.from_arrays(probs, rewards, 0.99)
        solution = mdp.policy_iteration(reordered(rng, one, 6), max_iterations=50)
        assert solution.converged, "the values must rise with every change of policy"
        exact = mdp.evaluate(one, np.ones((10, 1)))
        assert_allclose(solution.values, exact, rtol=1e-12)


def test_modified_policy_iteration_is_value_iteration_when_it_never_evaluates(dense):
    ours = mdp.modified_policy_iteration(dense.mdp, num_sweeps=0)
    for field, expected in zip(ours, mdp.value_iteration(dense.mdp), strict=True):
        assert_array_equal(field, expected)


def test_modified_policy_iteration_evaluates_the_best_action_and_not_near_ties():
    """A loss of 5e-9 a step leaves the values 5e-7 too low, and 5e-9 to gain a round.

    An epsilon of 1e-7 asks for changes of 5e-10 at most: no round would be the last.
    """
    world = loops(1 - 5e-9, 1.0, gamma=0.99)
    solution = mdp.modified_policy_iteration(world, 1e-7, 500)
    assert solution.converged
    assert abs(solution.values[0] - 100) <= 1e-7 / 2


@pytest.mark.slow
def test_sweeping_one_policy_saves_looking_at_all_actions():
    model = mdp.worlds.five_by_five(0.99)
    few = mdp.modified_policy_iteration(model, num_sweeps=50).residuals
    assert len(few) < len(mdp.value_iteration(model).residuals) / 20
