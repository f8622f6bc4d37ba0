"""Choose exercises by floor, chapter, id or word; and read their due dates."""

import csv
import datetime
import difflib
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.exercises.manifest import FLOORS, Diagnosis, book, find, fitting


def chosen(names: Iterable[str]) -> list[str]:
    """Return the ids of the exercises that the names mean, in reading order.

    A name is a floor (floor1 or mdp), a chapter (5), sick-runs, the id of an exercise,
    or words of its id or title, which may fit several exercises.
    """
    found = {each for name in names for each in _meant(name)}
    return [each for each in book() if each in found]


def due_dates(file: Path, ids: Iterable[str]) -> dict[str, datetime.date]:
    """Return the date on which each of the exercises is due, if it has one.

    The file is TOML, with lines such as `floor1 = 2026-10-01`, or CSV, with lines such
    as `floor1,2026-10-01`. A line takes precedence over those before it. It may also
    name exercises of another week, which are not asked for here.
    """
    dates: dict[str, datetime.date] = {}
    for name, day in _listed(file):
        where = f"{file}, {name!r}"
        try:
            names = chosen([name])
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        try:
            date = datetime.date.fromisoformat(day)
        except ValueError:
            text = f"must have a date such as 2026-10-01, got {day!r}"
            raise ValueError(f"{where} {text}") from None
        dates |= dict.fromkeys(names, date)
    return {name: dates[name] for name in ids if name in dates}


def _listed(file: Path) -> list[tuple[str, str]]:
    """The lines of a file of dates."""
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix == ".toml":
        try:
            return [(name, str(day)) for name, day in tomllib.loads(text).items()]
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{file}: {error}") from None
    sign = ";" if ";" in text else ","  # some spreadsheets write semicolons
    rows = [row for row in csv.reader(text.splitlines(), delimiter=sign) if any(row)]
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            got = ",".join(row)
            raise ValueError(f"{file}, row {number}: must be NAME,DATE, got {got!r}")
    pairs = [(name.strip(), day.strip()) for name, day in rows]
    is_head = pairs and not any(map(str.isdigit, pairs[0][1]))
    if not (listed := pairs[1:] if is_head else pairs):
        raise ValueError(f"{file} has no dates.")
    return listed


def _meant(name: str) -> list[str]:
    """The exercises that one name means."""
    key = re.sub(r"[\s_-]+", "-", name.strip().lower())
    groups = _groups()
    if key in groups:
        return groups[key]
    if found := fitting(key.replace("-", " ")):
        return [key] if key in found else found
    near = difflib.get_close_matches(key, groups, n=3, cutoff=0.75)
    if near:
        raise ValueError(f"There is no {name!r}: did you mean {' or '.join(near)}?")
    return [find(name).id]


@cache
def _groups() -> dict[str, list[str]]:
    """The exercises of each floor, chapter and part, under each of its names."""
    groups: dict[str, list[str]] = {}
    for each in book().values():
        if each.home:
            names = ["outside"]
        elif isinstance(each, Diagnosis):
            names = ["sick-runs", *_chapter(each.notebook)]
        else:
            number = FLOORS.index(each.floor) + 1
            names = [f"floor{number}", f"floor-{number}", each.floor.replace("_", "-")]
            names += _chapter(each.notebook)
        for name in dict.fromkeys(names):
            groups.setdefault(name, []).append(each.id)
    return groups


def _chapter(notebook: str) -> list[str]:
    """The names of a chapter."""
    number = int(notebook.partition("_")[0])
    names = [f"{number}", f"{number:02}", f"chapter{number}", f"chapter-{number}"]
    return [*names, notebook.replace("_", "-")]
