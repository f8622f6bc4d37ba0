"""Many learners at once, compiled or not, against each of them by itself."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp.fast import control as fast_control

COMPILED = (mdp.sarsa, mdp.expected_sarsa, mdp.q_learning)

# Compiling takes longer than learning: these tests share their shapes.
NUM_LEARNERS = 20
FALLING = mdp.ControlConfig(
    num_episodes=4000,
    max_steps=3,
    step_size=1.0,
    step_size_decay=0.7,
    exploration=0.5,
    initial_value=-1.0,
)


def assert_learned_alone(together, algorithm, seed, world, config):
    """The first two learners: values, returns, lengths and snapshots."""
    for i, rng in enumerate(np.random.default_rng(seed).spawn(2)):
        alone = algorithm(rng, world, config)
        for name, one, many in zip(alone._fields, alone, together, strict=True):
            message = f"{name} of {algorithm.__name__}"
            assert_allclose(many[i], one, rtol=1e-9, atol=1e-9, err_msg=message)


@pytest.mark.parametrize("algorithm", COMPILED)
def test_the_compiled_twin_learns_the_same_numbers(algorithm, dense):
    """From the same random draws, with cut-offs and actions that are not available."""
    config = replace(FALLING, num_episodes=30)
    rng, world = np.random.default_rng(1), dense.mdp
    together = mdp.learn_many(rng, world, config, algorithm, NUM_LEARNERS)
    assert_learned_alone(together, algorithm, 1, world, config)


def test_the_twin_lets_exploration_fall_as_well(dense):
    config = replace(FALLING, num_episodes=30, exploration_decay=0.5)
    rng, world = np.random.default_rng(2), dense.mdp
    together = mdp.learn_many(rng, world, config, mdp.q_learning, NUM_LEARNERS)
    assert_learned_alone(together, mdp.q_learning, 2, world, config)


def test_where_one_learner_has_finished_the_next_begins(dense, monkeypatch):
    """More learners than lanes: each still learns what it would have learned alone."""
    config, world = replace(FALLING, num_episodes=300), dense.mdp
    algorithm = mdp.q_learning
    few = mdp.learn_many(
        np.random.default_rng(3), world, config, algorithm, NUM_LEARNERS
    )
    monkeypatch.setattr(fast_control, "MAX_LANES", NUM_LEARNERS // 2)
    monkeypatch.setattr(fast_control.os, "cpu_count", lambda: 1)  # one queue for all
    rng = np.random.default_rng(3)
    queued = mdp.learn_many(rng, world, config, algorithm, NUM_LEARNERS)
    for name, one, other in zip(few._fields, few, queued, strict=True):
        assert_array_equal(one, other, err_msg=name)


def test_any_function_of_the_same_signature_can_be_run_many_times(dense):
    config, algorithm = replace(FALLING, num_episodes=5), mdp.monte_carlo_control
    rng = np.random.default_rng(4)
    together = mdp.learn_many(rng, dense.mdp, config, algorithm, 2)
    assert_learned_alone(together, algorithm, 4, dense.mdp, config)


def test_learning_alone_does_not_import_jax():
    program = (
        "import sys, mdp, numpy; "
        "mdp.q_learning(numpy.random.default_rng(0), mdp.worlds.cliff_walking(), "
        "mdp.ControlConfig(num_episodes=1)); sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_there_is_at_least_one_learner(dense):
    rng, world = np.random.default_rng(0), dense.mdp
    with pytest.raises(ValueError, match="num_learners must be at least 1, got 0"):
        mdp.learn_many(rng, world, mdp.ControlConfig(), mdp.sarsa, 0)
