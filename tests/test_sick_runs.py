"""Sick runs of RLHF without end: a seed chooses a fault, and the learner finds it."""

import pytest

from lm_bandit.config import RLHFConfig
from lm_bandit.doctor import RULES
from tests.exercises import commands, diagnosis, sick_runs, sources, workbook
from tests.exercises.check import Worker
from tests.exercises.manifest import find

FAULTS = sick_runs.faults()
WORKER = Worker()


def first_with(fault):
    """The first sick run with this fault."""
    runs = (sick_runs.sick_run(seed) for seed in range(1000))
    return next(run for run in runs if run.fault == fault)


def test_a_seed_gives_one_run_and_the_seeds_together_all_faults():
    runs = [sick_runs.sick_run(seed) for seed in range(100)]
    assert {run.fault for run in runs} == set(FAULTS)
    assert len(FAULTS) >= 12
    for run in runs:
        assert run.fault in [fault.id for fault in run.faults]
        assert len({fault.id for fault in run.faults}) == sick_runs.CHOICES
        assert find(run.id.upper()) is run
        RLHFConfig(**sick_runs.settings(*run.arguments))
    with pytest.raises(ValueError, match="--seed must be from 0"):
        sick_runs.sick_run(-1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_an_edit_that_the_doctor_knows(fault):
    sick = first_with(fault)
    others = [sources.edited(sick, edit) for edit in (sick.trap, *sick.variants)]
    assert len({sources.reference(sick), *others}) == 1 + len(others)
    assert fault in [rule.fault for rule in RULES]
    assert len(sick.hints) == 3
    assert sick.name not in "".join(sources.new_file(sick).split("# Name")[1])


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_the_books_own_test_catches_the_fault_and_no_right_function(fault):
    sick = first_with(fault)
    source = f"{sick.imports}\n{sources.solution(sick)}"
    attempt = sources.Candidate(source, sick.name, "workbook/mine.py")
    verdict = diagnosis.check(sick, attempt, WORKER, is_own=True)
    assert verdict.state == "passed", verdict.text


def test_from_start_to_a_named_fault(tmp_path, monkeypatch, capsys):
    """Its file, its curves and texts; then `check` finds the run that was begun."""
    desk = tmp_path / "workbook"
    monkeypatch.setattr(workbook, "WORKBOOK", desk)
    curves = {"kl": [0.0, 1.0], "samples": ["praise: the film was  |  good"]}
    monkeypatch.setattr(diagnosis, "curves", lambda sick, candidate: dict(curves))
    assert commands.main(["check", "what-is-wrong"]) == 2
    assert "No sick run is begun" in capsys.readouterr().err
    assert commands.main(["start", "what-is-wrong", "--seed", "7"]) == 0
    assert "the sick run writes\npraise: the film was" in capsys.readouterr().out
    file = desk / "what_is_wrong_seed_7.py"
    assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert commands.main(["check"]) == 1
    assert "no lines of yours yet" in capsys.readouterr().out
    right = sick_runs.sick_run(7)
    named = {
        fault.id: file.read_text().replace('fault = ""', f'fault = "{fault.id}"')
        for fault in right.faults
    }
    for fault, text in named.items():
        file.write_text(text)
        assert commands.main(["check", "what_is_wrong"]) == 1
        said = " ".join(capsys.readouterr().out.split())
        expected = "Now write the test" if fault == right.fault else f"not {fault}"
        assert expected in said
    assert commands.main(["start", "what-is-wrong"]) == 0
    assert (desk / "what_is_wrong_seed_0.py").exists()
    assert commands.main(["check", "--seed", "7"]) == 2
    assert "--seed is for what-is-wrong" in capsys.readouterr().err
