"""A class is graded: every student gets marks, and the teacher a report."""

import csv
import html.parser
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.classroom import outputs, report, statistics, submissions
from tests.classroom.grade import Mark, grade
from tests.exercises import commands, sources, workbook
from tests.exercises.check import Worker, check
from tests.exercises.manifest import find
from tests.test_exercises import RETURNS, RIGHT

BACKUP = find("expectation-backup")
HEAD = "import numpy as np\n\n\ndef discounted_returns(rewards, discounts):"
RIGHT_FILE = HEAD + RIGHT
NO_DISCOUNT = RIGHT_FILE.replace("discounts[t] * following", "following")
EVIL = "<script>alert(1)</script>"
CLASS = {
    "ada": {"discounted_returns": RIGHT_FILE, "expectation_backup": None},
    "bob": {"discounted_returns": NO_DISCOUNT},
    "cy": {"discounted_returns": f"{HEAD}\n    import os\n    os._exit(0)\n"},
    "dan": {"discounted_returns": "# mine\n" + NO_DISCOUNT},
    "eve": {"discounted_returns": f"{HEAD}\n    raise ValueError('{EVIL}')\n"},
    "=fay": {"discounted_returns": sources.new_file(RETURNS)},
    "gil": {"discounted_returns": b"\xff\xfe\x00", "expectation_backup": b"x" * 2**21},
    "hal": {"discounted_returns": b"\xef\xbb\xbf" + RIGHT_FILE.encode()},
    "ida": {
        "workbook/discounted_returns": "import mdp\n" + HEAD + "\n    return "
        "mdp.discounted_returns(rewards, discounts)\n"
    },
}
STATES = {
    "ada": "passed",
    "bob": "failed",
    "cy": "failed",
    "dan": "failed",
    "eve": "failed",
    "=fay": "open",
    "gil": "failed",
    "hal": "passed",
    "ida": "no mark",
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The class's folder, and what `grade` made of it."""
    folder = tmp_path_factory.mktemp("class")
    for student, files in CLASS.items():
        for name, text in files.items():
            path = folder / "in" / student / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                text = sources.reference(BACKUP).source
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "in" / "jo").mkdir()
    (folder / "in" / "jo" / "discounted_returns.py").symlink_to("/etc/passwd")
    out = folder / "out"
    status = commands.main(
        [
            *("grade", str(folder / "in"), "--out", str(out / "grades.csv")),
            *("--report", str(out), "--junit", str(out / "junit.xml")),
            *("--gradescope", str(out / "gradescope")),
        ]
    )
    assert status == 0
    with (out / "grades.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    return out, rows


def test_every_student_has_a_row_for_every_exercise_that_is_due(graded):
    _, rows = graded
    found = {row["student"].lstrip("'"): row for row in rows[::2]}
    assert [row["exercise"] for row in rows] == [RETURNS.id, BACKUP.id] * 10
    assert {name: found[name]["state"] for name in STATES} == STATES
    assert (
        found["jo"]["message"]
        == "jo/discounted_returns.py is no ordinary file (a link, perhaps)."
    )
    assert "UTF-8" in found["gil"]["message"]
    assert "ends Python" in found["cy"]["message"]
    backups = {row["student"]: row for row in rows[1::2]}
    assert backups["ada"]["passed"] == "1"
    assert backups["bob"]["state"] == "missing"
    assert "2,097,152 bytes" in backups["gil"]["message"]


def test_files_count_whatever_a_browser_a_zip_or_a_whole_folder_makes_of_them(tmp_path):
    """A copy of the library in a hand-in is no hand-in: it has the book's answers."""
    for name in (
        *("ada/a week/workbook/Discounted-Returns.py", "bob/discounted_returns (1).py"),
        *("cy/week1/lm_bandit/__init__.py", "cy/week1/lm_bandit/sums/verifier.py"),
        *("cy/.venv/lib/entropy.py", "cy/venv/site-packages/a/entropy.py"),
        *("dan/ucb (1).py", "dan/ucb.py", "__MACOSX/ada/._ucb.py"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}")
    found = submissions.collect(tmp_path)
    handed_in = {(x.student, x.exercise.id): x.source for x in found if x.source}
    assert handed_in == {
        ("ada", RETURNS.id): "# ada/a week/workbook/Discounted-Returns.py",
        ("bob", RETURNS.id): "# bob/discounted_returns (1).py",
        ("dan", "ucb"): "# dan/ucb.py",
    }
    assert {x.student for x in found} == {"ada", "bob", "cy", "dan"}
    (tmp_path / "dan" / "ucb.py").write_text("\n")
    assert submissions.collect(tmp_path)[-1].source == "# dan/ucb (1).py"
    (tmp_path / "dan" / "ucb (1).py").write_text("")
    assert submissions.collect(tmp_path)[-1].trouble == "dan/ucb.py is still empty."


def test_a_trap_is_named_and_the_same_program_gets_the_same_mark(graded):
    _, rows = graded
    found = {row["student"]: row for row in rows[::2]}
    bob, dan = found["bob"], found["dan"]
    assert bob["trap"] == "1"
    assert bob["message"] == RETURNS.traps[0].says
    assert {bob[n] == dan[n] for n in ("trap", "message", "seconds")} == {True}


def test_a_spreadsheet_finds_no_formula(graded):
    _, rows = graded
    assert "'=fay" in {row["student"] for row in rows}
    assert outputs.csv_of([["-1", -1.5]]) == "'-1,-1.5\r\n"


def test_the_report_shows_what_students_wrote_as_text_and_needs_no_network(graded):
    out, _ = graded
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    tags = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)
            for name, value in attrs:
                assert not name.startswith("on")
                assert name not in ("src", "href") or value.startswith("#")

    Reader().feed(page)
    assert not {"script", "img", "link", "iframe"} & set(tags)
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page
    assert html.escape(RETURNS.traps[0].says) in page
    assert "2 students, a known misconception: bob, dan" in page
    assert "chapter 2 · The MDP and its returns" in page
    listed = page[page.index("need help</h2>") : page.index("<h2>All exercises")]
    assert ">=fay</a>: no attempt." in listed
    record = page[page.index("<details><summary>bob (0 of 2") :]
    assert record.index(html.escape(RETURNS.traps[0].says)) < record.index("</details>")
    with (out / "misconceptions.csv").open(encoding="utf-8", newline="") as opened:
        first = next(csv.DictReader(opened))
    assert (first["trap"], first["students"], first["names"]) == ("1", "2", "bob, dan")


def test_the_outputs_for_machines_agree_with_the_table(graded):
    out, rows = graded
    root = ElementTree.parse(out / "junit.xml").getroot()
    kinds = {
        (case.get("classname"), case.get("name")): [child.tag for child in case]
        for case in root.iter("testcase")
    }
    assert len(kinds) == len(rows)
    assert kinds["ada", RETURNS.id] == []
    assert kinds["bob", RETURNS.id] == ["failure"]
    assert kinds["bob", BACKUP.id] == ["skipped"]
    for suite in root:
        for kind in ("failure", "error", "skipped"):
            name = kind if kind == "skipped" else f"{kind}s"
            assert int(suite.get(name)) == len(suite.findall(f"*/{kind}"))
    scope = json.loads((out / "gradescope" / "ada.json").read_text())
    assert [test["score"] for test in scope["tests"]] == [1, 1]


def test_the_point_biserial_is_the_correlation_of_mark_and_score():
    rng = np.random.default_rng(0)
    passed = (rng.random(40) < 0.4).astype(float)
    others = passed * 2 + rng.normal(size=40)
    told = statistics.point_biserial(passed, others)
    assert told == pytest.approx(np.corrcoef(passed, others)[0, 1], abs=1e-12)
    assert statistics.point_biserial(np.ones(40), others) is None
    assert statistics.point_biserial(passed, np.ones(40)) is None


def test_difficulty_and_discrimination_of_a_small_class():
    """A, B and C pass the first exercise, all pass the second, D alone the third."""
    table = {"A": "110", "B": "110", "C": "110", "D": "011", "E": "010"}
    marks = [
        Mark(student, RETURNS.id + str(i), "passed" if x == "1" else "failed")
        for student, row in table.items()
        for i, x in enumerate(row)
    ]
    first, second, third = statistics.items(marks)
    assert (first.difficulty, second.difficulty, third.difficulty) == (0.6, 1.0, 0.2)
    assert first.discrimination < 0, "D passed more of the others"
    assert second.discrimination is None
    assert third.discrimination < 0
    assert third.most_failed
    assert not first.most_failed
    help_wanted = [s.name for s in statistics.summaries(marks) if s.needs_help]
    assert help_wanted == ["E"]


def test_a_broken_machine_gives_no_marks(monkeypatch, tmp_path):
    """Where the book's own function does not pass, nobody is marked."""
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "discounted_returns.py").write_text(RIGHT_FILE)
    wrong = sources.edited(RETURNS, RETURNS.traps[0])
    monkeypatch.setattr("tests.classroom.grade.reference", lambda _: wrong)
    (mark,) = grade(submissions.collect(tmp_path))
    assert mark.state == "not graded"
    assert mark.message.startswith("On this machine the book's own does not pass")
    assert "could not be graded" in report.page([mark], [], [], "").lower()


def test_a_busy_machine_gives_more_time_to_a_check_and_none_to_grade(
    monkeypatch, tmp_path
):
    """In a class, endless loops are part of the load."""
    limits = []

    def note(self, **job):
        limits.append(job["time_limit"])
        return "no judge"

    monkeypatch.setattr("tests.exercises.check._slowness", lambda: 3.0)
    monkeypatch.setattr(Worker, "do", note)
    check(RETURNS, sources.Candidate(RIGHT_FILE, RETURNS.name, "mine.py"))
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "discounted_returns.py").write_text(RIGHT_FILE)
    grade(submissions.collect(tmp_path))  # it begins with the book's own function
    assert limits == [3.0 * RETURNS.time_limit, 10.0 * RETURNS.time_limit]


@pytest.mark.parametrize(
    ("end", "state", "message"),
    [
        ("passed", "failed", "Your test does not end within 20 s"),
        ("failed", "not graded", "On this machine the book's own does not pass"),
    ],
)
def test_a_test_of_a_sick_run_has_ten_times_as_long_as_the_books_own(
    end, state, message, monkeypatch, tmp_path
):
    """And where the book's own test fails on a right function, nobody is marked."""
    sick = find("what-is-wrong-1")
    (tmp_path / "ada").mkdir()
    written = sick.imports + sources.solution(sick)
    (tmp_path / "ada" / "what_is_wrong_1.py").write_text(written)
    ran = {"what": "ran", "outcome": end}
    known = [ran, {"what": "time", "seconds": 2.0}, {"what": "done"}]
    monkeypatch.setattr("tests.classroom.grade.judge", lambda *_: known)
    loops = [{"what": "loop", "message": ""}]
    monkeypatch.setattr("tests.exercises.trials.judge", lambda *_, **__: loops)
    (mark,) = grade(submissions.collect(tmp_path))
    assert mark.state == state
    assert message in mark.message


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere"], "There is no folder nowhere."),
        (["empty"], "name of an exercise|no sub-folders"),
        ([".", "--workers", "0"], "--workers must be at least 1, got 0"),
        ([".", "--seed", "0"], "--seed must be at least 1, got 0"),
        (["class", "--out", "class"], "class is a folder: name a file."),
        (["class", "--report", "class/ada/discounted_returns.py"], "File exists"),
    ],
)
def test_what_cannot_be_graded_costs_one_line(
    args, message, capsys, monkeypatch, tmp_path
):
    (tmp_path / "class" / "ada").mkdir(parents=True)
    (tmp_path / "class" / "ada" / "discounted_returns.py").touch()
    (tmp_path / "empty" / "ada").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert commands.main(["grade", *args]) == 2
    err = capsys.readouterr().err
    assert any(part in err for part in message.split("|"))
    assert err.count("\n") == 1


def test_the_whole_workbook_is_checked_and_a_pass_ends_with_its_file(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(workbook, "WORKBOOK", tmp_path)
    assert commands.main(["check", "--all"]) == 2
    file = tmp_path / "discounted_returns.py"
    file.write_text(RIGHT_FILE)
    capsys.readouterr()
    assert commands.main(["check", "--all", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["exercises"]
    assert [(row["exercise"], row["state"]) for row in rows] == [(RETURNS.id, "passed")]
    assert workbook.is_passed(RETURNS)
    file.write_text("# A remark changes nothing.\n" + RIGHT_FILE)
    assert workbook.is_passed(RETURNS)
    file.write_text(NO_DISCOUNT)
    assert not workbook.is_passed(RETURNS)
    assert commands.main([]) == 0
    assert f"- {RETURNS.id}" in capsys.readouterr().out
    assert commands.main(["check", "--all"]) == 1
    assert RETURNS.traps[0].says[:40] in capsys.readouterr().out


@pytest.mark.parametrize(
    "notes",
    [
        "[]",
        "3",
        '{"discounted-returns": 1}',
        "\ufeffnull",
        "[" * 10**5,
        '{"discounted-returns": {"hints": "3"}}',
    ],
)
def test_a_progress_file_of_another_kind_costs_one_line(
    notes, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(workbook, "WORKBOOK", tmp_path)
    (tmp_path / "progress.json").write_text(notes, encoding="utf-8")
    for args in ([], ["hint", "discounted-returns"]):
        assert commands.main(args) == 2
        err = capsys.readouterr().err
        assert "progress.json cannot be read" in err
        assert err.count("\n") == 1
