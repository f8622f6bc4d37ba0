"""Notebooks and Markdown files of the checkout as pages of the site.

A page keeps its text. Links between files of the checkout become links between pages,
and every picture gets a text that stands for it.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from notebooks.site.paths import FILES, ROOT, TEXTS, chapter_files, place_of
from notebooks.site.pictures import complete_player, describe, plain

LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]+)?\)")


def write_chapters(folder: Path) -> None:
    """Write the notebooks, without widgets, which do not work on a page."""
    (folder / "chapters").mkdir()
    for path in chapter_files():
        book = json.loads(path.read_text(encoding="utf-8"))
        book["metadata"].pop("widgets", None)  # their sliders would not move
        _complete_pictures(book["cells"])
        for cell in book["cells"]:
            if cell["cell_type"] == "markdown":
                text = "".join(cell["source"])
                name = f"notebooks/{path.name}"
                cell["source"] = links_to_pages(text, name, f"chapters/{path.name}")
        (folder / "chapters" / path.name).write_text(json.dumps(book), encoding="utf-8")


def write_texts(folder: Path) -> None:
    """Write the README files and guides, with links that lead to pages."""
    for place in {*TEXTS.values(), *FILES.values()}:
        (folder / place).parent.mkdir(exist_ok=True)
    for file, page in TEXTS.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        text = text.replace("```csv\n", "```\n")  # Sphinx has no colours for it
        (folder / page).write_text(links_to_pages(text, file, page), encoding="utf-8")
    for file, place in FILES.items():
        (folder / place).write_bytes((ROOT / file).read_bytes())


def links_to_pages(text: str, file: str, page: str) -> str:
    """Return the text of a file of the checkout with links between pages."""

    def link(found: re.Match[str]) -> str:
        target, anchor = found[1], _as_on_the_site(found[2] or "")
        if "://" in target:
            return found[0]
        inside = os.path.normpath(os.path.join(os.path.dirname(file), target))
        place = place_of(inside)
        if place is None:
            raise ValueError(f"{file} links to {target}, which is on no page")
        return f"]({os.path.relpath(place, os.path.dirname(page))}{anchor})"

    return LINK.sub(link, text)


def _as_on_the_site(anchor: str) -> str:
    """Return an anchor of Jupyter's (`#What?-Why`) as Sphinx makes it (`#what-why`)."""
    return re.sub(r"[^\w#-]", "", anchor.lower())


def _complete_pictures(cells: list[dict[str, Any]]) -> None:
    """Write a text for each picture into the metadata of its cell, in place."""
    heading = ""
    # The note on hosted services says nothing about a picture below it.
    cells = [cell for cell in cells if cell["id"] != "opened-alone"]
    for i, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            headings = re.findall(r"^#+ (.*)$", source, re.MULTILINE)
            heading = plain(headings[-1]) if headings else heading
            continue
        kinds = [output.get("data", {}) for output in cell["outputs"]]
        if any("image/png" in kind for kind in kinds):
            before, after = _text(cells[:i][::-1]), _text(cells[i + 1 :])
            text = describe(heading, source, (before, after))
            cell["metadata"]["mystnb"] = {"image": {"alt": text}}
        for kind in kinds:
            if "text/html" in kind:
                page = "".join(kind["text/html"])
                kind["text/html"] = complete_player(page, heading)


def _text(cells: list[dict[str, Any]]) -> str:
    """Return the text of the first cell; nothing if there is none or it is code."""
    if not cells or cells[0]["cell_type"] == "code":
        return ""
    return "".join(cells[0]["source"])
