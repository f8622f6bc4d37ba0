"""Check an attempt: first what its text shows, then what the judge finds.

The judge works in another process, within a time limit; `words.py` explains what it
finds. In a learner's own check, a file that imports nothing but arithmetic runs in the
process of the judge, which saves up to a second. All other files, and what a teacher
grades, run in a process of their own (see isolation/).
"""

import ast
import difflib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.exercises import reaching
from tests.exercises.manifest import FLOORS, ROOT, Diagnosis, Exercise
from tests.exercises.sources import Candidate, is_empty, reference_arguments
from tests.exercises.words import Verdict, failed, own_line, still_open, verdict

MOST_LETTERS = 100_000  # of a stack
LONGEST_LINE = 200
# The modules that a file may import and still run in the process of the judge.
ARITHMETIC = {
    *("numpy", "scipy", "jax", "jaxtyping", "optax", "math", "itertools", "functools"),
    *("operator", "collections", "dataclasses", "typing", "__future__", *FLOORS),
}


class Worker:
    """Gives jobs to a process; if it dies, the next job gets a new one.

    If it is patient, time limits grow with the load of the machine. `grade` measures
    its own limits instead: there, endless loops of students are part of the load.
    """

    def __init__(self, is_patient: bool = True) -> None:
        self.is_patient = is_patient
        self.process: subprocess.Popen | None = None

    def do(self, **job: Any) -> str:
        """Wait for a job, which `worker.Desk.do` does; return what went wrong."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.exercises.worker"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )
        print(json.dumps(job), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            return f"the process of the judge ended with status {self.process.wait()}"
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.communicate()


def check(
    exercise: Exercise,
    candidate: Candidate,
    name: str = "",
    worker: Worker | None = None,
    seeds: int | Sequence[int] = 1,
    is_own: bool = False,
) -> Verdict:
    """Judge a candidate; `name` is the name that its function must have, if any.

    `is_own` says that a learner checks their own file, which is faster.
    """
    tree = parsed(candidate)
    if isinstance(tree, Verdict):
        return tree
    functions = _functions(tree.body)
    wanted = name or candidate.name
    if wanted not in functions:
        return failed(_missing(wanted, candidate.file, tree))
    if is_empty(functions[wanted]):
        return still_open(exercise)
    if complaint := _signature_complaint(exercise, functions[wanted]):
        return failed(complaint)
    if complaint := reaching.complaint(exercise, tree):
        return failed(complaint)
    found = []
    if is_own and imports_only_arithmetic(tree):
        found = judge(exercise, candidate, seeds, worker=worker, trusted="fully")
    if not {finding["what"] for finding in found} & {"done", "loop"}:
        # In a process of its own it shows the judge what ended the first process.
        found = judge(exercise, candidate, seeds, worker=worker)
    return verdict(exercise, candidate, found)


def imports_only_arithmetic(tree: ast.Module) -> bool:
    """Say whether a file imports nothing but the modules of ARITHMETIC."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[0] for name in names} <= ARITHMETIC


def parsed(candidate: Candidate) -> ast.Module | Verdict:
    """The syntax tree of a file, or the verdict if Python cannot read it."""
    before, nul, _ = candidate.source.partition("\0")
    if nul:
        where = f"{candidate.file}, line {before.count(chr(10)) + 1}"
        text = f"There is a NUL byte in {where}: save it as plain text in UTF-8."
        return failed(text)
    try:
        return ast.parse(candidate.source)
    except SyntaxError as error:
        line = (error.text or "").strip()[:LONGEST_LINE]
        where = f"{candidate.file}, line {error.lineno}"
        return failed(f"Python cannot read {where}: {error.msg}", line)
    except (RecursionError, MemoryError, ValueError) as error:
        kind = type(error).__name__
        return failed(f"Python cannot read {candidate.file}: {error or kind}")


def judge(
    exercise: Exercise | Diagnosis,
    candidate: Candidate | None,
    seeds: int | Sequence[int] = 1,
    test: str = "",
    time_limit: float = 0.0,
    worker: Worker | None = None,
    trusted: str = "",
) -> list[dict]:
    """Return the findings of a worker, or of a new one; see `worker.Desk.do`."""
    own = worker or Worker()
    limit = time_limit or exercise.time_limit
    with tempfile.TemporaryDirectory() as scratch:
        complaint = own.do(
            exercise=exercise.id,
            candidate=candidate,
            seeds=list(range(seeds) if isinstance(seeds, int) else seeds),
            test=test,
            time_limit=limit * _slowness() if own.is_patient else limit,
            scratch=scratch,
            trusted=trusted,
        )
        if worker is None:
            own.close()
        findings, stack = Path(scratch) / "findings", Path(scratch) / "stack"
        lines = findings.read_text(encoding="utf-8") if findings.exists() else ""
        found = [json.loads(line) for line in lines.splitlines()]
        kinds = {finding["what"] for finding in found}
        seen = stack.read_text(errors="replace") if stack.exists() else ""
        if "late" in kinds or ("done" not in kinds and "Timeout" in seen):
            found.append(_loop(candidate, seen[:MOST_LETTERS]))
        elif not kinds & {"done", "ended"}:
            found.append({"what": "broken", "of": "", "message": complaint})
        return found


def _slowness() -> float:
    """The number of programs for each processor: a program takes so much longer."""
    if not hasattr(os, "getloadavg"):
        return 1.0
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _loop(candidate: Candidate | None, stack: str) -> dict:
    """The finding on a candidate whose time was over, with the line where it was."""
    message = "Your function does not return in time. Is there an endless loop?"
    for line in stack.splitlines():
        if candidate and f'"{candidate.file}"' in line:
            number = int(line.split(", line ")[1].split()[0])
            lines = candidate.source.splitlines()
            text = lines[number - 1].strip() if number <= len(lines) else ""
            message += f"\nThe time was over in {own_line(candidate, number, text)}"
            break
    return {"what": "loop", "of": "", "message": message}


def _functions(nodes: Iterable[ast.AST]) -> dict[str, ast.FunctionDef]:
    """The functions among some nodes, by name; of equal names, the last one."""
    return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}


def _missing(wanted: str, file: str, tree: ast.Module) -> str:
    """A sentence on a function that is not there, or not at the left margin."""
    text = f"There is no function {wanted} in {file}"
    if wanted in _functions(ast.walk(tree)):
        return (
            f"{text} that begins at the left margin: yours stands inside an `if`, a "
            "class or another function."
        )
    near = difflib.get_close_matches(wanted, _functions(tree.body), n=1, cutoff=0.0)
    return f"{text}; there is {near[0]}. Did you rename it?" if near else f"{text}."


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
