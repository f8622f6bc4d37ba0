"""Marks as CSV, JSON, JUnit's XML and Gradescope's JSON."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from tests.classroom.grade import Mark
from tests.exercises.manifest import find

COLUMNS = ("student", "exercise", "passed", *Mark._fields[2:])
# Spreadsheets compute a cell that begins with one of these.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def csv_of(rows: Iterable[Iterable[object]]) -> str:
    """Rows as comma-separated values, in which no spreadsheet finds a formula."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def table(marks: Iterable[Mark]) -> str:
    """The marks as CSV: one row for each student and exercise."""
    rows = ([m.student, m.exercise, int(m.passed), *m[2:]] for m in marks)
    return csv_of([COLUMNS, *rows])


def json_of(marks: Iterable[Mark]) -> str:
    """The marks as JSON: a list with one object for each student and exercise."""
    rows = [{"passed": mark.passed} | mark._asdict() for mark in marks]
    return json.dumps({"marks": rows}, indent=1) + "\n"


def junit(marks: Iterable[Mark]) -> str:
    """The marks as JUnit's XML: a suite for each student, a case for each exercise."""
    root = ElementTree.Element("testsuites")
    for student, own in by_student(marks).items():
        wrong = [mark for mark in own if mark.state in ("failed", "no mark")]
        broken = [mark for mark in own if mark.state == "not graded"]
        passed = sum(mark.passed for mark in own)
        counts = {"tests": len(own), "failures": len(wrong), "errors": len(broken)}
        counts["skipped"] = len(own) - passed - len(wrong) - len(broken)
        texts = {name: str(count) for name, count in counts.items()}
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(student), **texts)
        for mark in own:
            seconds = f"{mark.seconds:.2f}"
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=_clean(student),
                name=mark.exercise,
                time=seconds,
            )
            if not mark.passed:
                kind = "failure" if mark in wrong else "skipped"
                kind = "error" if mark in broken else kind
                ElementTree.SubElement(case, kind, message=_clean(mark.message))
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def gradescope(marks: Iterable[Mark]) -> str:
    """One student's marks as Gradescope's results.json: one point an exercise."""
    tests = [
        {
            "name": f"{mark.exercise}: {find(mark.exercise).title}",
            "score": int(mark.passed),
            "max_score": 1,
            "status": "passed" if mark.passed else "failed",
            "output": mark.message,
            "output_format": "text",
        }
        for mark in marks
    ]
    time_taken = round(sum(mark.seconds for mark in marks))
    return json.dumps({"tests": tests, "execution_time": time_taken}, indent=1) + "\n"


def by_student(marks: Iterable[Mark]) -> dict[str, list[Mark]]:
    """The marks of each student."""
    found: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        found[mark.student].append(mark)
    return dict(found)


def write(path: Path, text: str) -> None:
    """Write a file, whole or not at all; make its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text(text, encoding="utf-8", errors="backslashreplace")
    scratch.replace(path)


def _cell(value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(FORMULA)
    return f"'{value}" if is_formula else value


def _clean(text: str) -> str:
    return NOT_IN_XML.sub("?", text)
