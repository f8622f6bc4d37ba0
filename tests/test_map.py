"""The map of the climb is true: its links, its exercises and the notebooks agree."""

import json
import re
from collections import Counter

import pytest

from tests.exercises import chapters, commands
from tests.exercises.manifest import book, exercises

TEXT = chapters.MAP.read_text(encoding="utf-8") if chapters.MAP.exists() else ""
LINKS = re.findall(r"\]\(([^)]+)\)", TEXT)


def test_every_link_leads_to_a_notebook_and_a_heading_in_it():
    assert len(LINKS) > 40
    for link in LINKS:
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        path = chapters.NOTEBOOKS / file
        assert path.exists(), link
        assert not anchor or anchor in chapters.headings(path), link


def test_every_chapter_is_on_the_map():
    linked = {link.partition("#")[0] for link in LINKS}
    assert {path.name for path in chapters.chapters()} <= linked


def test_the_table_of_exercises_is_that_of_the_manifests():
    _, _, shown = TEXT.partition(chapters.START)
    assert shown.strip() == chapters.exercise_tables().strip(), (
        "run `python -m tests.exercises.chapters`"
    )


def test_every_exercise_is_in_exactly_one_cell_of_its_chapter():
    cells = [
        (name, path.stem)
        for path in chapters.chapters()
        for name in chapters.checked_in(path)
    ]
    wanted = [(each.id, each.notebook) for each in exercises().values()]
    assert Counter(cells) == Counter(wanted)


@pytest.mark.parametrize("chapter", chapters.chapters(), ids=lambda path: path.stem)
def test_the_saved_answers_are_open(chapter):
    """The notebooks, as they are saved, show no solution and no error of the judge."""
    said = chapters.printed_text(chapter)
    open_ones = re.findall(r"^Still open: .* \(([\w-]+)\)$", said, re.MULTILINE)
    assert Counter(open_ones) == Counter(chapters.checked_in(chapter))


@pytest.mark.parametrize("exercise", book().values(), ids=book())
def test_what_an_exercise_needs_stands_before_it(exercise):
    assert 1 <= exercise.difficulty <= 5
    assert 5 <= exercise.minutes <= 60
    places = list(book())
    for name in exercise.needs:
        assert places.index(name) < places.index(exercise.id)


def test_every_notebook_says_at_its_top_how_it_runs_alone():
    """All say the same, and the map gives the same lines to run."""
    books = [json.loads(path.read_text("utf-8")) for path in chapters.chapters()]
    (note,) = {"".join(each["cells"][1]["source"]) for each in books}
    assert note.startswith("<details><summary>To run this notebook alone")
    lines = note[note.index("```") : note.rindex("```")]
    assert "!git clone ADDRESS book" in lines
    assert lines in TEXT


def test_the_map_is_shown_on_the_command_line(capsys):
    assert commands.main(["map"]) == 0
    assert "The map of the climb" in capsys.readouterr().out
