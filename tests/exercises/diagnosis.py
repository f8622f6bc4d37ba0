"""What is wrong with this run? The fault that is named, and the test that catches it.

First the fault: a word, and what the curves say of it. Then the learner's test: what
can be read off its text, and what comes of trying it; see trials.py.
"""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.exercises import words
from tests.exercises.check import Run, fresh_process, judge
from tests.exercises.manifest import Diagnosis
from tests.exercises.nursery import nursery
from tests.exercises.sources import Candidate, edited, is_empty, reference
from tests.exercises.trial import TEST
from tests.exercises.trials import Trials
from tests.exercises.words import Verdict

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
        ask = words.wrapped(
            f"Now write the test: it calls {diagnosis.place}, passes on the book's "
            "own function, and fails on the faulty one."
        )
        return Verdict("open", f"{right}\n\n{ask}")
    if complaint := _by_its_text(diagnosis, tree, test):
        return _failed(right, complaint)
    found = Trials(diagnosis, attempt, run or nursery())
    if complaint := found.complaint():
        return _failed(right, *complaint)
    text = f"Passed: {diagnosis.title}\n\n{right}\n\n"
    return Verdict("passed", text + "Your test catches it, and no right function.")


def fault_in(tree: ast.Module) -> str:
    """The fault that the learner's file names."""
    for line in tree.body:
        match line:
            case ast.Assign([ast.Name("fault")], ast.Constant(str(named))):
                return named.strip().lower().replace("_", "-")
    return ""


def draw(diagnosis: Diagnosis, path: Path) -> None:
    """Train twice, with the book's own function and with the faulty one; a picture."""
    from tests.exercises import plots

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
            return [
                f"It is not {named}. How that looks: {fault.shows}",
                "Compare with the picture, curve by curve.",
            ]
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
                f"Your test looks at the text of the function ({names.pop()}). The "
                "same fault can be written in many ways, and so can what is right: "
                "call it, and look at what it answers."
            )
    if not any(isinstance(node, ast.Call) for node in ast.walk(test)):
        return (
            "Your test is empty of content: it calls nothing, so that it says the same "
            f"of every function. Call {diagnosis.place}, and assert what is true of it."
        )
    return ""


def _failed(*parts: str) -> Verdict:
    return Verdict("failed", "\n\n".join(words.wrapped(p) for p in parts if p))
