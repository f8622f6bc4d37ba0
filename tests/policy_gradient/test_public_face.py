"""The names that `policy_gradient` exports, and when they are imported."""

import ast
import subprocess
import sys
from pathlib import Path

import policy_gradient


def test_the_package_shows_its_exports_and_imports_jax_only_when_they_are_used():
    program = (
        "import sys, policy_gradient as pg; assert 'jax' not in sys.modules; "
        "assert dir(pg) == sorted(pg.__all__); "
        "assert pg.compare.__name__ == 'compare' and pg.ppo.train and pg.Trajectory"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_type_checkers_see_the_names_that_are_exported():
    tree = ast.parse(Path(policy_gradient.__file__).read_text("utf-8"))
    imported = {
        alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert imported == set(policy_gradient.__all__)
