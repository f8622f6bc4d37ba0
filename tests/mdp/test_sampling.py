"""Steps and episodes, against the table that they are drawn from."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp import inputs, oracles

END = 4  # the terminal state of `dense`


class Always(np.random.Generator):
    """A generator that draws the same uniform number every time."""

    def __init__(self, number):
        super().__init__(np.random.PCG64())
        self.number = number

    def random(self):
        return self.number


def test_a_draw_is_the_interval_of_probabilities_that_the_number_falls_into():
    probs = np.array([0.2, 0.0, 0.5, 0.3])
    falls = {0.0: 0, 0.1999: 0, 0.2: 2, 0.6999: 2, 0.7001: 3, 1 - 2**-53: 3}
    for number, index in falls.items():
        assert mdp.draw(Always(number), probs) == index, f"at {number}"


def test_an_outcome_of_probability_zero_is_never_drawn_even_after_rounding():
    probs = np.array([0.0, *[0.1] * 10, 0.0])
    assert probs.cumsum()[-1] < 1, "the sum of ten tenths is rounded down"
    assert mdp.draw(Always(0.0), probs) == 1
    assert mdp.draw(Always(1 - 2**-53), probs) == 10


def test_steps_follow_the_dynamics(dense):
    """Frequencies of (s', r) against p(s', r | s, a), within 4 standard errors."""
    rng, num_draws, state, action = np.random.default_rng(0), 2000, 2, 0
    counts = np.zeros(5)
    for _ in range(num_draws):
        step = mdp.take_step(rng, dense.mdp, state, action)
        counts[step.next_state] += 1
        assert step.reward == dense.rewards[state, action, step.next_state], (
            "the reward is that of (s, a, s')"
        )
        assert step.discount == (0 if step.next_state == END else dense.gamma), (
            "the discount is gamma, or 0 where the step ends the episode"
        )
    probs = dense.transitions[state, action]
    standard_error = np.sqrt(probs * (1 - probs) / num_draws)
    assert (np.abs(counts / num_draws - probs) <= 4 * standard_error + 1e-12).all()


def test_an_action_that_is_not_available_cannot_be_taken(dense):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="must be available in state 1, got 2"):
        mdp.take_step(rng, dense.mdp, state=1, action=2)


def test_each_step_of_an_episode_begins_where_the_last_one_led(dense, policy):
    starts = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        episode = mdp.sample_episode(rng, dense.mdp, policy)
        starts.append(episode.states[0])
        assert_array_equal(episode.states[1:], episode.next_states[:-1])
        assert dense.mdp.available[episode.states, episode.actions].all()
        assert_array_equal(episode.discounts[:-1], dense.gamma)
        assert episode.discounts[-1] == 0, "it goes on until it ends"
        assert episode.next_states[-1] == END
    assert set(starts) == {0, 1, 2, 3}, "S_0 is drawn from the starting distribution"


def test_a_cut_off_is_not_an_ending(dense, policy):
    """A time limit stops the observation, not the episode."""
    rng = np.random.default_rng(1)
    world = dense.mdp._replace(start=np.eye(5)[0])
    policy[0] = [1, 0, 0]  # from 0 to 0 or 2, never to the end
    episode = mdp.sample_episode(rng, world, policy, max_steps=1)
    assert len(episode.states) == 1
    assert_array_equal(
        episode.discounts, [dense.gamma], err_msg="a cut-off keeps its discount"
    )


def test_a_return_goes_on_beyond_a_cut_off_and_not_beyond_an_ending():
    rewards, steps = np.array([-1.0, 2.0, 3.0]), np.zeros(3, int)
    cut_off = mdp.Episode(steps, steps, rewards, np.array([0.5, 0.5, 0.5]), steps)
    ended = cut_off._replace(discounts=np.array([0.5, 0.5, 0.0]))
    assert_allclose(
        mdp.episode_returns(cut_off, rest=8.0),
        [-1 + 0.5 * 5.5, 2 + 0.5 * 7, 3 + 0.5 * 8],
        err_msg="`rest` stands for what was cut off, discounted like any reward",
    )
    assert_allclose(mdp.episode_returns(ended, rest=8.0), [0.75, 3.5, 3.0])
    assert_array_equal(rewards, [-1, 2, 3], err_msg="the episode itself is not changed")


def test_returns_have_the_exact_value_as_their_mean(dense, policy):
    """Within 4 standard errors, from every state that is not terminal."""
    exact = mdp.evaluate(dense.mdp, policy)
    for state in range(4):
        world = dense.mdp._replace(start=np.eye(5)[state])
        rng = np.random.default_rng(state)
        episodes = [mdp.sample_episode(rng, world, policy) for _ in range(150)]
        returns = np.array([mdp.episode_returns(e, rest=0.0)[0] for e in episodes])
        standard_error = returns.std() / np.sqrt(len(returns))
        assert abs(returns.mean() - exact[state]) < 4 * standard_error


@pytest.mark.parametrize("exploration", [0.0, 0.1, 0.5, 1.0])
def test_epsilon_greedy_explores_all_available_actions_the_best_among_them(
    rng, exploration
):
    """And those that tie for the best share its part; one state alone or many."""
    world = inputs.world(rng, 8, 4)
    q = inputs.action_values_with_ties(rng, world)
    policy = mdp.epsilon_greedy(q, world.available, exploration)
    for s in range(8):
        expected = oracles.epsilon_greedy(q[s], world.available[s], exploration)
        assert_allclose(policy[s], expected, atol=1e-12)
        alone = mdp.epsilon_greedy(q[s], world.available[s], exploration)
        assert_allclose(alone, expected, atol=1e-12)
    assert_allclose(policy.sum(-1), 1.0)


def test_epsilon_greedy_takes_the_best_where_values_differ(rng):
    q = rng.normal(-5.0, 1.0, (6, 4))
    policy = mdp.epsilon_greedy(q, np.ones((6, 4), bool), 0.2)
    assert_array_equal(policy.argmax(-1), q.argmax(-1))
    assert_allclose(policy.max(-1), 0.8 + 0.2 / 4)
    assert_allclose(policy.min(-1), 0.2 / 4)
