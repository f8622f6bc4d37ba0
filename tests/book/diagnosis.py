"""What is wrong with this run? The fault that is named, and the test that catches it.

First the fault: a word, and what the curves say of it. Then the learner's test, on the
book's own function, on the one with the fault, and on right functions that are written
in another way, each in a process of its own. It must pass, fail, and pass, every time.
"""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.book import words
from tests.book.check import Run, fresh_process, judge
from tests.book.manifest import Diagnosis
from tests.book.nursery import nursery
from tests.book.sources import Candidate, edited, is_empty, reference
from tests.book.trial import FILE, TEST
from tests.book.words import Verdict

# What looks at the text of a function, and not at what it does.
SNOOPS = {"inspect", "dis", "linecache", "ast", "tokenize", "tests"}
SNOOPED = {"getsource", "__code__", "__wrapped__", "open", "read_text", "read_bytes"}


def check(diagnosis: Diagnosis, attempt: Candidate, run: Run | None = None) -> Verdict:
    """Judge a named fault and a test; `run` starts the processes."""
    try:
        tree = ast.parse(attempt.source)
    except SyntaxError as error:
        where = f"{attempt.file}, line {error.lineno}"
        line = (error.text or "").strip()
        return _failed(f"Python cannot read {where}: {error.msg}", line)
    named = fault_in(tree)
    if not named:
        return Verdict("open", f"Still open: no fault is named. ({diagnosis.id})")
    if named != diagnosis.fault:
        return _failed(*_not_that(diagnosis, named))
    right = words.wrapped(_right(diagnosis))
    test = next((n for n in tree.body if getattr(n, "name", "") == TEST), None)
    if test is None:
        return _failed(right, f"There is no function {TEST} in {attempt.file}.")
    if is_empty(test):
        ask = f"Now write the test: it calls {diagnosis.place}, passes on the book's own"
        ask += " function and fails on the faulty one."
        return Verdict("open", f"{right}\n\n{words.wrapped(ask)}")
    if complaint := _by_its_text(diagnosis, tree, test):
        return _failed(right, complaint)
    found = _Trials(diagnosis, attempt, run or nursery())
    if complaint := found.complaint():
        return _failed(right, *complaint)
    text = f"Passed: {diagnosis.title}\n\n{right}\n\n"
    return Verdict("passed", text + "Your test lets right functions pass and catches it.")


def fault_in(tree: ast.Module) -> str:
    """The fault that the learner's file names."""
    for line in tree.body:
        match line:
            case ast.Assign([ast.Name("fault")], ast.Constant(str(named))):
                return named.strip().lower().replace("_", "-")
    return ""


def draw(diagnosis: Diagnosis, path: Path) -> None:
    """Train twice, with the book's own function and with the faulty one; a picture."""
    from tests.book import plots

    with ThreadPoolExecutor() as pool:
        healthy, sick = pool.map(
            lambda candidate: curves(diagnosis, candidate), _pair(diagnosis)
        )
    path.parent.mkdir(exist_ok=True)
    plots.figure(diagnosis.title, healthy, sick).savefig(path, dpi=110)


def curves(
    diagnosis: Diagnosis, candidate: Candidate, run: Run = fresh_process
) -> dict[str, list[float]]:
    """The curves of the run with this candidate in the function's place."""
    found = judge(diagnosis, candidate, run=run)
    for finding in found:
        if finding["what"] == "curves":
            return finding["curves"]
    raise ValueError(f"The run could not be trained: {found[-1].get('message')}")


def _pair(diagnosis: Diagnosis) -> tuple[Candidate, Candidate]:
    return reference(diagnosis), edited(diagnosis, diagnosis.trap)


def _right(diagnosis: Diagnosis) -> str:
    fault = next(f for f in diagnosis.faults if f.id == diagnosis.fault)
    return f"The fault is right: {fault.id}. {fault.shows}"


def _not_that(diagnosis: Diagnosis, named: str) -> list[str]:
    """Why the curves speak against it."""
    for fault in diagnosis.faults:
        if fault.id == named:
            return [f"It is not {named}. How that looks: {fault.shows}",
                    "Compare with the picture, curve by curve."]
    known = ", ".join(fault.id for fault in diagnosis.faults)
    return [f"There is no fault {named!r} to choose; there are {known}."]


def _by_its_text(diagnosis: Diagnosis, tree: ast.Module, test: ast.FunctionDef) -> str:
    """What can be seen without running it."""
    for node in ast.walk(tree):
        names = set()
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names} & SNOOPS
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]} & SNOOPS
        elif isinstance(node, ast.Name | ast.Attribute):
            names = {getattr(node, "attr", getattr(node, "id", ""))} & SNOOPED
        if names:
            return (
                f"Your test looks at the text of the function ({names.pop()}). The same "
                "fault can be written in many ways, and so can the right function: "
                "call it, and look at what it answers."
            )
    if not any(isinstance(node, ast.Call) for node in ast.walk(test)):
        return (
            "Your test is empty of content: it calls nothing, so that it says the same "
            f"of every function. Call {diagnosis.place}, and assert what is true of it."
        )
    return ""


class _Trials:
    """The learner's test on one function after another, until it fails to convince."""

    def __init__(self, diagnosis: Diagnosis, attempt: Candidate, run: Run):
        self.diagnosis, self.attempt, self.run = diagnosis, attempt, run

    def complaint(self) -> list[str]:
        """The first reason not to be convinced by the test, if any."""
        place = self.diagnosis.place
        own, faulty = _pair(self.diagnosis)
        right = self.ends(own)
        if right.trouble:
            return right.trouble
        if not right.calls:
            return [f"Your test never calls {place}, where the fault is: whatever it "
                    "finds, it is not about that function."]
        if right.outcomes == {"error"}:
            return ["Your test has an error of its own: on the book's own, right "
                    f"function it raises {right.kind}: {right.message}", right.line]
        if len(right.outcomes) > 1:
            return ["Your test is a matter of luck: on the same function it passes "
                    "sometimes only. Use numbers that do not change, or a fixed seed."]
        if right.outcomes == {"failed"}:
            return [self.of_a_failure(self.ends(faulty)), right.line, right.message]
        sick = self.ends(faulty)
        if sick.trouble:
            return sick.trouble
        if sick.outcomes == {"passed"}:
            return [f"Your test passes on the faulty {place} too: it would not have "
                    "noticed. On which inputs does the fault change the answer?"]
        if len(sick.outcomes) > 1:
            return ["Your test is a matter of luck: it does not catch the faulty "
                    "function every time. Use inputs on which the fault always shows."]
        if sick.outcomes == {"error"}:
            return [f"On the faulty {place} your test breaks, and does not judge: it "
                    f"raises {sick.kind}: {sick.message}", sick.line,
                    "Let an assertion say what is wrong."]
        for variant in self.diagnosis.variants:
            other = self.ends(edited(self.diagnosis, variant))
            if other.trouble or other.outcomes != {"passed"}:
                return ["Your test catches the fault, but is too strict: it also fails "
                        f"on a right {place} that {variant.says}. Assert what every "
                        "right function does, to a tolerance of 1e-5 or so.",
                        other.line, other.message]
        return []

    def of_a_failure(self, sick: "_Ends") -> str:
        """It fails on the right function: and on the faulty one?"""
        if sick.outcomes == {"passed"}:
            return ("Your test is the wrong way round: it passes on the faulty function "
                    "and fails on the book's own, right one.")
        return ("Your test fails on the book's own, right function as well as on the "
                "faulty one: it does not tell them apart.")

    def ends(self, candidate: Candidate) -> "_Ends":
        """How the test ends on this candidate."""
        # Nothing in its name tells a candidate from another.
        hidden = candidate._replace(file=f"<{self.diagnosis.place}>")
        source = self.attempt.source
        return _Ends(judge(self.diagnosis, hidden, run=self.run, test=source), self)


class _Ends:
    """The findings of one process."""

    def __init__(self, found: list[dict], trials: _Trials):
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
            self.trouble = [f"Your test does not come to an end within {limit:.0f} s, "
                            "five times over. A few numbers are enough."]
        elif broken:
            self.trouble = [f"The check could not go on: {broken[0]['message']}"]
        elif raised:
            self.trouble = ["Your test has an error of its own: before it begins, "
                            f"{self.kind}: {self.message}", self.line]
        elif not ran:
            self.trouble = [f"pytest finds no {TEST} in {trials.attempt.file}."]


def _failed(*parts: str) -> Verdict:
    return Verdict("failed", "\n\n".join(words.wrapped(p) for p in parts if p))
