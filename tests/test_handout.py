"""A folder for students stands alone, judges as it does here, and shows no answer."""

import ast
import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.classroom.handout import copies_in, hand_out
from tests.classroom.selection import chosen
from tests.exercises import commands, sealed, sources
from tests.exercises.manifest import ROOT, exercises, find

WEEK = ["floor2", "crowd-bt", "what-is-wrong-1"]
DATES = "floor2 = 2026-10-08\ntd-errors = 2026-10-01\n"
TRIED = "discounted-returns", "td-errors", "preference-loss"  # one of each floor
WORD = re.compile(r"\w+|[^\w\s]")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with all exercises."""
    out = tmp_path_factory.mktemp("class") / "whole"
    assert commands.main(["handout", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """A folder with some exercises and dates."""
    out = tmp_path_factory.mktemp("class") / "week"
    due = out.with_name("due.toml")
    due.write_text(DATES)
    assert hand_out(out, WEEK, due) == chosen(WEEK)
    return out


def run(folder, *args):
    """Run Python in a folder, with nothing else to import the packages from."""
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env["JAX_COMPILATION_CACHE_DIR"] = os.environ["JAX_COMPILATION_CACHE_DIR"]
    return subprocess.run(
        [sys.executable, "-s", *args],
        cwd=folder,
        env=env,
        capture_output=True,
        encoding="utf-8",
    )


def told(text):
    """The words and signs of a text in one line."""
    code = re.sub(r"\\n|#.*", " ", text).replace('"', "'").replace(",)", ")")
    return f" {' '.join(WORD.findall(code))} "


def telling_lines(candidate):
    """The lines of a function's body that hold more than a name and a call."""
    function = ast.parse(candidate.source).body[0]
    body = function.body[ast.get_docstring(function) is not None :]
    lines = [told(line) for part in body for line in ast.unparse(part).splitlines()]
    return [line for line in lines if len(line.split()) >= 8]


def texts(folder):
    """All files of a folder as text, in which a notebook's lines are joined."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        assert file.suffix not in {".pyc", ".zip", ".gz", ".tar", ".pack"}, file
        text = file.read_bytes().decode("utf-8", errors="replace")
        if file.suffix == ".ipynb":
            text = re.sub(r'"image/png": ".*?"', "", text)
            text = re.sub(r'\\n",\s*"', "\n", text).replace('\\"', "'")
        yield file.relative_to(folder), told(text)


def shown_in(folder, ids):
    """The files in which more than half of the lines of an answer stand."""
    listed = list(texts(folder))
    for exercise in map(find, ids):
        right = [sources.reference(exercise)]
        right += [sources.edited(exercise, x) for x in exercise.variants if x.body]
        for lines in filter(None, map(telling_lines, right)):
            for name, text in listed:
                if sum(line in text for line in lines) > len(lines) / 2:
                    yield f"{name} shows {exercise.id}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "week"])
def test_no_file_holds_half_of_the_lines_of_an_answer(name, request):
    """An answer is the book's own body, or that of a variant with a whole body."""
    folder = request.getfixturevalue(name)
    ids = exercises() if name == "whole" else set(exercises()) & set(chosen(WEEK))
    assert not list(shown_in(folder, ids))
    # The search does find an answer: that of an exercise that was not handed out.
    if name == "week":
        assert list(shown_in(folder / "mdp", ["value-iteration"])) == [
            "planning.py shows value-iteration"
        ]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIED)
def test_the_folder_judges_a_wrong_and_then_a_right_answer_as_here(name, whole):
    """With nothing but the folder and Python; the answers come from this checkout."""
    exercise, file = find(name), whole / "workbook" / f"{name.replace('-', '_')}.py"
    begun = file.read_text()
    assert begun == sources.new_file(exercise)
    above = begun[: begun.index("\ndef ")]
    for candidate, code, says in (
        (sources.edited(exercise, exercise.traps[0]), 1, exercise.traps[0].says),
        (sources.reference(exercise), 0, f"Passed: {exercise.title}."),
    ):
        file.write_text(f"{above}\n{candidate.source}")
        checked = run(whole, "-m", "tests", "check")
        assert checked.returncode == code, checked.stderr + checked.stdout
        assert checked.stdout.replace("\n", " ").startswith(says)
        assert "solution" not in checked.stdout


@pytest.mark.slow
def test_the_rest_of_the_library_runs_from_the_folder(whole):
    """The command lines, a solver whose own lines are sealed, and a notebook's cell."""
    for args in ("mdp worlds", "lm_bandit --help", "policy_gradient --help"):
        assert run(whole, "-m", *shlex.split(args)).returncode == 0
    program = """
import mdp, policy_gradient.ppo
from mdp.exercises import check

def empty(rewards, discounts): ...

assert mdp.__file__.startswith({folder!r}), mdp.__file__
assert mdp.value_iteration(mdp.worlds.cliff_walking()).values[36] == -13
check(empty, "softmax-policy")
"""
    (whole / "mine.py").write_text(program.format(folder=str(whole)))
    said = run(whole, "mine.py")
    (whole / "mine.py").unlink()
    assert said.stdout.startswith("Still open"), said.stderr
    said = run(whole, "-m", "tests", "solution", "td-errors", "--reveal")
    assert said.stderr.endswith("comes from your teacher.\n")
    assert not said.stdout
    text = (whole / "mdp" / "planning.py").read_text()
    mark = "  # value_iteration is yours: workbook/value_iteration.py"
    lines = [line for line in text.splitlines() if line.endswith(mark)]
    assert lines == [f"    raise NotImplementedError{mark}"]
    ours = (ROOT / "mdp" / "planning.py").read_text()
    assert len(text.splitlines()) == len(ours.splitlines()), "line numbers are ours"


def test_the_instructions_list_what_was_selected_and_when_it_is_due(week):
    readme = (week / "README.md").read_text()
    rows = dict(re.findall(r"\| `([\w-]+)` .*?(\S*) \|\n", readme))
    assert list(rows) == chosen(WEEK)
    dates = {"td-errors": "2026-10-01", "crowd-bt": "", "what-is-wrong-1": ""}
    assert {name: rows[name] for name in dates} == dates
    assert set(rows.values()) == {"2026-10-01", "2026-10-08", ""}
    listed = (week / "notebooks" / "README.md").read_text()
    assert "\n| `td-errors` |" in listed
    assert "\n| `td-zero` |" not in listed


@pytest.mark.parametrize(
    ("args", "dates", "message"),
    [
        (["--select", "flor1"], "", "There is no 'flor1': did you mean floor1"),
        (["--select", "td-zreo"], "", "did you mean td-zero"),
        ([], "td-zreo,2026-10-01", "due.csv, 'td-zreo': There is no exercise"),
        ([], "gae,tomorrow", "'gae' must have a date such as 2026-10-01, got 'tom"),
        ([], "gae,1,2", "due.csv, row 2: must be NAME,DATE, got 'gae,1,2'"),
        ([], "gae;2026-13-01", "'gae' must have a date such as 2026-10-01, got '2026"),
        ([], "", "due.csv has no dates."),
        (["--select", " ,"], "", "--select names no exercise"),
    ],
)
def test_what_cannot_be_handed_out_costs_one_line(
    tmp_path, capsys, args, dates, message
):
    sign = ";" if ";" in dates else ","
    (tmp_path / "due.csv").write_text(f"exercise{sign}due\n{dates}\n")
    due = [] if args else ["--due", str(tmp_path / "due.csv")]
    assert commands.main(["handout", str(tmp_path / "out"), *args, *due]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert commands.main(["handout", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_copy_in_a_text_is_found_whatever_its_line_breaks(tmp_path):
    (tmp_path / "notes.md").write_text(
        "Here:\n\n    x = trajectory  # short\n    return (x.rewards +\n"
        "        x.discounts * x.next_values - x.values)\n"
    )
    found = list(copies_in(tmp_path, [find("td-errors"), find("entropy")]))
    assert found == ["notes.md, paragraph 1 shows the answer of td-errors"]


def test_what_is_sealed_comes_back_as_it_was(tmp_path, monkeypatch):
    """It comes back even if an editor removed the blank lines that kept its place."""
    part = sealed.Part("    # the mark", "    a = 1\n\n    return a")
    whole = "def one():\n{}\n\n\ndef two(): ...\n"
    store = sealed.seal(sealed.Contents(("an-id",), {"x.py": [part]}))
    assert "return" not in store
    monkeypatch.setattr(sealed, "STORE", store)
    monkeypatch.setattr(sealed, "ROOT", tmp_path)
    monkeypatch.setattr(sealed, "contents", sealed.contents.__wrapped__)
    assert sealed.assigned() == ("an-id",)
    (tmp_path / "x.py").write_text(whole.format(sealed.blank(*part)))
    assert sealed.read(tmp_path / "x.py") == whole.format(part.text)
    (tmp_path / "x.py").write_text(whole.format(part.mark))
    found, wanted = sealed.read(tmp_path / "x.py"), whole.format(part.text)
    assert ast.dump(ast.parse(found)) == ast.dump(ast.parse(wanted))
    (tmp_path / "x.py").write_text(whole.format("    return 2"))
    with pytest.raises(ValueError, match=r"x\.py: the line `# the mark` is missing"):
        sealed.read(tmp_path / "x.py")
