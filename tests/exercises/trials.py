"""Try a learner's test on one function after another: does it convince?

    the book's own          it must pass
    the one with the fault  it must fail, and by an assertion
    right variants          it must pass: they differ in the last digits only

Each function is tried several times; see trial.py. The learner is told the first reason
that speaks against the test, and no other.
"""

from typing import NamedTuple

from tests.exercises.check import Run, judge
from tests.exercises.manifest import Diagnosis
from tests.exercises.sources import Candidate, edited, reference
from tests.exercises.trial import TEST
from tests.exercises.words import own_line


class Outcome(NamedTuple):
    """What a learner's test does on one function."""

    ends: set[str]  # of its repetitions: "passed", "failed" by an assertion, "error"
    calls: int  # of the function
    kind: str  # of the exception, if there was one
    message: str
    line: str  # the learner's own line that raised it
    trouble: list[str]  # what kept the test from running, in words


def complaint(diagnosis: Diagnosis, attempt: Candidate, run: Run) -> list[str]:
    """The first reason that speaks against a test, if any, in paragraphs."""
    right = _outcome(diagnosis, attempt, run, reference(diagnosis))
    if reason := _of_itself(diagnosis, right):
        return reason
    faulty = _outcome(diagnosis, attempt, run, edited(diagnosis, diagnosis.trap))
    if right.ends == {"failed"}:
        return [_fails_on_right(faulty), right.line, right.message]
    if reason := _on_the_faulty(diagnosis, faulty):
        return reason
    for variant in diagnosis.variants:
        other = _outcome(diagnosis, attempt, run, edited(diagnosis, variant))
        if other.trouble or other.ends != {"passed"}:
            return [
                "Your test catches the fault, but it is too strict: it also fails on "
                f"a right {diagnosis.place} that {variant.says}. Assert what every "
                "right function does, with a tolerance of about 1e-5.",
                other.line,
                other.message,
            ]
    return []


def _of_itself(diagnosis: Diagnosis, right: Outcome) -> list[str]:
    """What is wrong with a test that is tried on the book's own function."""
    if right.trouble:
        return right.trouble
    if not right.calls:
        return [
            f"Your test never calls {diagnosis.place}, which has the fault: so it "
            "cannot find anything about that function."
        ]
    if right.ends == {"error"}:
        return [
            "Your test has an error of its own: on the book's own, right function it "
            f"raises {right.kind}: {right.message}",
            right.line,
        ]
    if len(right.ends) > 1:
        return [
            "Your test is a matter of luck: on the same function it sometimes passes "
            "and sometimes fails. Use fixed numbers, or a fixed seed."
        ]
    return []


def _fails_on_right(faulty: Outcome) -> str:
    """What is wrong with a test that fails on the book's own function."""
    if faulty.ends == {"passed"}:
        return (
            "Your test is the wrong way round: it passes on the faulty function and "
            "fails on the book's own, right one."
        )
    return (
        "Your test fails on the book's own, right function as well as on the faulty "
        "one: it does not tell them apart."
    )


def _on_the_faulty(diagnosis: Diagnosis, faulty: Outcome) -> list[str]:
    """What is wrong with how a test ends on the faulty function."""
    if faulty.trouble:
        return faulty.trouble
    if faulty.ends == {"passed"}:
        return [
            f"Your test passes on the faulty {diagnosis.place} too, so it does not "
            "catch the fault. For which inputs does the fault change the result?"
        ]
    if len(faulty.ends) > 1:
        return [
            "Your test is a matter of luck: it does not catch the faulty function "
            "every time. Use inputs for which the fault always shows."
        ]
    if faulty.ends == {"error"}:
        return [
            f"On the faulty {diagnosis.place} your test breaks instead of judging: it "
            f"raises {faulty.kind}: {faulty.message}",
            faulty.line,
            "Let an assertion fail there.",
        ]
    return []


def _outcome(
    diagnosis: Diagnosis, attempt: Candidate, run: Run, candidate: Candidate
) -> Outcome:
    """Try the test on a candidate; nothing in its name tells it from the others."""
    hidden = candidate._replace(file=f"<{diagnosis.place}>")
    found = judge(diagnosis, hidden, run=run, test=attempt.source)
    ran = [f for f in found if f["what"] == "ran"]
    raised = [f for f in found if f["what"] == "raised"]
    worst = next((f for f in [*raised, *ran] if f.get("kind")), {})
    message = "\n".join(worst.get("message", "").strip().splitlines()[:12])
    lines = worst.get("lines", [])
    line = "".join(own_line(attempt, n["number"], n["text"]) for n in lines)
    kind = worst.get("kind", "")
    trouble = []
    broken = {f["what"]: f for f in found if f["what"] in ("broken", "loop")}
    if "loop" in broken:
        trouble = [
            f"Your test does not end within {diagnosis.time_limit:.0f} s when it runs "
            "five times. A few numbers are enough."
        ]
    elif broken:
        trouble = [f"The check itself failed: {broken['broken']['message']}"]
    elif raised:
        trouble = [f"Your file has an error: it raises {kind}: {message}", line]
    elif not ran:
        trouble = [f"pytest finds no {TEST} in {attempt.file}."]
    calls = sum(f["times"] for f in found if f["what"] == "called")
    return Outcome({f["outcome"] for f in ran}, calls, kind, message, line, trouble)
