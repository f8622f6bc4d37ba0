"""What is wrong with an attempt, in words: the plainest reason first, and only one.

it cannot be read              file, line, and the line
it is not there                the name or the signature that was expected
it is still empty              open, not failed
it never returns, or raises    the learner's own line
it changes what it was given   which argument
it answers, but wrongly        the sentence of the trap; the equation; the smallest
                               case that differs, with expected and got
"""

import ast
import difflib
import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.book.manifest import ROOT, Exercise
from tests.book.sources import Candidate, is_empty, reference_arguments

# Starts the judge on a job and waits for it: (job, findings, time limit) -> last words.
Run = Callable[[Path, Path, float], str]


class Verdict(NamedTuple):
    """The outcome of a check, and what is said about it."""

    state: str  # "passed", "failed" or "open"
    text: str
    findings: tuple[dict, ...] = ()  # as the judge wrote them down


def check(exercise: Exercise, candidate: Candidate, name: str = "") -> Verdict:
    """Judge a candidate; `name` is the one its function must have, if any."""
    try:
        tree = ast.parse(candidate.source)
    except SyntaxError as error:
        line = (error.text or "").strip()
        where = f"{candidate.file}, line {error.lineno}"
        return _failed(exercise, f"Python cannot read {where}: {error.msg}", line)
    definition, complaint = _definition(exercise, candidate, tree, name)
    if definition is None:
        return _failed(exercise, complaint)
    if is_empty(definition):
        return _open(exercise)
    if complaint := _signature_complaint(exercise, definition):
        return _failed(exercise, complaint)
    return verdict(exercise, candidate, judge(exercise, candidate))


def judge(
    exercise: Exercise, candidate: Candidate, seeds: int = 1, run: Run | None = None
) -> list[dict]:
    """The findings of a fresh process, which `run` starts and waits for."""
    with tempfile.TemporaryDirectory() as scratch:
        job, findings = Path(scratch) / "job", Path(scratch) / "findings"
        limit = exercise.time_limit
        question = {"exercise": exercise.id, "seeds": seeds, "time_limit": limit}
        question |= candidate._asdict()
        job.write_text(json.dumps(question), encoding="utf-8")
        complaint = (run or fresh_process)(job, findings, limit)
        found = []
        if findings.exists():
            lines = findings.read_text(encoding="utf-8").splitlines()
            found = [json.loads(line) for line in lines]
        finished = any(f["what"] == "done" for f in found)
        stack = Path(f"{job}.stack")
        if not finished and stack.exists() and "Timeout" in stack.read_text():
            found.append(_loop(candidate, stack.read_text()))
        elif not finished:
            found.append({"what": "broken", "message": complaint})
        return found


def fresh_process(job: Path, findings: Path, limit: float) -> str:
    """Run the judge; its last words, if it had any."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.book.judge", str(job), str(findings)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        # The judge ends itself in time, unless the machine stands still.
        _, complaints = process.communicate(timeout=limit + 20)
    except subprocess.TimeoutExpired:
        process.kill()
        _, complaints = process.communicate()
    return (complaints.strip().splitlines() or ["it stopped without a word"])[-1]


def verdict(exercise: Exercise, candidate: Candidate, found: list[dict]) -> Verdict:
    """The findings in words."""
    by_kind = {}
    for finding in found:
        by_kind.setdefault(finding["what"], finding)
    if "broken" in by_kind:
        text = f"The check itself could not go on: {by_kind['broken']['message']}"
        if "No module named 'pytest'" in text:
            text = "The exercises need pytest: `pip install -e '.[test]'`."
        return Verdict("failed", text, tuple(found))
    if "difference" in by_kind:
        return _failed(exercise, *_wrong(exercise, by_kind), found=found)
    if "exception" in by_kind:
        raised = by_kind["exception"]
        if raised["kind"] == "NotImplementedError":
            return _open(exercise)._replace(findings=tuple(found))
        return _failed(exercise, *_exception(candidate, raised), found=found)
    if "mutation" in by_kind:
        changed = by_kind["mutation"]
        return _failed(exercise, _mutation(changed), _smallest(changed), found=found)
    if "loop" in by_kind:
        trying = next((f for f in found[::-1] if f["what"] == "trying"), None)
        in_a_case = not any(f["what"] == "testing" for f in found)
        case = _smallest(trying) if trying and in_a_case else ""
        return _failed(exercise, by_kind["loop"]["message"], case, found=found)
    if "failed" in by_kind:
        return _failed(exercise, *_failed_test(exercise, by_kind), found=found)
    return Verdict("passed", f"Passed: {exercise.title}.", tuple(found))


def _wrong(exercise: Exercise, by_kind: dict[str, dict]) -> list[str]:
    """The trap's sentence, the equation, and the smallest case that differs."""
    different = by_kind["difference"]
    trap = _trap(exercise, by_kind)
    parts = [trap or f"Not yet. {different['how']}"]
    parts.append(f"The equation:\n{_indented(exercise.equation)}")
    parts.append(_smallest(different))
    parts.append(f"Expected:\n{_indented(different['expected'])}")
    parts.append(f"Got:\n{_indented(different['got'])}")
    if "mutation" in by_kind:
        parts.append(_mutation(by_kind["mutation"]))
    if different["printed"]:
        parts.append(f"Your function printed:\n{_indented(different['printed'])}")
    return parts


def _mutation(finding: dict) -> str:
    """Which of its arguments it changes."""
    name = finding["argument"]
    return (
        f"Your function changes its argument `{name}`, which belongs to whoever called "
        "it. Work on a copy."
    )


def _trap(exercise: Exercise, by_kind: dict[str, dict]) -> str:
    return exercise.traps[by_kind["trap"]["number"]].says if "trap" in by_kind else ""


def _smallest(finding: dict) -> str:
    return f"The smallest case where this shows:\n{_indented(finding['inputs'])}"


def _exception(candidate: Candidate, raised: dict) -> list[str]:
    """The kind, the message, and the learner's own lines."""
    parts = [f"Your function raises {raised['kind']}: {raised['message']}"]
    if "'MDP' object has no attribute" in raised["message"]:
        parts.append("`mdp` is your function's argument, and hides the package `mdp`.")
    if raised["lines"]:
        lines = [_line(candidate, n["number"], n["text"]) for n in raised["lines"]]
        parts.append(f"In {candidate.file},\n{_indented(chr(10).join(lines))}")
    if raised["inputs"]:
        parts.append(f"It was given:\n{_indented(raised['inputs'])}")
    return parts


def _line(candidate: Candidate, number: int, text: str) -> str:
    """The learner's own line; a cell's have no numbers that the learner could see."""
    return f"line {number}:  {text}" if candidate.is_file else f"the line:  {text}"


def _failed_test(exercise: Exercise, by_kind: dict[str, dict]) -> list[str]:
    """A unit test that fails although all cases agree."""
    failed = by_kind["failed"]
    name = failed["test"].split("::")[-1].split("[")[0]
    sentence = name.removeprefix("test_").replace("_", " ")
    message = failed["message"].strip().split("\nassert ")[0]
    return [
        f"Not yet. This unit test fails: {sentence}.",
        f"The equation:\n{_indented(exercise.equation)}",
        f"The test says:\n{_indented(message)}",
    ]


def _loop(candidate: Candidate, stack: str) -> dict:
    """Where the time limit found the candidate."""
    message = "Your function does not return in time. Is it an endless loop?"
    for line in stack.splitlines():
        if f'"{candidate.file}"' in line:
            number = int(line.split(", line ")[1].split()[0])
            text = candidate.source.splitlines()[number - 1].strip()
            message += f"\nIt was last seen in {_line(candidate, number, text)}"
            break
    return {"what": "loop", "message": message}


def _definition(exercise, candidate, tree, name):
    """The function, or why it cannot be found."""
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    wanted = name or candidate.name
    if wanted in functions:
        return functions[wanted], ""
    near = difflib.get_close_matches(wanted, functions, n=1, cutoff=0.0)
    there = f"; there is {near[0]}. Is it that one?" if near else "."
    return None, f"There is no function {wanted} in {candidate.file}{there}"


def _signature_complaint(exercise: Exercise, definition: ast.FunctionDef) -> str:
    """What is wrong with its parameters, if anything."""
    wanted, got = reference_arguments(exercise), definition.args
    for argument in [*wanted.args, *got.args]:
        argument.annotation = None
    if exercise.is_method and got.args:
        wanted.args[0].arg = got.args[0].arg
    expected, ours = ast.unparse(wanted), ast.unparse(got)
    if ours == expected:
        return ""
    return f"Your function takes ({ours}), and should take ({expected}), in this order."


def _failed(exercise: Exercise, *parts: str, found=()) -> Verdict:
    text = "\n\n".join(wrapped(part) for part in parts if part)
    return Verdict("failed", text, tuple(found))


def _open(exercise: Exercise) -> Verdict:
    text = f"Still open: {exercise.title}. ({exercise.id})"
    return Verdict("open", text)


def wrapped(text: str) -> str:
    """Sentences in lines of 88 columns; what is indented stays as it is."""
    lines = text.splitlines()
    return "\n".join(
        line if line.startswith(" ") else textwrap.fill(line, 88) for line in lines
    )


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.strip("\n").splitlines())
