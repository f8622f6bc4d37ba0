"""The gate of the sick runs: what must be said of every fault, and of every poor test.

Most of it tries a learner's test, in forked processes. One test trains, and compares
the curves with what is said of them. A poor test must be rejected for what is poor
about it.
"""

import numpy as np
import pytest

from tests.exercises import commands, diagnosis, sources, workbook
from tests.exercises.check import Worker
from tests.exercises.manifest import diagnoses

pytestmark = pytest.mark.gate
SICK = diagnoses().values()
WORKER = Worker()
each_diagnosis = pytest.mark.parametrize("sick", SICK, ids=diagnoses())

# A call of each function with the fault, and its answer as a number to four digits.
CALLS = {
    "loss": """
zeros = jnp.zeros(99)
now = Evaluation(jnp.log(jnp.linspace(0.3, 0.9, 99)), zeros, zeros)
old = jnp.log(jnp.linspace(0.77, 0.1, 99))
batch = Batch(zeros, zeros, old, zeros, now.log_prob, zeros, zeros + 1)
wide = config.ImproveConfig(clip=1.0)
total, measured = ppo.loss(zeros, batch, lambda *_: now, 0.0, wide)
answer = measured.first_ratio""",
    "generalized_advantages": """
rows = jnp.arange(29) / 7.0
cut = jnp.where(rows == 1, 0.0, 1.0)
trajectory = Trajectory(rows, rows, -rows, rows, 0.9 * cut, rows, rows, cut, cut + 1)
found = advantages.generalized_advantages(trajectory, 0.7)
answer = found.sum()""",
    "clipped_surrogate": """
old = jnp.log(0.37)
answer = objectives.clipped_surrogate(jnp.log(0.59), old, jnp.array(1.3), 0.7)
answer += objectives.clipped_surrogate(jnp.log(0.9), old, jnp.array(1.3), 0.7)""",
}


# Assertions on the last bit: other right functions round differently.
STRICT = {
    "loss": """
ratios = jnp.exp(now.log_prob - old)
kept = jnp.minimum(ratios * now.log_prob, jnp.clip(ratios, 0, 2) * now.log_prob)
assert total == -(kept.sum() / 99)""",
    "generalized_advantages": """
traces = 0.7 * trajectory.discounts * trajectory.continues
errors = advantages.td_errors(trajectory)
def back(later, row):
    return (row[0] + row[1] * later,) * 2
expected = jax.lax.scan(back, 0.0, (errors, traces), reverse=True)[1]
assert (found == expected).all()""",
    "clipped_surrogate": """
ratios = jnp.exp(jnp.log(jnp.array([0.59, 0.9])) - old)
kept = jnp.minimum(ratios * 1.3, jnp.clip(ratios, 1 - 0.7, 1 + 0.7) * 1.3)
assert answer == kept[0] + kept[1]""",
}


def answers(sick):
    """The reference's answer to the call."""
    names = {}
    exec(sick.imports + CALLS[sick.name], names)
    return float(names["answer"])


def said(sick, body, fault=None, above=""):
    """The verdict on a test with this body."""
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    source = f"""{sick.imports}
import random
fault = "{sick.fault if fault is None else fault}"
{above}

def test_the_fault():
{lines}
"""
    attempt = sources.Candidate(source, sick.name, "workbook/mine.py")
    verdict = diagnosis.check(sick, attempt, WORKER)
    return verdict.state, " ".join(verdict.text.split())


@each_diagnosis
def test_the_file_to_begin_with_is_open_and_names_no_function(sick):
    source = sources.new_file(sick)
    attempt = sources.Candidate(source, sick.name, "workbook/mine.py")
    assert diagnosis.check(sick, attempt).state == "open"
    assert sick.name not in source.replace("advantages are", "")
    state, text = said(sick, sources.TODO)
    assert state == "open"
    assert "The fault is right" in text
    assert sick.place in text, "now it is said where to look"


@each_diagnosis
def test_the_books_own_test_passes(sick):
    source = f"{sick.imports}\n{sources.solution(sick)}"
    attempt = sources.Candidate(source, sick.name, "workbook/mine.py")
    verdict = diagnosis.check(sick, attempt, WORKER, is_own=True)
    assert verdict.state == "passed", verdict.text


@pytest.mark.slow
@pytest.mark.parametrize("is_own", [False, True])
def test_a_file_that_ends_python_is_told_so(is_own):
    """In a learner's own check, too, where it runs in the process of the judge."""
    sick = diagnoses()["what-is-wrong-1"]
    test = "def test_the_fault():\n    assert ppo.loss()"
    source = f'{sick.imports}\nfault = "{sick.fault}"\nraise SystemExit\n{test}\n'
    attempt = sources.Candidate(source, sick.name, "workbook/mine.py")
    verdict = diagnosis.check(sick, attempt, WORKER, is_own=is_own)
    assert "Your code ends Python itself" in verdict.text


@each_diagnosis
def test_of_each_wrong_fault_it_is_said_how_its_curves_look(sick):
    wrong = [fault for fault in sick.faults if fault.id != sick.fault]
    assert len(wrong) == 4
    texts = [said(sick, "assert True", fault.id) for fault in wrong]
    assert len(set(texts)) == len(wrong)
    for fault, (state, text) in zip(wrong, texts, strict=True):
        assert state == "failed"
        assert f"It is not {fault.id}" in text
        assert fault.shows in text
    assert "There is no fault 'gremlins'" in said(sick, "assert True", "gremlins")[1]


@each_diagnosis
def test_who_asks_for_the_last_bit_is_too_strict(sick):
    """A right function may round in another way."""
    state, text = said(sick, CALLS[sick.name] + "\n" + STRICT[sick.name])
    assert state == "failed", text
    assert f"too strict: it also fails on a right {sick.place} that" in text


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("assert True", "it calls nothing"),
        ("assert np.exp(0.0) == 1.0", "never calls {place}"),
        ("{call}\nassert np.isfinite(answer)", "passes on the faulty {place} too"),
        ("{call}\nassert not np.isfinite(answer)", "does not tell them apart"),
        ("{call}\nassert abs(answer - {right}) > 1e-3", "the wrong way round"),
        ("{call}\nassert answer == undefined", "raises NameError: name 'undefined'"),
        ("{call}\nassert random.random() < 0.5", "a matter of luck"),
        ("{call}\nif abs(answer - {right}) > 1e-3: answer[7]", "breaks instead of"),
        ("import inspect\nassert inspect", "looks at the text of the function"),
    ],
)
def test_a_poor_test_is_rejected_for_what_is_poor_about_it(body, sentence):
    sick = diagnoses()["what-is-wrong-3"]  # the quickest one
    right = repr(answers(sick))
    body = body.replace("{call}", CALLS[sick.name]).replace("{right}", right)
    state, text = said(sick, body)
    assert state == "failed"
    assert sentence.replace("{place}", sick.place) in text
    assert "The fault is right" in text
    assert "tests/exercises" not in text


def test_the_curves_are_as_they_are_told():
    """The curves of a learner's picture look as the text of each fault says."""
    sick = list(SICK)
    candidates = [sources.edited(one, one.trap) for one in sick]
    pairs = [(sick[0], sources.reference(sick[0])), *zip(sick, candidates, strict=True)]
    runs = [diagnosis.curves(*pair, WORKER) for pair in pairs]
    (healthy, recomputed, leaking, swapped) = (
        {name: np.array(curve) for name, curve in run.items()} for run in runs
    )
    assert healthy["exact performance J"][-1] > -11.5
    for ill in (recomputed, leaking, swapped):
        np.testing.assert_allclose(ill["exact performance J"][-1], -20.0, atol=0.1)
        np.testing.assert_allclose(ill["first_ratio"], 1.0, atol=1e-4)
    for name in ("approx_kl", "clip_fraction"):
        assert (recomputed[name] == 0).all()
        assert (healthy[name][:40] > 0).all()
    assert recomputed["entropy"][8] < 0.05 < 1.0 < healthy["entropy"][8]
    assert np.median(leaking["entropy"][-40:]) > 0.5
    assert np.median(healthy["entropy"][-40:]) < 0.2
    # The text says: it "stays around 0 and falls far below it, also late".
    assert np.median(leaking["explained_variance"][-40:]) < 0.0
    assert leaking["explained_variance"][-40:].min() < -1.0
    assert np.median(healthy["explained_variance"][-40:]) > 0.8
    assert leaking["approx_kl"].max() < 0.2
    assert np.median(swapped["approx_kl"][:15]) > 0.5
    assert swapped["clip_fraction"].max() > 0.8


def test_from_start_to_the_solution(tmp_path, monkeypatch, capsys):
    """The file, the curves, a wrong fault, the right one, the place in the book."""
    desk = tmp_path / "workbook"
    monkeypatch.setattr(workbook, "WORKBOOK", desk)
    curves = {"approx_kl": [0.0, 1.0], "entropy": [1.0, float("nan")]}
    monkeypatch.setattr(diagnosis, "curves", lambda sick, candidate: curves)
    assert commands.main(["start", "what-is-wrong-3"]) == 0
    assert (desk / "what_is_wrong_3.png").read_bytes().startswith(b"\x89PNG")
    assert commands.main(["check"]) == 1
    assert "no lines of yours yet" in capsys.readouterr().out
    file = desk / "what_is_wrong_3.py"
    empty = file.read_text()
    file.write_text(empty.replace('fault = ""', 'fault = "entropy-sign"'))
    assert commands.main(["check"]) == 1
    assert "It is not entropy-sign" in capsys.readouterr().out
    file.write_text(empty.replace('fault = ""', 'fault = "min-max-swapped"'))
    assert commands.main(["check"]) == 1
    assert "Now write the test" in capsys.readouterr().out
    assert commands.main(["hint"]) == 0
    assert commands.main(["solution", "what-is-wrong-3", "--reveal"]) == 0
    assert "def test_the_fault():" in capsys.readouterr().out
    assert commands.main(["reset"]) == 0
    assert file.read_text() == empty
    assert commands.main([]) == 0
    assert "what-is-wrong-2" in capsys.readouterr().out
