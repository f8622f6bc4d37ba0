"""Formulas as MathML: browsers draw them without a script, and readers aloud read them.

It is an extension of Sphinx. The font that the pages bring along is STIX Two Math.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

FONT = "STIXTwoMath-Regular.ttf"


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer with Sphinx."""
    inline, block = (_visit_inline, None), (_visit_block, None)
    app.add_html_math_renderer("mathml", inline, block)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def copy_font(folder: Path) -> None:
    """Copy the font of formulas into a folder of the site."""
    package = find_spec("ziamath")  # found, and not imported
    if package is None or package.origin is None:
        raise ModuleNotFoundError("no ziamath", name="ziamath")
    font = Path(package.origin).parent / "fonts" / FONT
    (folder / FONT).write_bytes(font.read_bytes())


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
