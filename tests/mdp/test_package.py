"""The package as a whole: light to import, and complete in `dir`."""

import doctest
import subprocess
import sys

import mdp


def test_the_package_needs_no_heavy_import_for_plain_solvers_and_learners():
    heavy = {"jax", "matplotlib", "tyro", "rich", "gymnasium", "scipy"}
    program = (
        "import sys, mdp, numpy; lake = mdp.worlds.frozen_lake(0.9); dir(mdp); "
        "mdp.value_iteration(lake); config = mdp.ControlConfig(num_episodes=1); "
        "mdp.q_learning(numpy.random.default_rng(0), lake, config); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not heavy & set(loaded)


def test_dir_lists_the_public_names_and_each_of_them_exists():
    assert {"learn_many", "solve_large", "solve_small", "stack"} < set(dir(mdp))
    for name in dir(mdp):
        assert getattr(mdp, name).__doc__, f"{name} has no docstring"
    assert not hasattr(mdp, "solve_medium")


def test_the_example_that_opens_the_package_is_true():
    outcome = doctest.testmod(mdp)
    assert outcome.attempted > 0
    assert outcome.failed == 0
