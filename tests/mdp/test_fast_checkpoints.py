"""Learners stopped by the clock, against the loops of `mdp.control`."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp.fast.control import learn_by_steps

CONFIG = mdp.ControlConfig(
    num_episodes=900,
    max_steps=3,
    step_size=1.0,
    step_size_decay=0.7,
    exploration=0.5,
    exploration_decay=0.3,
    num_snapshots=6,
)


@pytest.mark.parametrize("algorithm", [mdp.sarsa, mdp.expected_sarsa, mdp.q_learning])
def test_after_so_many_steps_q_is_what_it_is_alone(algorithm, dense):
    """At the ends of episodes 150, 300, ...: steps that no chunk of 512 ends with."""
    alone = [
        algorithm(np.random.default_rng(seed), dense.mdp, CONFIG) for seed in (1, 2)
    ]
    for seed, learned in zip((1, 2), alone, strict=True):
        ends = learned.lengths.cumsum()[learned.snapshot_episodes - 1]
        assert ends[-1] > 1024, "more than two chunks"
        rngs = [np.random.default_rng(seed)]
        found = learn_by_steps(rngs, dense.mdp, CONFIG, algorithm, ends.tolist())
        assert_allclose(found.action_values[0], learned.snapshots, rtol=1e-9, atol=1e-9)
        assert_array_equal(found.num_episodes[0], learned.snapshot_episodes)


def test_the_learners_beside_change_nothing(dense):
    def learn(seeds):
        rngs = [np.random.default_rng(seed) for seed in seeds]
        return learn_by_steps(rngs, dense.mdp, CONFIG, mdp.sarsa, [5, 700])

    together, alone = learn([4, 5, 6]), learn([5])
    q, expected = together.action_values[1], alone.action_values[0]
    assert_allclose(q, expected, rtol=1e-12)
    assert_array_equal(together.num_episodes[1], alone.num_episodes[0])
