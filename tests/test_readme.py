"""The README's programs print what it shows."""

import doctest
import re
from pathlib import Path

import pytest

from lm_bandit.lab.command import EXPERIMENTS
from policy_gradient.__main__ import main
from tests.exercises.manifest import diagnoses, exercises

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_smallest_programs_print_what_is_shown():
    program = re.search(r"```python\n(>>>.*?)```", README, re.DOTALL).group(1)
    test = doctest.DocTestParser().get_doctest(program, {}, "README", None, None)
    printed: list[str] = []
    runner = doctest.DocTestRunner()
    runner.run(test, out=printed.append)
    assert runner.failures == 0, "".join(printed)
    assert runner.tries >= 8


def test_the_numbers_of_exercises_and_experiments_are_those_of_the_book():
    words = "no one two three four five six seven eight nine ten eleven twelve".split()
    assert f"You write {len(exercises())} functions" in README
    assert f"{words[len(diagnoses())].capitalize()} training runs" in README
    assert f"lists {words[len(EXPERIMENTS)]} experiments" in README


@pytest.mark.slow
def test_a_world_and_an_algorithm_of_ones_own_are_compared(tmp_path, monkeypatch):
    mine = re.search(r"```python\n(# mine.py\n.*?)```", README, re.DOTALL).group(1)
    (tmp_path / "mine.py").write_text(mine, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = "compare --worlds mine.py:coin --algorithms mine.py:halving ppo"
    assert command in README
    small = ["--seeds", "3", "--steps", "5000", "--checkpoints", "5", "--out", "out"]
    assert main([*command.split(), *small]) == 0
    assert (tmp_path / "out" / "comparison.png").exists()
