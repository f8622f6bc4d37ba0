"""Schedules and configs, against their formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp


def test_schedules_shrink_as_they_say():
    counts = np.array([1, 2, 4])
    assert_allclose(mdp.schedule(0.5, 0.0, counts), 0.5)
    assert_allclose(mdp.schedule(1.0, 1.0, counts), [1, 1 / 2, 1 / 4])
    assert_allclose(mdp.schedule(0.6, 0.5, counts), 0.6 / np.sqrt([1, 2, 4]))


def test_epsilon_and_snapshots_follow_the_config():
    config = mdp.ControlConfig(
        num_episodes=4, exploration=0.6, exploration_decay=1.0, num_snapshots=4
    )
    assert_allclose(config.explorations, [0.6, 0.3, 0.2, 0.15])
    assert_array_equal(config.snapshot_episodes, [1, 2, 3, 4])
    halves = mdp.ControlConfig(num_episodes=5, num_snapshots=2)
    assert_array_equal(halves.snapshot_episodes, [3, 5], err_msg="not before 5/2")
    few = mdp.ControlConfig(num_episodes=3, num_snapshots=10)
    assert_array_equal(few.snapshot_episodes, [1, 2, 3], err_msg="each but once")


@pytest.mark.parametrize("config", [mdp.ControlConfig, mdp.PredictionConfig])
def test_what_no_learner_can_do_is_refused(config):
    with pytest.raises(ValueError, match="num_episodes must be at least 1, got 0"):
        config(num_episodes=0)
    with pytest.raises(ValueError, match=r"step_size must be in \[0, 1\], got 1.5"):
        config(step_size=1.5)
    with pytest.raises(ValueError, match="step_size_decay must be at least 0, got -1"):
        config(step_size_decay=-1.0)
    with pytest.raises(ValueError, match="max_steps must be at least 1, got 0"):
        config(max_steps=0)


def test_what_only_some_learners_cannot_do_is_refused_to_them():
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        mdp.PredictionConfig(num_steps=0)
    with pytest.raises(ValueError, match="num_snapshots must be at least 1, got 0"):
        mdp.ControlConfig(num_snapshots=0)
    with pytest.raises(ValueError, match="exploration_decay must be at least 0"):
        mdp.ControlConfig(exploration_decay=-1.0)
    with pytest.raises(ValueError, match=r"trace_decay must be in \[0, 1\], got 1.5"):
        mdp.PredictionConfig(trace_decay=1.5)
    with pytest.raises(ValueError, match=r"exploration must be in \[0, 1\], got 1.5"):
        mdp.ControlConfig(exploration=1.5)
