"""Many learners at once, compiled or not, against each of them alone."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp.fast import control
from mdp.fast.control import learn_by_steps

# Compiling takes longer than learning: these tests share their shapes.
NUM_LEARNERS = 20
CONFIG = mdp.ControlConfig(
    num_episodes=30,
    max_steps=3,
    step_size=1.0,
    step_size_decay=0.7,
    exploration=0.5,
    exploration_decay=0.3,
    initial_value=-1.0,
)


def assert_learned_alone(together, algorithm, seed, world, config):
    """Compare the first two learners: values, returns, lengths and snapshots."""
    for i, rng in enumerate(np.random.default_rng(seed).spawn(2)):
        alone = algorithm(rng, world, config)
        for name, one, many in zip(alone._fields, alone, together, strict=True):
            message = f"{name} of {algorithm.__name__}"
            assert_allclose(many[i], one, rtol=1e-9, atol=1e-9, err_msg=message)


@pytest.mark.parametrize("algorithm", control.COMPILED)
def test_a_compiled_learner_learns_the_same_numbers(algorithm, dense):
    """From equal random draws, with cut-offs and unavailable actions."""
    rng, world = np.random.default_rng(1), dense.mdp
    together = mdp.learn_many(rng, world, CONFIG, algorithm, NUM_LEARNERS)
    assert_learned_alone(together, algorithm, 1, world, CONFIG)


def test_constant_step_sizes_and_exploration_are_compiled_as_well(dense):
    config = replace(CONFIG, step_size=0.3, step_size_decay=0.0, exploration_decay=0.0)
    rng, world = np.random.default_rng(2), dense.mdp
    together = mdp.learn_many(rng, world, config, mdp.q_learning, NUM_LEARNERS)
    assert_learned_alone(together, mdp.q_learning, 2, world, config)


def test_when_one_learner_has_finished_the_next_begins(dense, monkeypatch):
    """With more learners than lanes each still learns the same numbers."""
    config, world = replace(CONFIG, num_episodes=300), dense.mdp

    def learn():
        rng = np.random.default_rng(3)
        return mdp.learn_many(rng, world, config, mdp.q_learning, NUM_LEARNERS)

    side_by_side = learn()
    monkeypatch.setattr(control, "MAX_LANES", NUM_LEARNERS // 2)
    monkeypatch.setattr(control.os, "cpu_count", lambda: 1)  # one queue for all
    for name, one, other in zip(
        side_by_side._fields, side_by_side, learn(), strict=True
    ):
        assert_array_equal(one, other, err_msg=name)


def test_any_function_of_the_same_signature_can_be_run_many_times(dense):
    config, algorithm = replace(CONFIG, num_episodes=5), mdp.monte_carlo_control
    rng = np.random.default_rng(4)
    together = mdp.learn_many(rng, dense.mdp, config, algorithm, 2)
    assert_learned_alone(together, algorithm, 4, dense.mdp, config)


def test_there_is_at_least_one_learner(dense):
    rng, world = np.random.default_rng(0), dense.mdp
    with pytest.raises(ValueError, match="num_learners must be at least 1, got 0"):
        mdp.learn_many(rng, world, CONFIG, mdp.sarsa, 0)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", control.COMPILED)
def test_after_a_number_of_steps_q_is_that_of_a_learner_alone(algorithm, dense):
    """At the ends of episodes 175, 350, ...: steps that no chunk of 512 ends with."""
    config = replace(CONFIG, num_episodes=700, num_snapshots=4)
    seeds = (1, 2)
    for seed in seeds:
        rngs = [np.random.default_rng(s) for s in seeds]
        learned = algorithm(np.random.default_rng(seed), dense.mdp, config)
        ends = learned.lengths.cumsum()[learned.snapshot_episodes - 1]
        assert ends[-1] > 1024, "more than two chunks"
        result = learn_by_steps(rngs, dense.mdp, config, algorithm, ends.tolist())
        lane = seeds.index(seed)
        snapshots = result.action_values[lane]
        assert_allclose(snapshots, learned.snapshots, rtol=1e-9, atol=1e-9)
        assert_array_equal(result.num_episodes[lane], learned.snapshot_episodes)
