"""A class of made-up students: how well, and how fast, `python -m tests grade` is.

    python -m benchmarks.students FOLDER --students 30 --hostile 5 --seed 0
    python -m tests grade FOLDER --workers 2 --out FOLDER/grades.csv
    python -m benchmarks.students FOLDER --compare FOLDER/grades.csv

Every student has a file of every exercise: the book's own function, one of its traps,
one of its variants, or the book's own with one operator or number changed (a mutant).
A mutant may be right by chance, so look at those that pass: they are listed. Hostile
students hand in programs that fork, end Python, loop, flood, interrupt or fill memory.
"""

import argparse
import ast
import csv
import json
import random
from collections import Counter
from pathlib import Path

from tests.exercises.manifest import Diagnosis, Exercise, book
from tests.exercises.sources import Candidate, edited, reference, reference_arguments

KINDS = {"right": 3, "trap": 4, "variant": 1, "mutant": 2}  # and their frequencies
SWAPPED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.Lt: ast.LtE,
    ast.Gt: ast.Lt,
    ast.LtE: ast.Lt,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
}
# The bodies of hostile functions. Reading their text does not stop them: they run.
HOSTILE = {
    "forks": "import os, time\nif os.fork() == 0:\n    time.sleep(1000)\nreturn 0",
    "bomb": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n"
    "        pass",
    "ends": "import os\nos._exit(0)",
    "loops": "while True:\n    pass",
    "floods": "import os\nwhile True:\n    os.write(2, b'x' * 50_000_000)",
    "interrupts": "raise KeyboardInterrupt",
    "fills": "import numpy\nreturn numpy.ones(10**11)",
}


def main() -> None:
    """Make a class, or compare its marks with what was handed in."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--students", type=int, default=3)
    parser.add_argument("--hostile", type=int, default=0, help="hostile students")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="take each N-th exercise")
    parser.add_argument("--compare", type=Path, metavar="CSV")
    parsed = parser.parse_args()
    if parsed.compare:
        compare(parsed.folder, parsed.compare)
    else:
        make_class(parsed)


def make_class(parsed: argparse.Namespace) -> None:
    """Write the students' files, and their kinds in truth.json."""
    rng = random.Random(parsed.seed)
    listed = list(book().values())[:: parsed.every]
    truth = {}
    for number in range(parsed.students):
        bad = list(HOSTILE)[number % len(HOSTILE)] if number < parsed.hostile else ""
        student = f"student-{number:02}{bad and f'-{bad}'}"
        home = parsed.folder / student
        home.mkdir(parents=True)
        for exercise in listed:
            kind, source = _hostile(exercise, bad) if bad else _drawn(exercise, rng)
            file = home / f"{exercise.id.replace('-', '_')}.py"
            # No two programs are the same: each is judged.
            file.write_text(f"{source}\nAUTHOR = {student!r}\n", encoding="utf-8")
            truth[f"{student} {exercise.id}"] = kind
    text = json.dumps(truth, indent=1)
    (parsed.folder / "truth.json").write_text(text, encoding="utf-8")


def compare(folder: Path, marks: Path) -> None:
    """Print the marks that are not as they should be, and count all of them."""
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    counts: Counter[str] = Counter()
    with marks.open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            kind, _, number = truth[f"{row['student']} {row['exercise']}"].partition(
                " "
            )
            passed = row["state"] == "passed"
            if kind == "trap":
                named = row["trap"] == number
                verdict = "named" if named else "passed" if passed else "not named"
                is_odd = not named
            else:
                verdict = "passed" if passed else row["state"]
                is_odd = passed != (kind in ("right", "variant"))
            counts[f"{kind}: {verdict}"] += 1
            if is_odd:
                print(row["student"], row["exercise"], kind, number, verdict)
                print(f"    {row['message'][:100]}")
    for name, count in sorted(counts.items()):
        print(f"{count:>5}  {name}")


def _drawn(exercise: Exercise | Diagnosis, rng: random.Random) -> tuple[str, str]:
    """The kind of a student's answer, and its text; a diagnosis is always right."""
    if isinstance(exercise, Diagnosis):
        head = f'{exercise.imports}\nfault = "{exercise.fault}"\n\n\n'
        return "right", f"{head}{exercise.solution.lstrip()}"
    (kind,) = rng.choices(list(KINDS), list(KINDS.values()))
    own = reference(exercise)
    if kind == "trap":
        number = rng.randrange(len(exercise.traps))
        return f"trap {number + 1}", edited(exercise, exercise.traps[number]).source
    if kind == "variant":
        return kind, edited(exercise, rng.choice(exercise.variants)).source
    if kind == "mutant" and (mutants := mutations(own)):
        return kind, rng.choice(mutants)
    return "right", own.source


def mutations(candidate: Candidate) -> list[str]:
    """The texts of a candidate with one operator or number changed."""
    found = []
    whole = ast.parse(candidate.source)
    for number in range(sum(1 for _ in ast.walk(whole))):
        tree = ast.parse(candidate.source)
        node = list(ast.walk(tree))[number]
        match node:
            case ast.BinOp(op=operator) if type(operator) in SWAPPED:
                node.op = SWAPPED[type(operator)]()
            case ast.Compare(ops=[operator]) if type(operator) in SWAPPED:
                node.ops = [SWAPPED[type(operator)]()]
            case ast.Constant(value=int() | float()) if node.value not in (True, False):
                node.value = node.value + 1
            case _:
                continue
        found.append(ast.unparse(tree))
    return found


def _hostile(exercise: Exercise | Diagnosis, kind: str) -> tuple[str, str]:
    """A program that has nothing to do with the exercise."""
    body = "\n".join(f"    {line}" for line in HOSTILE[kind].splitlines())
    if isinstance(exercise, Diagnosis):
        head = f'fault = "{exercise.fault}"\n\n\ndef test_the_fault():\n    print()\n'
        return "hostile", head + body + "\n"
    arguments = reference_arguments(exercise)
    for argument in arguments.args:
        argument.annotation = None
    head = f"def {exercise.name}({ast.unparse(arguments)}):\n"
    return "hostile", head + body + "\n"


if __name__ == "__main__":
    main()
