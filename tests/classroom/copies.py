"""Search for copies of a solution: in functions, cells of notebooks and other texts.

Texts are compared as runs of RUN words and signs: spaces, line breaks, comments and the
kind of quotes do not count. A place that holds HALF of a solution or more, in such
runs, is a copy. Any two functions of one library share less than that: a call of the
same helper, a loop over the same steps.
"""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.exercises.manifest import Exercise
from tests.exercises.sources import body_lines, reference_source

RUN, HALF = 8, 0.5
KINDS = ("plain", "html", "markdown")  # of a cell's output
WORD = re.compile(r"\w+|[^\w\s]")
COMMENT = re.compile(r"#.*")
Run = tuple[str, ...]


class Place(NamedTuple):
    """A part of a file that can hold a copy: a function, a cell or a paragraph."""

    name: str
    words: list[str]
    first: int = 0  # the first and last lines of the body, for a function in a file
    last: int = 0


class Solutions:
    """The book's own bodies of some exercises, to be searched for."""

    def __init__(self, exercises: Iterable[Exercise]):
        self.lengths: dict[str, int] = {}
        # For each run of words, the solutions that hold it, and its place in them.
        self.runs: dict[Run, list[tuple[str, int]]] = defaultdict(list)
        for exercise in exercises:
            text = solution(exercise)
            self.lengths[exercise.id] = len(text)
            for start, run in enumerate(_runs(text, min(RUN, len(text)))):
                self.runs[run].append((exercise.id, start))
        self.sizes = {len(run) for run in self.runs}

    def held(self, place: list[str]) -> dict[str, float]:
        """Return the share of each solution that a place holds, if any."""
        covered: dict[str, set[int]] = defaultdict(set)
        for size in self.sizes:
            for run in _runs(place, size):
                for name, start in self.runs.get(run, ()):
                    covered[name] |= set(range(start, start + size))
        return {name: len(x) / self.lengths[name] for name, x in covered.items()}

    def copied(self, place: list[str]) -> str:
        """Return the id of the exercise whose solution a place copies, if any."""
        shares = {name: x for name, x in self.held(place).items() if x >= HALF}
        return max(shares, key=shares.__getitem__, default="")


def solution(exercise: Exercise) -> list[str]:
    """Return the words of the book's own body."""
    return _words_of(ast.parse(reference_source(exercise)).body[0])


def functions(text: str) -> Iterator[Place]:
    """Yield the functions of a Python file that are in no other function."""
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef):
            yield Place(node.name, _words_of(node), *body_lines(node))
        else:
            waiting += ast.iter_child_nodes(node)


def places(file: Path) -> Iterator[Place]:
    """Yield all that a file shows: functions, cells with outputs, and paragraphs."""
    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix == ".ipynb":
        for number, cell in enumerate(json.loads(text)["cells"]):
            yield Place(f"cell {number}", words(_shown(cell)))
        return
    if file.suffix == ".py":
        yield from functions(text)
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
        yield Place(f"paragraph {number}", words(paragraph))


def words(text: str) -> list[str]:
    """Return the words and signs of a text, without comments."""
    return WORD.findall(COMMENT.sub("", text).replace('"', "'"))


def _shown(cell: dict) -> str:
    """The text of a cell and of its outputs; a picture has none."""
    shown = ["".join(cell["source"])]
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        texts = [output.get("text", ""), *(data.get(f"text/{x}", "") for x in KINDS)]
        shown += ["".join(text) for text in texts]
    return "\n".join(shown)


def _words_of(node: ast.stmt) -> list[str]:
    """The words of a function's body, as Python itself would write it."""
    body = node.body[ast.get_docstring(node) is not None :]
    return words("\n".join(map(ast.unparse, body)))


def _runs(text: list[str], size: int) -> Iterator[Run]:
    return (tuple(text[i : i + size]) for i in range(len(text) - size + 1))
