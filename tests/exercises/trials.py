"""Try a learner's test on right and faulty functions: does it tell them apart?

    the book's own          it must pass
    the one with the fault  it must fail, and by an assertion
    right variants          it must pass: they differ in the last digits only

Each function is tried several times; see trial.py. The learner is told the first reason
that speaks against the test, and no other.
"""

from typing import NamedTuple

from tests.exercises.check import Worker, judge
from tests.exercises.manifest import Diagnosis
from tests.exercises.sources import Candidate, edited, reference
from tests.exercises.trial import TEST, TIMES
from tests.exercises.words import own_line

NO_CALL = (
    "Your test never calls {place}, which has the fault: so it cannot find that fault."
)
# The reasons, by how the test ends on the right function, and then on the faulty one.
ON_RIGHT = {
    "error": "Your test has an error of its own: on the book's own, right function it "
    "raises {kind}: {message}",
    "luck": "Your test is a matter of luck: on the same function it sometimes passes "
    "and sometimes fails. Use fixed numbers, or a fixed seed.",
}
FAILED_ON_RIGHT = {
    True: "Your test is the wrong way round: it passes on the faulty function and "
    "fails on the book's own, right one.",
    False: "Your test fails on the book's own, right function as well as on the faulty "
    "one: it does not tell them apart.",
}
ON_FAULTY = {
    "passed": "Your test passes on the faulty {place} too, so it does not catch the "
    "fault. For which inputs does the fault change the result?",
    "luck": "Your test is a matter of luck: it does not catch the faulty function "
    "every time. Use inputs for which the fault always shows.",
    "error": "On the faulty {place} your test breaks instead of judging. Let an "
    "assertion fail there. It raises {kind}: {message}",
}
TOO_STRICT = (
    "Your test catches the fault, but it is too strict: it also fails on a right "
    "{place} that {says}. Assert what every right function does, with a tolerance of "
    "about 1e-5."
)


class Outcome(NamedTuple):
    """The outcome of a learner's test on one function."""

    end: str = ""  # "passed", "failed" by an assertion, "error", or "luck": it varies
    calls: int = 0  # of the function
    kind: str = ""  # of the exception, if there was one
    message: str = ""
    line: str = ""  # the learner's own line that raised it
    trouble: str = ""  # what kept the test from running, in words


def complaint(
    diagnosis: Diagnosis, attempt: Candidate, worker: Worker, trusted: str = ""
) -> list[str]:
    """The first reason that speaks against a test, if any, in paragraphs."""

    def outcome(candidate: Candidate) -> Outcome:
        # The name of the file must not tell the test which candidate this is.
        hidden = candidate._replace(file=f"<{diagnosis.place}>")
        test = attempt.source
        found = judge(diagnosis, hidden, test=test, worker=worker, trusted=trusted)
        if trusted and not {finding["what"] for finding in found} & {"done", "loop"}:
            # Seen from another process, it is clear what ended the first one.
            found = judge(diagnosis, hidden, test=test, worker=worker)
        return _outcome(diagnosis, attempt, found)

    def reason(text: str, of: Outcome) -> list[str]:
        words = {"place": diagnosis.place, "kind": of.kind, "message": of.message}
        return [text.format(**words), of.line]

    right = outcome(reference(diagnosis))
    if right.trouble:
        return [right.trouble, right.line]
    if not right.calls and right.end != "error":
        return reason(NO_CALL, Outcome())
    if right.end in ON_RIGHT:
        return reason(ON_RIGHT[right.end], right)
    faulty = outcome(edited(diagnosis, diagnosis.trap))
    if right.end == "failed":
        text = FAILED_ON_RIGHT[faulty.end == "passed"]
        return [text, right.line, right.message]
    if faulty.trouble or faulty.end in ON_FAULTY:
        return reason(faulty.trouble or ON_FAULTY[faulty.end], faulty)
    for variant in diagnosis.variants:
        other = outcome(edited(diagnosis, variant))
        if other.end != "passed":
            text = TOO_STRICT.format(place=diagnosis.place, says=variant.says)
            return [text, other.line, other.message]
    return []


def _outcome(diagnosis: Diagnosis, attempt: Candidate, found: list[dict]) -> Outcome:
    """Put the findings of one trial together."""
    by_kind = {finding["what"]: finding for finding in found}
    if "loop" in by_kind:
        limit = f"{diagnosis.time_limit:.0f} s when it runs {TIMES} times"
        text = f"Your test does not end within {limit}. A few numbers are enough."
        return Outcome(trouble=text)
    if "ended" in by_kind:
        return Outcome(trouble=by_kind["ended"]["message"])
    if "broken" in by_kind:
        return Outcome(trouble=f"The check failed: {by_kind['broken']['message']}")
    ran = [finding for finding in found if finding["what"] == "ran"]
    raised = [finding for finding in found if finding["what"] == "raised"]
    worst = next((f for f in [*raised, *ran] if f.get("kind")), {})
    kind = worst.get("kind", "")
    message = "\n".join(worst.get("message", "").strip().splitlines()[:12])
    lines = worst.get("lines", [])
    line = "".join(own_line(attempt, n["number"], n["text"]) for n in lines)
    trouble = "" if ran else f"pytest finds no {TEST} in {attempt.file}."
    if raised:
        trouble = f"Your file cannot be run: it raises {kind}: {message}"
    ends = {finding["outcome"] for finding in ran} or {""}
    end = ends.pop() if len(ends) == 1 else "luck"
    return Outcome(end, by_kind["called"]["times"], kind, message, line, trouble)
