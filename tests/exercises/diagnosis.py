"""Check the diagnosis of a sick run: the named fault, and the test that catches it.

The fault comes first: it is a word, and the curves speak for it or against it. Then
comes the learner's test: first what its text shows, then what it does; see trials.py.
"""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.exercises.check import Worker, imports_only_arithmetic, judge, parsed
from tests.exercises.manifest import SPACES, Diagnosis
from tests.exercises.sources import Candidate, edited, is_empty, reference
from tests.exercises.trial import TEST
from tests.exercises.trials import complaint as complaint_about
from tests.exercises.words import RIGHT_FAULT, Verdict, failed, wrapped

TRAINING = 600.0  # seconds, for a slow and busy machine that has no models yet
# These look at the text of a function, and not at what it does.
SNOOPS = {"inspect", "dis", "linecache", "ast", "tokenize", "tests"}
SNOOPED = {"getsource", "__code__", "__wrapped__", "open", "read_text", "read_bytes"}


def check(
    diagnosis: Diagnosis,
    attempt: Candidate,
    worker: Worker | None = None,
    is_own: bool = False,
) -> Verdict:
    """Judge a named fault and a test; the worker runs the test.

    `is_own` says that a learner checks their own file, which is faster.
    """
    tree = parsed(attempt)
    if isinstance(tree, Verdict):
        return tree
    named = fault_in(tree)
    if not named:
        return Verdict("open", f"Still open: no fault is named yet. ({diagnosis.id})")
    if named != diagnosis.fault:
        return failed(*_not_that(diagnosis, named))
    right = wrapped(_right(diagnosis))
    test = next((n for n in tree.body if getattr(n, "name", "") == TEST), None)
    if test is None:
        return failed(right, f"There is no function {TEST} in {attempt.file}.")
    if is_empty(test):
        ask = wrapped(
            f"Now write the test: it calls {diagnosis.place}, passes on the book's "
            "own function, and fails on the faulty one."
        )
        return Verdict("open", f"{right}\n\n{ask}")
    if complaint := _by_its_text(diagnosis, tree, test):
        return failed(right, complaint)
    trusted = "fully" if is_own and imports_only_arithmetic(tree) else ""
    if complaints := complaint_about(diagnosis, attempt, worker or Worker(), trusted):
        return failed(right, *complaints)
    text = f"Passed: {diagnosis.title}\n\n{right}\n\n"
    return Verdict(
        "passed", text + "Your test catches it, and passes on every right one."
    )


def fault_in(tree: ast.Module) -> str:
    """The fault that the learner's file names, or an empty string."""
    for line in tree.body:
        match line:
            case ast.Assign([ast.Name("fault")], ast.Constant(str(named))):
                return "-".join(named.lower().translate(SPACES).split())
    return ""


def draw(diagnosis: Diagnosis, path: Path) -> None:
    """Draw the curves of two trainings, without the fault and with it.

    If a training returns samples of text, they go to a text file beside the picture.
    """
    from tests.exercises import plots

    pair = reference(diagnosis), edited(diagnosis, diagnosis.trap)
    # A run with arguments needs models; sound code makes them, in the healthy run.
    with ThreadPoolExecutor(1 if diagnosis.arguments else 2) as pool:
        healthy, sick = pool.map(lambda one: curves(diagnosis, one), pair)
    path.parent.mkdir(exist_ok=True)
    samples = healthy.pop("samples", []), sick.pop("samples", [])
    plots.figure(diagnosis.title, healthy, sick).savefig(path, dpi=110)
    if any(samples):
        parts = zip(("the healthy run", "the sick run"), samples, strict=True)
        text = "\n\n".join("\n".join([f"{name} writes", *x]) for name, x in parts)
        path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")


def curves(
    diagnosis: Diagnosis, candidate: Candidate, worker: Worker | None = None
) -> dict[str, list[float]]:
    """The curves of a training with this candidate in the function's place."""
    found = judge(diagnosis, candidate, time_limit=TRAINING, worker=worker)
    for finding in found:
        if finding["what"] == "curves":
            return finding["curves"]
    raise ValueError(f"The training failed: {found[-1].get('message')}")


def _right(diagnosis: Diagnosis) -> str:
    fault = next(f for f in diagnosis.faults if f.id == diagnosis.fault)
    return f"{RIGHT_FAULT}: {fault.id}. {fault.shows}"


def _not_that(diagnosis: Diagnosis, named: str) -> list[str]:
    """The sentences that compare the named fault with the curves."""
    for fault in diagnosis.faults:
        if fault.id == named:
            return [
                f"It is not {named}. That fault would look like this: {fault.shows}",
                "Compare this with the picture, curve by curve.",
            ]
    known = ", ".join(fault.id for fault in diagnosis.faults)
    return [f"There is no fault {named!r}; the faults are {known}."]


def _by_its_text(diagnosis: Diagnosis, tree: ast.Module, test: ast.FunctionDef) -> str:
    """A sentence on what is wrong with a test, without running it."""
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
                f"Your test looks at the text of the function ({names.pop()}). Both "
                "the fault and the right function can be written in many ways: call "
                "the function, and look at its result."
            )
    if not any(isinstance(node, ast.Call) for node in ast.walk(test)):
        return (
            "Your test says nothing about the function, because it calls nothing. Call "
            f"{diagnosis.place}, and assert something about its result."
        )
    return ""
