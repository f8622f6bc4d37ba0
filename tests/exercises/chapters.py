"""The map of the climb, notebooks/README.md: chapters, exercises, and what to read.

    python -m tests map                    shows it
    python -m tests.exercises.chapters     writes its table of exercises anew

The text is written by hand; the table of exercises comes from the manifests.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from tests.exercises.manifest import ROOT, Diagnosis, Exercise, book, exercises

NOTEBOOKS = ROOT / "notebooks"
MAP = NOTEBOOKS / "README.md"
START = "<!-- The table below is made by `python -m tests.exercises.chapters`. -->\n"


def chapters() -> list[Path]:
    """The notebooks, in reading order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def exercise_tables() -> str:
    """The exercises of each chapter, as tables in Markdown."""
    parts = []
    for chapter in chapters():
        own = [each for each in book().values() if each.notebook == chapter.stem]
        if own:
            rows = "\n".join(_row(exercise) for exercise in own)
            top = f"### [{title(chapter)}]({chapter.name})\n\n{_total(own)}\n\n{HEAD}"
            parts.append(f"{top}\n{rows}\n")
    return "\n".join(parts)


def _total(own: list[Exercise | Diagnosis]) -> str:
    """Say how many exercises a chapter has, and how long all of them take."""
    hours, minutes = divmod(sum(each.minutes for each in own), 60)
    spans = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return f"{len(own)} exercise{'s' * (len(own) > 1)}, {' '.join(spans)} in all."


HEAD = "| exercise | title | difficulty | minutes | do first |\n|---|---|---|---|---|"


def _row(exercise: Exercise | Diagnosis) -> str:
    needs = ", ".join(f"`{name}`" for name in exercise.needs) or "-"
    cells = f"`{exercise.id}`", exercise.title, exercise.difficulty, exercise.minutes
    return "| " + " | ".join(map(str, (*cells, needs))) + " |"


def title(chapter: Path) -> str:
    """The title of a notebook: the first line of its first cell."""
    return "".join(_cells(chapter)[0]["source"]).split("\n")[0].lstrip("# ")


def headings(chapter: Path) -> list[str]:
    """The anchors of a notebook's headings, as Jupyter makes them."""
    texts = ["".join(c["source"]) for c in _cells(chapter) if c["cell_type"] != "code"]
    found = re.findall(r"^#+ (.*)$", "\n".join(texts), re.MULTILINE)
    return [heading.replace(" ", "-") for heading in found]


def checked_in(chapter: Path) -> list[str]:
    """The exercises that the cells of a notebook check, one entry for each cell."""
    cells = ["".join(c["source"]) for c in _cells(chapter) if c["cell_type"] == "code"]
    return [
        name
        for cell in cells
        if "check(" in cell
        for name in dict.fromkeys(re.findall(r'"([\w-]+)"', cell))
        if name in exercises()
    ]


def printed_text(chapter: Path) -> str:
    """All that the cells of a notebook printed when it was saved."""
    outputs = [out for cell in _cells(chapter) for out in cell.get("outputs", [])]
    return "".join("".join(output.get("text", "")) for output in outputs)


@cache
def _cells(chapter: Path) -> list[dict[str, Any]]:
    return json.loads(chapter.read_text(encoding="utf-8"))["cells"]


def main() -> None:
    """Write the table of exercises anew."""
    by_hand = MAP.read_text(encoding="utf-8").partition(START)[0]
    MAP.write_text(by_hand + START + "\n" + exercise_tables(), encoding="utf-8")


if __name__ == "__main__":
    main()
