"""The gate: what every exercise must do to its stub, reference, traps and variants.

Over several seeds: the stub fails, the reference passes, every trap fails the
exercise's own tests and is named by its own sentence and no other, every variant passes
without a sentence. All candidates of an exercise are judged in one process, which is
quick. The reference and the variants are then judged as a learner's function is.
"""

import ast
import difflib
import re
from collections.abc import Iterator

from tests.exercises import sources
from tests.exercises.check import Worker, judge
from tests.exercises.manifest import Diagnosis, Exercise, book
from tests.exercises.sources import Candidate

NUM_SEEDS = 3
MOST_SECONDS = 300.0  # for one judgement: the machine may be busy
WRONG = {"exception", "difference", "mutation", "trap", "failed"}
MOST_TOLD = 0.5  # the share of a right solution that one hint may show
TOKEN = re.compile(r"\w+|[^\w\s()\[\],.:;`]+")


def run_gate(exercise: Exercise | Diagnosis | None) -> int:
    """Show what is wrong with an exercise, or with all those from outside."""
    asked = [exercise] if exercise else [x for x in book().values() if x.home]
    if not asked or isinstance(exercise, Diagnosis):
        raise ValueError("Name an exercise, or give --book FOLDER.")
    worker, is_wrong = Worker(), False
    for each in asked:
        found = complaints(each, worker)
        is_wrong |= bool(found)
        counts = f"traps: {len(each.traps)}, variants: {len(each.variants)}"
        print(f"{each.id} ({counts}): {'not yet' if found else 'all is well'}")
        print("".join(f"    {text}\n" for text in found), end="", flush=True)
    worker.close()
    return int(is_wrong)


def complaints(exercise: Exercise, worker: Worker) -> list[str]:
    """Return what is wrong with an exercise, as sentences; nothing if all is well."""
    found = [*of_candidates(exercise, worker)]
    return found or [*of_right_ones(exercise, worker), *of_hints(exercise)]


def of_candidates(exercise: Exercise, worker: Worker) -> Iterator[str]:
    """Yield what is wrong when all candidates are judged in one process."""
    found = judge(exercise, None, NUM_SEEDS, time_limit=MOST_SECONDS, worker=worker)
    if trouble := went_wrong(found):
        yield trouble
        return
    for label in sources.candidates(exercise):
        own = [finding for finding in found if finding["of"] == label]
        yield from (f"{label}: {text}" for text in _verdict(label, own) if text)


def of_right_ones(exercise: Exercise, worker: Worker) -> Iterator[str]:
    """Yield what is wrong when right functions are judged as a learner's function is.

    They are compiled, in modules that no other candidate has been in.
    """
    for label, candidate in sources.candidates(exercise).items():
        if label == "reference" or label.startswith("variants"):
            found = judge(exercise, candidate, 0, "", MOST_SECONDS, worker, "fully")
            wrong = [finding for finding in found if finding["what"] in WRONG]
            if trouble := went_wrong(found) or wrong:
                yield f"{label}, judged as a learner's function: {trouble}"


def of_hints(exercise: Exercise) -> Iterator[str]:
    """Yield the hints that show more than half of a right solution."""
    edits = [sources.edited(exercise, variant) for variant in exercise.variants]
    for right in [sources.reference(exercise), *edits]:
        for number, hint in enumerate(exercise.hints, 1):
            if (share := told(hint, right)) > MOST_TOLD:
                yield f"hint {number} shows {share:.0%} of {right.file}"


def went_wrong(found: list[dict]) -> str:
    """Return what kept the judge from its work."""
    broken = [finding for finding in found if finding["what"] in ("broken", "loop")]
    return "".join(map(str, broken)) or (
        "" if found[-1]["what"] == "done" else "the judge was not done"
    )


def told(hint: str, right: Candidate) -> float:
    """Return the share of a function's lines that a hint shows, under any names.

    Runs of at least three words or signs count; brackets do not.
    """
    tree = ast.parse(right.source)
    function = next(n for n in tree.body if getattr(n, "name", "") == right.name)
    lines = function.body[ast.get_docstring(function) is not None :]
    named = {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            named.add(node.id)
    named |= set(re.findall(r"(\w+) = ", hint))
    texts = "\n".join(map(ast.unparse, lines)), hint
    ours, theirs = (
        ["_" if word in named else word for word in TOKEN.findall(text)]
        for text in texts
    )
    runs = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    return sum(x.size for x in runs.get_matching_blocks() if x.size > 2) / len(ours)


def _verdict(label: str, found: list[dict]) -> Iterator[str]:
    """Yield what is wrong with the judgement of a candidate, or empty texts."""
    kinds = {finding["what"] for finding in found}
    named = [finding["number"] for finding in found if finding["what"] == "trap"]
    if label.startswith("traps"):
        number = int(label.split()[1])
        yield "" if "failed" in kinds else "no unit test of the exercise fails on it"
        is_named = named == [number] * NUM_SEEDS
        yield "" if is_named else f"it is taken for the traps {named}"
    elif label == "stub":
        raised = [f["kind"] for f in found if f["what"] == "exception"]
        yield "" if "failed" in kinds else "no unit test fails on it"
        is_empty = set(raised) == {"NotImplementedError"}
        yield "" if is_empty else f"it raises {raised}"
    else:
        yield from (f"{f}" for f in found if f["what"] in WRONG)
