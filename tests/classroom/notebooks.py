"""The functions that students have written in notebooks, found without running them.

A call of `check(my_function, "exercise-id")` or of `assert_passes` names a function and
its exercise; the last call for an exercise counts. Without such a call, a function
counts that has the name of the book's own, if no other exercise has that name, and if
its cell makes nothing but functions, constants and imports.

The text that is judged is made of whole statements of the notebook, from the top to
the bottom: the function, and the imports, functions and constants that it uses,
directly or through those (see pieces.py). Of several definitions of a name the last one
above the call counts, or else the first one below it. What is made in another way, such
as an array or the variable of a loop, is refused, as it is in a student's own check.

Cells are counted from 1, with those of text.
"""

import ast
import json
import stat
from bisect import bisect_left
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mdp.exercises import names_used
from tests.classroom.pieces import UNREADABLE, pieces_in
from tests.exercises.manifest import Exercise, book, find
from tests.exercises.sources import is_empty

LARGEST, MOST_CODE = 2**25, 2**18  # bytes of a notebook, and letters of its code
MOST_PARTS = 10**6  # lists and objects in a notebook
LONGEST_NAME = 100  # letters of an exercise, or of a notebook in a message
NO_FUNCTION = (
    "{place}: `check` must get the name of a function that this notebook defines with "
    "`def`, outside of all blocks."
)
REFUSED = (
    "{function} uses `{name}` of cell {cell}. Only imports, functions, and plain "
    "numbers and texts are taken from a notebook: make `{name}` inside the function."
)


class Answer(NamedTuple):
    """What a notebook holds for one exercise."""

    place: str  # the notebook and the cell
    name: str = ""  # of the function
    source: str = ""  # a text with the function and all that it uses
    trouble: str = ""  # why there is no text
    is_open: bool = False  # whether the function is still empty


def answers_of(home: Path) -> tuple[dict[str, Answer], list[str]]:
    """Return a student's answers by exercise, and a sentence on each broken notebook.

    Of several notebooks with the same exercise the first one counts, unless Python
    cannot read it or it is empty. Those that stand less deep come first.
    """
    found: dict[str, Answer] = {}
    troubles = []
    for path in sorted(home.rglob("*.ipynb"), key=lambda path: (len(path.parts), path)):
        if any(part.startswith(".") for part in path.relative_to(home).parts):
            continue  # a checkpoint of Jupyter
        name = path.name[-LONGEST_NAME:]
        shown = "".join(x if x.isprintable() else "?" for x in name)
        try:
            answers = _Notebook(_cells(path), shown).answers()
        except OSError as error:
            troubles.append(f"{shown} cannot be read: {error.strerror}.")
        except (RecursionError, MemoryError):
            troubles.append(f"{shown} is nested too deeply to be read.")
        except ValueError as error:
            troubles.append(f"{shown} {error}")
        else:
            for name, answer in answers.items():
                found[name] = max(found.get(name, answer), answer, key=_worth)
    return found, troubles


class _Notebook:
    """The pieces of a notebook, from the top to the bottom."""

    def __init__(self, texts: dict[int, str], shown: str):
        listed = [(piece, n) for n, text in texts.items() for piece in pieces_in(text)]
        self.pieces = [piece for piece, _ in listed]
        self.cells = [number for _, number in listed]
        self.shown = shown
        self.places: dict[str, list[int]] = defaultdict(list)  # where a name is made
        for index, piece in enumerate(self.pieces):
            self.places[piece.name].append(index)

    def answers(self) -> dict[str, Answer]:
        """Return the answers by the ids of exercises."""
        by_name, by_call = {}, {}
        busy = {self.cells[i] for i in self._of("call", "unread", "other")}
        for index in self._of("function"):
            if self.cells[index] not in busy:
                by_name[_ids().get(self.pieces[index].name, "")] = index
        for index in self._of("call", "unread"):
            named = self._string(self.pieces[index].given.get("exercise"), index)
            by_call[self.pieces[index].name or _id(named)] = index
        found = by_name | by_call
        return {name: self._answer(index) for name, index in found.items() if name}

    def _of(self, *kinds: str) -> list[int]:
        return [i for i, piece in enumerate(self.pieces) if piece.kind in kinds]

    def _place(self, index: int) -> str:
        return f"{self.shown}, cell {self.cells[index]}"

    def _answer(self, index: int) -> Answer:
        """Return the answer that a function or a call of `check` stands for."""
        piece, place = self.pieces[index], self._place(index)
        if piece.kind == "unread":
            return Answer(place, trouble=f"Python cannot read {place}: {piece.text}.")
        name = getattr(piece.given.get("function"), "id", piece.name)
        fault = self._string(piece.given.get("fault"), index)
        places = self.places[name]
        places = [i for i in places if self.pieces[i].kind == "function"]
        first = _nearest(places, index + 1)
        if first is None:
            unread = sorted({self.cells[i] for i in self._of("unread")})
            trouble = NO_FUNCTION.format(place=place)
            trouble += "".join(f" Python cannot read cell {n}." for n in unread)
            return Answer(place, trouble=trouble)
        place = self._place(first)
        if is_empty(self.pieces[first].node) and not fault:
            return Answer(place, trouble=f"{place} is still empty.", is_open=True)
        try:
            source = self._source(first, index)
        except UNREADABLE as error:
            return Answer(place, trouble=f"{place}: {error}")
        return Answer(place, name, source + f"fault = {fault!r}\n" * bool(fault))

    def _string(self, node: ast.AST | None, above: int) -> str:
        """Return a text, or the text that a variable has."""
        if isinstance(node, ast.Name):
            index = _nearest(self.places[node.id], above)
            made = None if index is None else self.pieces[index].node
            node = getattr(made, "value", None)
        value = getattr(node, "value", "")
        return value if isinstance(value, str) else ""

    def _source(self, first: int, above: int) -> str:
        """Return the text of a function and of all that it uses."""
        function = self.pieces[first].name
        waiting, chosen = [first], {}
        while waiting:
            index = waiting.pop()
            if index in chosen:
                continue
            piece = self.pieces[index]
            chosen[index] = piece.source
            if piece.kind != "import":
                limit = above if piece.kind == "function" else index
                for name in names_used(chosen[index]) - {function}:
                    waiting += self._used(name, limit, function)
        texts = {self.pieces[index].node: chosen[index] for index in sorted(chosen)}
        return "\n".join(texts.values()) + "\n"

    def _used(self, name: str, above: int, function: str) -> list[int]:
        """Return the pieces that make a name which a function uses."""
        index = _nearest(self.places[name], above)
        if index is None:  # a name of Python's own, or from `import *`
            return self.places["*"]
        if self.pieces[index].kind == "other":
            cell = self.cells[index]
            raise ValueError(REFUSED.format(function=function, name=name, cell=cell))
        if self.pieces[index].kind != "import":
            return [index]
        # `import scipy.stats` and `import scipy.special` make one name together.
        before = [i for i in self.places[name] if i <= index]
        return [i for i in before if self.pieces[i].kind == "import"]


def _cells(path: Path) -> dict[int, str]:
    """Return the texts of the code cells of a file by their numbers."""
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("is no ordinary file (a link, perhaps).")
    if about.st_size > LARGEST:
        raise ValueError(f"has {about.st_size:,} bytes; at most {LARGEST:,} are read.")
    text = path.read_bytes()
    if text.count(b"[") + text.count(b"{") > MOST_PARTS:
        raise ValueError(f"has more than {MOST_PARTS:,} lists and objects.")
    try:
        notebook = json.loads(text)
    except ValueError:
        raise ValueError("is no notebook: it is not JSON in UTF-8.") from None
    match notebook:
        case {"nbformat": 4, "cells": [*cells]}:
            texts = {number: _text(number, x) for number, x in enumerate(cells, 1)}
        case _:
            raise ValueError(
                "is no notebook of format 4: open it in Jupyter, and save it again."
            )
    size = sum(map(len, texts.values()))
    if size > MOST_CODE:
        raise ValueError(f"has {size:,} letters of code; at most {MOST_CODE:,} are.")
    return texts


def _text(number: int, cell: object) -> str:
    """Return the text of a code cell, with Python's line ends; others have none."""
    match cell:
        case {"cell_type": "code", "source": str(text)}:
            pass
        case {"cell_type": "code", "source": [*lines]} if {*map(type, lines)} <= {str}:
            text = "".join(lines)
        case {"cell_type": str(kind)} if kind != "code":
            return ""
        case _:
            raise ValueError(f"is damaged: its cell {number} cannot be read.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _worth(answer: Answer) -> tuple[bool, bool]:
    """Rank an answer: what can be judged is worth most, what is empty least."""
    return bool(answer.source), not answer.is_open


def _nearest(places: list[int], above: int) -> int | None:
    """Return the last place above another one, or else the first below it."""
    before = bisect_left(places, above)
    return places[max(before - 1, 0)] if places else None


@cache
def _id(name: str) -> str:
    """Return the id of the exercise that a text means; it may mean none."""
    try:
        return find(name).id if len(name) <= LONGEST_NAME else ""
    except ValueError:
        return ""


@cache
def _ids() -> dict[str, str]:
    """Return the ids of exercises by the names of functions that no two share."""
    exercises = [each for each in book().values() if isinstance(each, Exercise)]
    times = Counter(each.name for each in exercises)
    return {each.name: each.id for each in exercises if times[each.name] == 1}
