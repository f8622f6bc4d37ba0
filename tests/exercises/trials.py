"""Does a learner's test convince? It is tried on one function after another.

    the book's own          it must pass
    the one with the fault  it must fail, and by an assertion
    right variants          it must pass: they answer alike, up to the last digits

Each is tried several times over in a process of its own; see trial.py. The first reason
not to be convinced is said, and no other.
"""

from tests.exercises import words
from tests.exercises.check import Run, judge
from tests.exercises.manifest import Diagnosis
from tests.exercises.sources import Candidate, edited, reference
from tests.exercises.trial import TEST


class Trials:
    """The learner's test on one function after another, until it fails to convince."""

    def __init__(self, diagnosis: Diagnosis, attempt: Candidate, run: Run):
        self.diagnosis, self.attempt, self.run = diagnosis, attempt, run

    def complaint(self) -> list[str]:
        """The first reason not to be convinced by the test, if any."""
        place = self.diagnosis.place
        own = reference(self.diagnosis)
        faulty = edited(self.diagnosis, self.diagnosis.trap)
        right = self.ends(own)
        if right.trouble:
            return right.trouble
        if not right.calls:
            return [
                f"Your test never calls {place}, where the fault is: whatever it "
                "finds, it is not about that function."
            ]
        if right.outcomes == {"error"}:
            return [
                "Your test has an error of its own: on the book's own, right "
                f"function it raises {right.kind}: {right.message}",
                right.line,
            ]
        if len(right.outcomes) > 1:
            return [
                "Your test is a matter of luck: on the same function it passes "
                "sometimes only. Use numbers that do not change, or a fixed seed."
            ]
        if right.outcomes == {"failed"}:
            return [self.of_a_failure(self.ends(faulty)), right.line, right.message]
        sick = self.ends(faulty)
        if sick.trouble:
            return sick.trouble
        if sick.outcomes == {"passed"}:
            return [
                f"Your test passes on the faulty {place} too: it would not have "
                "noticed. On which inputs does the fault change the answer?"
            ]
        if len(sick.outcomes) > 1:
            return [
                "Your test is a matter of luck: it does not catch the faulty "
                "function every time. Use inputs on which the fault always shows."
            ]
        if sick.outcomes == {"error"}:
            return [
                f"On the faulty {place} your test breaks, and does not judge: it "
                f"raises {sick.kind}: {sick.message}",
                sick.line,
                "Let an assertion say what is wrong.",
            ]
        for variant in self.diagnosis.variants:
            other = self.ends(edited(self.diagnosis, variant))
            if other.trouble or other.outcomes != {"passed"}:
                return [
                    "Your test catches the fault, but is too strict: it also fails "
                    f"on a right {place} that {variant.says}. Assert what every "
                    "right function does, to a tolerance of 1e-5 or so.",
                    other.line,
                    other.message,
                ]
        return []

    def of_a_failure(self, sick: "_Ends") -> str:
        """It fails on the right function: and on the faulty one?"""
        if sick.outcomes == {"passed"}:
            return (
                "Your test is the wrong way round: it passes on the faulty function "
                "and fails on the book's own, right one."
            )
        return (
            "Your test fails on the book's own, right function as well as on the "
            "faulty one: it does not tell them apart."
        )

    def ends(self, candidate: Candidate) -> "_Ends":
        """How the test ends on this candidate."""
        # Nothing in its name tells a candidate from another.
        hidden = candidate._replace(file=f"<{self.diagnosis.place}>")
        source = self.attempt.source
        return _Ends(judge(self.diagnosis, hidden, run=self.run, test=source), self)


class _Ends:
    """The findings of one process."""

    def __init__(self, found: list[dict], trials: Trials):
        ran = [f for f in found if f["what"] == "ran"]
        raised = [f for f in found if f["what"] == "raised"]
        # An end of its own kind first.
        worst = next((f for f in [*raised, *ran] if f.get("kind")), {})
        self.outcomes = {f["outcome"] for f in ran}
        self.calls = sum(f["times"] for f in found if f["what"] == "called")
        self.kind = worst.get("kind", "")
        self.message = "\n".join(worst.get("message", "").strip().splitlines()[:12])
        lines = worst.get("lines", [])
        self.line = "".join(
            words.own_line(trials.attempt, n["number"], n["text"]) for n in lines
        )
        self.trouble = []
        broken = [f for f in found if f["what"] in ("broken", "loop")]
        if any(f["what"] == "loop" for f in broken):
            limit = trials.diagnosis.time_limit
            self.trouble = [
                f"Your test does not come to an end within {limit:.0f} s, "
                "five times over. A few numbers are enough."
            ]
        elif broken:
            self.trouble = [f"The check could not go on: {broken[0]['message']}"]
        elif raised:
            self.trouble = [
                "Your test has an error of its own: before it begins, "
                f"{self.kind}: {self.message}",
                self.line,
            ]
        elif not ran:
            self.trouble = [f"pytest finds no {TEST} in {trials.attempt.file}."]
