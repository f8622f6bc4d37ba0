"""README and guide: programs print what is shown, and numbers were measured."""

import doctest
import importlib
import json
import re
import shlex
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

import lm_bandit
import mdp
from benchmarks import numbers
from lm_bandit import commands
from lm_bandit.__main__ import main as lm_bandit_main
from lm_bandit.lab.command import EXPERIMENTS
from lm_bandit.world import pocket_world
from mdp.interface import command_line
from policy_gradient.__main__ import main
from tests.exercises.manifest import diagnoses, exercises
from tests.lm_bandit.small_run import few_words

ROOT = Path(__file__).parent.parent
README, GUIDE = ((ROOT / f"{x}.md").read_text("utf-8") for x in ("README", "GUIDE"))
TEXTS = README + GUIDE
# A smaller model that trains less, which keeps a test short.
SMALL = (
    "--model.num-layers 1 --model.d-model 16 --pretraining.num-updates 100 "
    "--sft.num-updates 100 --reward.num-updates 200"
).split()


def test_the_smallest_programs_print_what_is_shown():
    program = re.search(r"```python\n(>>>.*?)```", README, re.DOTALL).group(1)
    test = doctest.DocTestParser().get_doctest(program, {}, "README", None, None)
    printed: list[str] = []
    runner = doctest.DocTestRunner()
    runner.run(test, out=printed.append)
    assert runner.failures == 0, "".join(printed)
    assert runner.tries >= 7


def test_every_number_of_a_training_run_is_one_that_was_measured():
    """`python -m benchmarks.numbers` writes the file from which the sentences come."""
    measured = json.loads(numbers.FILE.read_text("utf-8"))
    for name, sentence in numbers.sentences(measured).items():
        text = " ".join((ROOT / name).read_text("utf-8").split())
        assert sentence in text


def test_every_link_leads_to_a_file_or_a_heading():
    for target in re.findall(r"\]\(([^)]+)\)", TEXTS):
        file, _, heading = target.partition("#")
        assert (ROOT / file).exists(), target
        if heading:
            lines = re.findall(r"^#+ (.*)$", (ROOT / file).read_text("utf-8"), re.M)
            plain = [re.sub(r"[^a-z0-9 -]", "", line.lower()) for line in lines]
            assert heading in [line.replace(" ", "-") for line in plain], target


COMMANDS = sorted(
    set(
        re.findall(
            r"(?:python|\.venv/bin/python) -m ((?:mdp|policy|lm)_?\w* ?[^`\n#]*)", TEXTS
        )
    )
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_shown_command_is_understood(command, monkeypatch):
    """It is parsed as it is written, and would run."""
    package, *flags = shlex.split(command)
    parsed = []
    monkeypatch.setattr(command_line, "_parse", lambda *args: parsed.append(args))
    module = importlib.import_module(f"{package}.__main__")
    monkeypatch.setattr(sys, "argv", [package, *flags])
    with suppress(AttributeError):  # `_parse` now returns nothing that could run
        module.main()
    monkeypatch.undo()
    commands, args, *about = parsed[0]
    asked = args if args is not None else flags
    made = command_line._parse(commands, [x for x in asked if x != "--help"], *about)
    assert callable(made.run)


def test_the_numbers_of_exercises_and_experiments_are_those_of_the_book():
    words = "no one two three four five six seven eight nine ten eleven twelve".split()
    shown = " ".join(TEXTS.split())
    assert f"You write {len(exercises())} functions" in shown
    assert f"{words[len(diagnoses())].capitalize()} training runs" in shown
    assert f"lists {words[len(EXPERIMENTS)]} experiments" in shown
    assert f"{words[len(EXPERIMENTS)]} experiments on [what" in shown


def program(first_line: str) -> str:
    """The shown program that begins with this line."""
    found = re.search(rf"```\w+\n({re.escape(first_line)}\n.*?)```", TEXTS, re.DOTALL)
    assert found, (
        f"the README and the guide show no program that begins with {first_line!r}"
    )
    return found.group(1)


@pytest.mark.slow
def test_a_world_and_an_algorithm_of_ones_own_are_compared(tmp_path, monkeypatch):
    mine = program("# mine.py\nimport numpy as np")
    (tmp_path / "mine.py").write_text(mine, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = "compare --worlds mine.py:coin --algorithms mine.py:halving ppo"
    assert command in GUIDE
    small = ["--seeds", "3", "--steps", "5000", "--checkpoints", "5", "--out", "out"]
    assert main([*command.split(), *small]) == 0
    assert (tmp_path / "out" / "comparison.png").exists()


@pytest.mark.slow
def test_a_reward_and_a_transformer_of_ones_own_come_close_to_the_exact_optimum(
    tmp_path, monkeypatch
):
    """The program as it is shown; its world has 4 words, and it trains less."""
    ratings = tmp_path / "four.csv"
    ratings.write_text("word,a\ngood,2\nbad,-2\nboring,-1\nsuperb,3\n")
    schedule = lm_bandit.LanguageConfig(num_updates=100)
    short = {"num_babble": 1024, "num_demonstrations": 512, "sft": schedule}
    short |= {"pretraining": schedule, "ppo": lm_bandit.RLHFConfig(num_updates=40)}
    config = partial(lm_bandit.RunConfig, **short)
    monkeypatch.setattr(lm_bandit, "RunConfig", config)
    monkeypatch.setattr(lm_bandit, "pocket_world", partial(pocket_world, ratings))
    names: dict = {}
    exec(program("# own reward"), names)
    assert 0.9 < names["share"] <= 1.0
    learned = names["learned"]
    assert learned.models.policy.wte.shape[1] == 16
    assert set(map(float, learned.models.reward_model.scores[:, 0])) == {0.0}


@pytest.mark.slow
def test_a_method_of_ones_own_is_compared(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        program("# mine.py\nfrom dataclasses import replace")
    )
    monkeypatch.chdir(tmp_path)
    command = "compare --methods mine.py:plain_gradient ppo"
    assert command in GUIDE
    monkeypatch.setattr(commands, "pocket_world", lambda ratings: few_words())
    small = [*SMALL, "--ppo.num-updates", "30", "--seeds", "2", "--out", "out"]
    assert lm_bandit_main([*command.split(), *small]) == 0
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    # In 30 updates, a quarter of the usual number.
    assert found["methods"]["plain_gradient"]["share_worst"][-1] > 0.3


@pytest.mark.slow
def test_ratings_of_ones_own_words_make_a_world(tmp_path, monkeypatch):
    (tmp_path / "tastes.csv").write_text(program("word,me,you,she"))
    monkeypatch.chdir(tmp_path)
    command = "--ratings tastes.csv --out runs/tastes"
    assert command in GUIDE
    small = [*SMALL, "--ppo.num-updates", "20"]
    assert lm_bandit_main([*command.split(), *small]) == 0
    report = json.loads((tmp_path / "runs" / "tastes" / "report.json").read_text())
    assert report["share_to_optimum"] > 0.5


def test_gymnasium_programs_print_what_is_shown():
    pytest.importorskip("gymnasium")
    shown = re.search(r"```python\n(>>> from mdp.gym.*?)```", GUIDE, re.DOTALL).group(1)
    test = doctest.DocTestParser().get_doctest(shown, {"mdp": mdp}, "guide", None, None)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.failures == 0
    assert runner.tries == 6
