"""Pages made from data: the lab's experiments, the misconceptions, and the symbols.

The pictures of the lab are those that the saved chapters show.
"""

import ast
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

from lm_bandit.lab.command import EXPERIMENTS
from notebooks.site.paths import FLOORS, ROOT, chapter_files
from notebooks.site.reference import escaped, text_of, title
from tests.exercises.manifest import exercises

SYMBOLS = re.compile(r"Words in the code, symbols[^:]*:\n\n((?:    .*\n)+)")


def write_lists(folder: Path) -> None:
    """Write the pages that are made from data."""
    (folder / "lab").mkdir()
    pages = {
        "lab/index.rst": lab_page(folder / "lab"),
        "teaching/misconceptions.rst": misconceptions_page(),
        "symbols.rst": symbols_page(),
    }
    for place, text in pages.items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")


def lab_page(folder: Path) -> str:
    """Return the page of the experiments; their pictures are written beside it."""
    parts = [
        title("The lab: what can go wrong"),
        escaped(
            "Seven ways in which learning from human feedback goes wrong, each "
            "computed exactly. The pictures are those of the saved chapter. Each "
            "command computes an experiment again, on ten seeds."
        ).replace("Seven", _number(len(EXPERIMENTS))),
        ":doc:`Chapter 12 </chapters/12_what_can_go_wrong>` tells the story of each.",
    ]
    saved = _saved_pictures()
    for name, file in EXPERIMENTS.items():
        doc = ast.get_docstring(ast.parse(_text(f"lm_bandit/lab/{file}.py"))) or ""
        heading, _, rest = doc.partition("\n")
        module = f"lm_bandit.lab.{file}"
        heading = heading.rstrip(".")
        parts.append(f"{heading}\n{'-' * len(heading)}")
        parts.append(f".. code-block:: text\n\n   python -m lm_bandit lab {name}")
        if file in saved:
            (folder / f"{file}.png").write_bytes(saved[file])
            alt = f"The picture of the experiment {name}: {heading}"
            parts.append(f".. figure:: {file}.png\n   :alt: {alt}")
        parts += [text_of(rest), f"The program: :doc:`/reference/{module}`."]
    return "\n\n".join(parts) + "\n"


def misconceptions_page() -> str:
    """Return the page of the mistakes that the exercises know by name."""
    parts = [
        title("The misconceptions that the exercises know"),
        "Each exercise recognises some wrong solutions by what they compute. Below it "
        "are the sentences that their authors read. A teacher may use the list to plan "
        "a lesson; a student learns more by making the mistakes.",
    ]
    for each in exercises().values():
        chapter = f":doc:`chapter {each.notebook[:2].lstrip('0')} "
        chapter += f"</chapters/{each.notebook}>`"
        parts.append(f"{each.title}\n{'-' * len(each.title)}")
        parts.append(f"``{each.id}``, {chapter}")
        said = [escaped(" ".join(trap.says.split())) for trap in each.traps]
        parts.append("\n".join(f"- {sentence}" for sentence in dict.fromkeys(said)))
    return "\n\n".join(parts) + "\n"


def symbols_page() -> str:
    """Return the tables of symbols that the front pages of the packages hold."""
    parts = [
        title("Symbols"),
        "The symbol of a docstring, its name in the code, and what it is. The "
        ":doc:`glossary </glossary>` explains the words.",
    ]
    for floor in FLOORS:
        parts.append(f"{floor}\n{'-' * len(floor)}")
        doc = ast.get_docstring(ast.parse(_text(f"{floor}/__init__.py"))) or ""
        table = SYMBOLS.search(doc)
        if table is None:
            raise ValueError(f"{floor}/__init__.py has no table of symbols")
        rows = [re.split(r"\s{2,}", row.strip()) for row in table[1].splitlines()]
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in [["symbol", "in the code", "meaning and shape"], *_three(rows)]:
            cells = [f"``{row[0]}``" if row[0] != "symbol" else row[0]]
            cells += [escaped(cell) for cell in row[1:]]
            lines.append("   * - " + "\n     - ".join(cells))
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _three(rows: list[list[str]]) -> Iterator[list[str]]:
    """Return rows of three cells."""
    for row in rows:
        symbol, name, *rest = [*row, ""]
        yield [symbol, name, ", ".join(cell for cell in rest if cell)]


def _saved_pictures() -> dict[str, bytes]:
    """Return the pictures that chapters have drawn with `draw_NAME` of the lab."""
    found: dict[str, bytes] = {}
    for path in chapter_files():
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            drawn = re.findall(r"\.draw_(\w+)\(", "".join(cell["source"]))
            for output in cell.get("outputs", []):
                picture = output.get("data", {}).get("image/png")
                if picture and drawn and drawn[0] in EXPERIMENTS.values():
                    found[drawn[0]] = base64.b64decode(picture)
    return found


def _number(count: int) -> str:
    words = "No One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve"
    return words.split()[count]


def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")
