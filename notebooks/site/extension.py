"""An extension of Sphinx: formulas as MathML, and boxes that a keyboard can scroll.

Browsers draw MathML without a script, and screen readers read it. The font that the
pages bring along is STIX Two Math.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

FONT = "STIXTwoMath-Regular.ttf"
# What scrolls sideways on a narrow screen, and must be reached without a mouse.
BOXES = ("<pre", '<div class="table-wrapper', '<div class="cell_output')


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer with Sphinx."""
    inline, block = (_visit_inline, None), (_visit_block, None)
    app.add_html_math_renderer("mathml", inline, block)
    app.connect("html-page-context", _fold_contents, priority=400)  # before the theme
    app.connect("html-page-context", _reach_boxes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def copy_font(folder: Path) -> None:
    """Copy the font of formulas into a folder of the site."""
    package = find_spec("ziamath")  # found, and not imported
    if package is None or package.origin is None:
        raise ModuleNotFoundError("no ziamath", name="ziamath")
    font = Path(package.origin).parent / "fonts" / FONT
    (folder / FONT).write_bytes(font.read_bytes())


def _fold_contents(_app: Any, _page: str, _template: str, context: Any, _: Any) -> None:
    """Show only the entries around a page: all of them took half of the time."""
    whole = context.get("toctree")
    context["toctree"] = lambda **given: whole(**{**given, "collapse": True})


def _reach_boxes(_app: Any, _page: str, _template: str, context: Any, _: Any) -> None:
    """Let the tabulator key stop at each box that may scroll."""
    for box in BOXES:
        head = box.partition(" ")[0] if " " in box else box
        with_stop = box.replace(head, f'{head} tabindex="0"', 1)
        context["body"] = context.get("body", "").replace(box, with_stop)


@cache
def mathml(latex: str, display: str) -> str:
    """Return a formula in LaTeX as MathML; `display` is "inline" or "block"."""
    return convert(latex, display=display)


def _visit_inline(translator: Any, node: nodes.Element) -> None:
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.Element) -> None:
    formula = mathml(node.astext(), "block")
    translator.body.append(f'<div class="math" tabindex="0">{formula}</div>\n')
    raise nodes.SkipNode
