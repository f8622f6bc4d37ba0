"""Check an attempt: first what its text shows, then what the judge finds.

The judge works in another process, within a time limit; `words.py` explains what it
finds.
"""

import ast
import difflib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.exercises.manifest import ROOT, Diagnosis, Exercise
from tests.exercises.sources import Candidate, is_empty, reference_arguments
from tests.exercises.words import Verdict, failed, own_line, still_open, verdict

# Lets a judge do a job: (job, findings, time limit in seconds) -> its last message.
Run = Callable[[Path, Path, float], str]


def check(exercise: Exercise, candidate: Candidate, name: str = "") -> Verdict:
    """Judge a candidate; `name` is the name that its function must have, if any."""
    try:
        tree = ast.parse(candidate.source)
    except SyntaxError as error:
        line = (error.text or "").strip()
        where = f"{candidate.file}, line {error.lineno}"
        return failed(f"Python cannot read {where}: {error.msg}", line)
    definition, complaint = _definition(candidate, tree, name)
    if definition is None:
        return failed(complaint)
    if is_empty(definition):
        return still_open(exercise)
    if complaint := _signature_complaint(exercise, definition):
        return failed(complaint)
    return verdict(exercise, candidate, judge(exercise, candidate))


def judge(
    exercise: Exercise | Diagnosis,
    candidate: Candidate | None,
    seeds: int = 1,
    run: Run | None = None,
    test: str = "",
    time_limit: float = 0.0,
) -> list[dict]:
    """Return the findings of another process, which `run` starts and waits for.

    Without a candidate, all those of the gate are judged. For a diagnosis, `test` is
    the learner's file; without one, the candidate is trained with.
    """
    with tempfile.TemporaryDirectory() as scratch:
        job, findings = Path(scratch) / "job", Path(scratch) / "findings"
        limit = time_limit or exercise.time_limit
        question = {"exercise": exercise.id, "seeds": seeds, "time_limit": limit}
        question |= {"test": test} | (candidate._asdict() if candidate else {})
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
    """Run the judge in a fresh process; return its last message."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.exercises.judge", str(job), str(findings)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        # The judge ends itself in time, unless the machine is overloaded.
        _, complaints = process.communicate(timeout=limit + 20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "the machine is too busy. Please try again."
    return (complaints.strip().splitlines() or ["it stopped without a message"])[-1]


def _loop(candidate: Candidate | None, stack: str) -> dict:
    """Where the candidate was when its time was over."""
    message = "Your function does not return in time. Is there an endless loop?"
    for line in stack.splitlines():
        if candidate and f'"{candidate.file}"' in line:
            number = int(line.split(", line ")[1].split()[0])
            text = candidate.source.splitlines()[number - 1].strip()
            message += f"\nThe time was over in {own_line(candidate, number, text)}"
            break
    return {"what": "loop", "message": message}


def _definition(
    candidate: Candidate, tree: ast.Module, name: str
) -> tuple[ast.FunctionDef | None, str]:
    """The function, or a sentence on why it cannot be found."""
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    wanted = name or candidate.name
    if wanted in functions:
        return functions[wanted], ""
    near = difflib.get_close_matches(wanted, functions, n=1, cutoff=0.0)
    there = f"; there is {near[0]}. Did you rename it?" if near else "."
    return None, f"There is no function {wanted} in {candidate.file}{there}"


def _signature_complaint(exercise: Exercise, definition: ast.FunctionDef) -> str:
    """A sentence on wrong parameters; empty if they are right."""
    wanted, got = reference_arguments(exercise), definition.args
    for argument in [*wanted.args, *got.args]:
        argument.annotation = None
    if exercise.is_method and got.args:
        wanted.args[0].arg = got.args[0].arg
    expected, ours = ast.unparse(wanted), ast.unparse(got)
    if ours == expected:
        return ""
    return f"Your function takes ({ours}), and should take ({expected}), in this order."
