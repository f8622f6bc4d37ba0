"""An extension of Sphinx: formulas as MathML, and boxes that a keyboard can scroll.

Browsers draw MathML without a script, and screen readers read it. The font that the
pages bring along is STIX Two Math.
"""

import re
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

FONT = "STIXTwoMath-Regular.ttf"
# What the converter does not know, and what it is given: two names, and the thin spaces
# around a logarithm.
KNOWN = {
    r"\\arg": r"\\operatorname{arg}",
    r"\{aligned\}": "{align*}",
    r"(?<=[\w})])\s*(?=\\log\b)": r"\\,",
    r"\\log\b(?!\s*(?:\\[bB]ig+\s*)?[(\[_^])\s*": r"\\log\\,",
}
# Boxes that scroll sideways on a narrow screen, and must be reached without a mouse.
BOX = re.compile(r'<pre(?=[ >])|<div(?= class="(?:table-wrapper|cell_output))')
# A heading that does not say its level, and what it should say.
LEVEL = 'role="heading"', 'role="heading" aria-level="2"'
# A long list of parameters, which Sphinx writes as definitions without terms.
PARAMETERS = re.compile(
    r"<dl>\s*(?:<dd>.*?</dd>\s*)+</dl>(?=\s*<span class=.sig-paren)"
)

# Cells at the end of a row without anything in them, and the cell before them.
LAST = re.compile(r"<mtd ((?:(?!<mtd).)*</mtd>)((?:<mtd [^>]*><mrow */></mtd>)+)</mtr>")


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer with Sphinx."""
    inline, block = (_visit_inline, None), (_visit_block, None)
    app.add_html_math_renderer("mathml", inline, block)
    app.connect("html-page-context", _fold_contents, priority=400)  # before the theme
    app.connect("html-page-context", _help_all_readers, priority=600)  # after it
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def copy_font(folder: Path) -> None:
    """Copy the font of formulas into a folder of the site."""
    package = find_spec("ziamath")  # found, and not imported
    if package is None or package.origin is None:
        raise ModuleNotFoundError("no ziamath", name="ziamath")
    font = Path(package.origin).parent / "fonts" / FONT
    (folder / FONT).write_bytes(font.read_bytes())


def _fold_contents(_app: Any, _page: str, _template: str, context: Any, _: Any) -> None:
    """Show only the entries around a page: all of them took half of the build."""
    whole = context.get("toctree")
    context["toctree"] = lambda **given: whole(**{**given, "collapse": True})


def _help_all_readers(
    _app: Any, _page: str, _template: str, context: Any, _: Any
) -> None:
    """Let the tab key stop at boxes that may scroll, and mend some headings."""
    body = context.get("body", "").replace(*LEVEL)
    body = re.sub(BOX, r'\g<0> tabindex="0"', body)
    body = PARAMETERS.sub(_as_lines, body)
    context["body"] = body
    context["furo_navigation_tree"] = context["furo_navigation_tree"].replace(*LEVEL)


def _as_lines(found: re.Match[str]) -> str:
    lines = re.sub(r"<dd>(.*?)</dd>", r'<span class="parameter">\1</span>', found[0])
    return lines.replace("<dl>", '<span class="parameters">').replace(
        "</dl>", "</span>"
    )


@cache
def mathml(latex: str, display: str) -> str:
    """Return a formula in LaTeX as MathML; `display` is "inline" or "block"."""
    for unknown, known in KNOWN.items():
        latex = re.sub(unknown, known, latex)
    return convert(latex, display=display)


def _visit_inline(translator: Any, node: nodes.Element) -> None:
    translator.body.append(_mended(mathml(node.astext(), "inline")))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.Element) -> None:
    lines = node.astext().split("\n")
    # An equation of a docstring brings its source along, in lines of comment.
    source = escape("\n".join(line[2:] for line in lines if line[:2] == "% "))
    latex = "\n".join(line for line in lines if line[:2] != "% ")
    formula = _mended(mathml(latex, "block"))
    title = f' title="{source}"' if source else ""
    if source:
        formula = formula.replace("<math", f'<math alttext="{source}"', 1)
    translator.body.append(f'<div class="math" tabindex="0"{title}>{formula}</div>\n')
    raise nodes.SkipNode


def _mended(made: str) -> str:
    """Mend what the converter writes: a relation, wide cells, and names as names."""
    made = made.replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")
    made = LAST.sub(_widened, made)
    # A name is no text: a minus sign between two texts is drawn without spaces.
    return re.sub(r"<mtext>([A-Za-z]{2,})</mtext>", r"<mi>\1</mi>", made)


def _widened(found: re.Match[str]) -> str:
    """Let the last cell of a row take the place of the empty ones behind it."""
    return f'<mtd columnspan="{1 + found[2].count("<mtd")}" {found[1]}</mtr>'
