"""The shape of the project, read off its own imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ["mdp", "policy_gradient", "lm_bandit"]  # each stands on those before it


def imported_packages(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield node.module.split(".")[0]


@pytest.mark.parametrize("floor", FLOORS)
def test_no_floor_imports_a_higher_one(floor):
    above = set(FLOORS[FLOORS.index(floor) + 1 :]) | {"tests", "benchmarks"}
    files = list((ROOT / floor).rglob("*.py"))
    assert files
    for file in files:
        upwards = above & set(imported_packages(file))
        assert not upwards, f"{file.relative_to(ROOT)} imports {upwards}"


def test_only_plots_import_matplotlib():
    for floor in FLOORS:
        for file in (ROOT / floor).rglob("*.py"):
            if file.name != "plots.py":
                assert "matplotlib" not in imported_packages(file), file


def test_no_module_is_longer_than_400_lines():
    for floor in FLOORS:
        for file in (ROOT / floor).rglob("*.py"):
            name, lines = str(file.relative_to(ROOT)), file.read_text().count("\n")
            assert lines <= 400, f"{name} has {lines} lines"
