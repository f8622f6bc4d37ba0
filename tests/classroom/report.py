"""The report on a class: a page that needs no network, and tables.

    index.html           for a browser, also on a phone and in the dark
    grades.csv           one row for each student and exercise
    exercises.csv        one row for each exercise: difficulty and discrimination
    misconceptions.csv   one row for each mistake: who made it, and what to read again
    students.csv         one row for each student

Everything that students wrote is shown as text, and never becomes HTML.
"""

from collections.abc import Iterable
from html import escape
from pathlib import Path

from tests.classroom.grade import Mark
from tests.classroom.outputs import csv_of, table, write
from tests.classroom.statistics import Item, Misconception, Student, items, summaries
from tests.classroom.submissions import NO_FILE
from tests.exercises.chapters import NOTEBOOKS, title
from tests.exercises.manifest import find

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --good: #2a7f3f;
  --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --good: #7fd693; --bad: #ff9c94; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto;
  padding: 1rem; overflow-wrap: anywhere; }
h1 { line-height: 1.2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; overflow-wrap: normal; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td:last-child { overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
meter { width: 6rem; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .6rem 0;
  padding: .3rem .8rem; }
summary { cursor: pointer; font-weight: 600; }
details [id] { scroll-margin-top: 4rem; }
blockquote { margin: .4rem 0; padding: .2rem .8rem; border-left: 3px solid var(--bad);
  background: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
.small { font-size: .9rem; }
"""
HOW = (
    "Difficulty is the share of all students who passed, so a small number is hard. "
    "Discrimination is the point-biserial correlation between passing this exercise "
    "and the number of the other exercises that a student passed; below 0.2 the "
    "exercise hardly tells strong students from weak ones. It has no value if all or "
    "none passed, and it means little in a class of fewer than twenty."
)
WHO = (
    "These have made no attempt, or have passed fewer than half as many exercises as "
    "the median student, or fewer than half of at least three attempts."
)
MOST = "These have at least three attempts, and fewer than half of them passed."
ALIKE = (
    "This is a reason to ask, and no proof: a short function has few forms, and many "
    "students write the same one by themselves."
)


def write_report(folder: Path, marks: list[Mark], warning: str = "") -> None:
    """Write the page and the tables into a folder."""
    found, students = items(marks), summaries(marks)
    write(folder / "index.html", page(marks, found, students, warning))
    write(folder / "grades.csv", table(marks))
    write(folder / "exercises.csv", _exercise_table(found))
    write(folder / "misconceptions.csv", _misconception_table(found))
    write(folder / "students.csv", _student_table(students))


def page(
    marks: list[Mark], found: list[Item], students: list[Student], warning: str
) -> str:
    """The page, as HTML."""
    passed = sum(mark.passed for mark in marks)
    attempts = sum(item.attempts for item in found)
    parts = [
        "<h1>Class report</h1>",
        _p(
            f"{_count(len(students), 'student')}, {_count(len(found), 'exercise')}, "
            f"{_count(attempts, 'attempt')}; {passed} of them passed."
        ),
        _p(warning, "bad") if warning else "",
        "<h2>Exercises that most attempts failed</h2>",
        _p(MOST, "small"),
        _list_of_failed([item for item in found if item.most_failed]),
        "<h2>Students who need help</h2>",
        _p(WHO, "small"),
        _list_of_students([student for student in students if student.needs_help]),
        *_unmarked(students, marks),
        "<h2>All exercises</h2>",
        _p(HOW, "small"),
        _overview(found),
        "<h2>Mistakes in each exercise</h2>",
        *(_details(item) for item in found),
        "<h2>All students</h2>",
        _students(students),
        *(_record(student, marks) for student in students),
    ]
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Class report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    return head + "\n".join(filter(None, parts)) + "\n</body>\n</html>\n"


def lesson(exercise: str) -> str:
    """The chapter that an exercise belongs to, by its number and title."""
    notebook = find(exercise).notebook
    name = title(NOTEBOOKS / f"{notebook}.ipynb")
    return f"chapter {name} (notebooks/{notebook}.ipynb)"


def _list_of_failed(found: list[Item]) -> str:
    if not found:
        return _p("There are none.")
    return _items(
        f"{_link(item)}: {len(item.passed)} of {item.attempts} attempts passed. "
        f"{_most_frequent(item)}"
        for item in sorted(found, key=lambda item: item.share)
    )


def _most_frequent(item: Item) -> str:
    """The mistake that most students made, and the chapter to read again."""
    if not item.misconceptions:
        return ""
    first = item.misconceptions[0]
    return (
        f"<blockquote>{escape(first.message)} ({_times(first)})</blockquote>"
        f'<span class="small">Read again: {escape(lesson(item.exercise))}</span>'
    )


def _list_of_students(students: list[Student]) -> str:
    if not students:
        return _p("There are none.")
    return _items(
        f"{_record_link(student)}: passed {student.passed} of {student.attempts} "
        f"attempts. Failed: {escape(_names(student.failed))}"
        if student.attempts
        else f"{_record_link(student)}: no attempt."
        for student in students
    )


def _unmarked(students: list[Student], marks: list[Mark]) -> list[str]:
    """Sections: not graded, no mark, and lines that are the same."""
    reached = [
        f"<b>{escape(student.name)}</b>: {escape(_names(student.no_mark))}"
        for student in students
        if student.no_mark
    ]
    alike = [
        f"<b>{escape(m.student)}</b>, {escape(m.exercise)}: {escape(m.remark)}"
        for m in marks
        if m.remark
    ]
    unread = {
        m.student: f"<b>{escape(m.student)}</b>: {escape(m.message)}"
        for m in marks
        if m.state == "missing" and m.message != NO_FILE
    }
    broken = {m.exercise: m.message for m in marks if m.state == "not graded"}
    says = [f"{escape(name)}: {escape(text)}" for name, text in broken.items()]
    parts = []
    for heading, about, listed in (
        ("Could not be graded", "", says),
        ("A notebook cannot be read", "", unread.values()),
        ("Reached for the book's own function", "", reached),
        ("The same lines, names aside", _p(ALIKE, "small"), alike),
    ):
        parts += [f"<h2>{heading}</h2>", about, _items(listed)] if listed else []
    return parts


def _overview(found: list[Item]) -> str:
    rows = []
    for item in found:
        share = f"{item.share:.2f}"
        meter = f'<meter min="0" max="1" value="{share}">{share}</meter>'
        rows.append(
            [
                _link(item),
                f"{len(item.passed)} of {item.attempts} {meter}",
                f"{item.difficulty:.2f}",
                _number(item.discrimination),
            ]
        )
    heads = ["exercise", "attempts passed", "difficulty", "discrimination"]
    return _html_table(heads, rows, numbers=(2, 3))


def _details(item: Item) -> str:
    """The results of one exercise, which a click unfolds."""
    exercise = find(item.exercise)
    parts = [
        f"<details><summary>{escape(exercise.title)} ({len(item.passed)} of "
        f"{item.attempts} attempts passed)</summary>",
        # A link to this id, which is inside, unfolds the results.
        f'<p class="small" id="{escape(item.exercise)}">{escape(item.exercise)}</p>',
    ]
    for each in item.misconceptions:
        parts.append(f"<blockquote>{escape(each.message)}</blockquote>")
        kind = "a known misconception" if each.trap else "no known misconception"
        parts.append(_p(f"{_times(each)}, {kind}: {_names(each.students)}", "small"))
    if item.misconceptions:
        parts.append(_p(f"Read again: {lesson(item.exercise)}", "small"))
        parts.append(_p(f"Source: {exercise.source}", "small"))
    parts.append(_p(f"Passed: {_names(item.passed)}", "good"))
    if item.open:
        parts.append(_p(f"No attempt: {_names(item.open)}"))
    return "\n".join(parts) + "</details>"


def _students(students: list[Student]) -> str:
    rows = [
        [_record_link(s), str(s.passed), str(s.attempts), escape(_names(s.failed))]
        for s in students
    ]
    return _html_table(["student", "passed", "attempts", "failed"], rows, (1, 2))


def _record(student: Student, marks: list[Mark]) -> str:
    """All marks of one student, with the messages."""
    rows = []
    for mark in marks:
        if mark.student == student.name:
            kind = ' class="good"' if mark.passed else ""
            kind = ' class="bad"' if mark.state in ("failed", "no mark") else kind
            says = " ".join(filter(None, [mark.message, mark.remark]))
            state = f"<span{kind}>{mark.state}</span>"
            rows.append([escape(mark.exercise), state, escape(says)])
    return (
        f"<details><summary>{escape(student.name)} ({student.passed} of {len(rows)} "
        f'exercises passed)</summary>\n<p id="{_record_id(student)}"></p>'
        f"{_html_table(['exercise', 'state', 'message'], rows, ())}</details>"
    )


def _record_link(student: Student) -> str:
    return f'<a href="#{_record_id(student)}">{escape(student.name)}</a>'


def _record_id(student: Student) -> str:
    """The id of a student's record; it has no letter that HTML would read."""
    return f"student-{student.name.encode(errors='surrogatepass').hex()}"


def _html_table(
    heads: list[str], rows: list[list[str]], numbers: tuple[int, ...]
) -> str:
    """A table; the cells are HTML already."""
    kinds = [' class="number"' if i in numbers else "" for i in range(len(heads))]

    def row(kind: str, cells: list[str]) -> str:
        pairs = zip(kinds, cells, strict=True)
        inner = "".join(f"<{kind}{k}>{cell}</{kind}>" for k, cell in pairs)
        return f"<tr>{inner}</tr>"

    body = "\n".join(row("td", cells) for cells in rows)
    return f'<div class="wide"><table>{row("th", heads)}\n{body}</table></div>'


def _items(texts: Iterable[str]) -> str:
    return "<ul>" + "\n".join(f"<li>{text}</li>" for text in texts) + "</ul>"


def _link(item: Item) -> str:
    name = escape(item.exercise)
    return f'<a href="#{name}">{name}</a>'


def _p(text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{escape(text)}</p>"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _times(misconception: Misconception) -> str:
    return _count(len(misconception.students), "student")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _exercise_table(found: list[Item]) -> str:
    heads = ["exercise", "title", "chapter", "attempts", "passed", "no_attempt"]
    rows: list[list[object]] = [[*heads, "difficulty", "discrimination_point_biserial"]]
    for item in found:
        exercise = find(item.exercise)
        counts = item.attempts, len(item.passed), len(item.open)
        told = item.discrimination
        numbers = (
            round(item.difficulty, 3),
            "" if told is None else round(told, 3),
        )
        rows.append(
            [item.exercise, exercise.title, exercise.notebook, *counts, *numbers]
        )
    return csv_of(rows)


def _misconception_table(found: list[Item]) -> str:
    heads = ["exercise", "trap", "students", "message", "chapter", "names"]
    rows: list[list[object]] = [list(heads)]
    for item in found:
        for each in item.misconceptions:
            count, names = len(each.students), _names(each.students)
            place = lesson(item.exercise)
            rows.append(
                [item.exercise, each.trap or "", count, each.message, place, names]
            )
    return csv_of(rows)


def _student_table(students: list[Student]) -> str:
    heads = ["student", "passed", "attempts", "needs_help", "failed", "no_mark"]
    rows: list[list[object]] = [list(heads)]
    for s in students:
        failed, reached = " ".join(s.failed), " ".join(s.no_mark)
        rows.append([s.name, s.passed, s.attempts, int(s.needs_help), failed, reached])
    return csv_of(rows)
