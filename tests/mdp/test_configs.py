"""Schedules and configs, against their formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp


def test_a_schedule_is_the_initial_number_over_a_power_of_the_count():
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


@pytest.mark.parametrize(
    ("config", "fields", "value", "range_"),
    [
        (mdp.ControlConfig, "num_episodes max_steps num_snapshots", 0, "at least 1"),
        (mdp.ControlConfig, "step_size exploration", 1.5, r"in \[0, 1\]"),
        (mdp.ControlConfig, "step_size_decay exploration_decay", -1.0, "at least 0"),
        (mdp.PredictionConfig, "num_episodes max_steps num_steps", 0, "at least 1"),
        (mdp.PredictionConfig, "step_size trace_decay", 1.5, r"in \[0, 1\]"),
        (mdp.PredictionConfig, "step_size", -0.5, r"in \[0, 1\]"),
        (mdp.PredictionConfig, "step_size_decay", -1.0, "at least 0"),
    ],
)
def test_a_number_out_of_range_is_refused(config, fields, value, range_):
    for field in fields.split():
        with pytest.raises(ValueError, match=f"{field} must be {range_}, got {value}"):
            config(**{field: value})
