"""Docstrings and signatures as pages, without importing anything.

A docstring is a plain text. Paragraphs become paragraphs, and equations are drawn.
Other lines that are indented, or that keep columns by spaces, stay as they are: they
hold tables and programs.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from notebooks.site import equations
from notebooks.site.paths import FLOORS, ROOT, module_of

Definition = ast.FunctionDef | ast.ClassDef
ENTRY = re.compile(r"^    (\w+\.py|\w+/)(?:\s|$)", re.MULTILINE)
# Words that a docstring marks as *important* or **very important**.
WORDS = re.compile(r"(?<![\w*`])(\*\*?)(\w[^*]*[\w?!.:])\1(?![\w*])")


def write_reference(folder: Path) -> None:
    """Write a page for each file of the three packages, in reading order."""
    (folder / "reference").mkdir()
    for floor in FLOORS:
        for file in sorted((ROOT / floor).rglob("*.py")):
            inside = file.relative_to(ROOT)
            page = folder / "reference" / f"{module_of(inside)}.rst"
            page.write_text(file_page(inside), encoding="utf-8")


def file_page(file: Path) -> str:
    """Return the page of a file: its docstring, and what it defines."""
    source = (ROOT / file).read_text(encoding="utf-8")
    tree, module = ast.parse(source), module_of(file)
    parts = [title(module), f".. py:module:: {module}", f"*File* ``{file}``"]
    doc = ast.get_docstring(tree) or ""
    parts.append(text_of(doc))
    if file.name == "__init__.py":
        pages = [f"{module}.{name.strip('/')}" for name in _entries(doc, file)]
        pages = [page.removesuffix(".py") for page in pages]
        parts.append(toctree(pages, "Files and rooms, in reading order"))
    else:
        parts += [_definition(node, source) for node in _public(tree.body)]
    return "\n\n".join(part for part in parts if part) + "\n"


def title(text: str) -> str:
    """Return a line as the title of a page."""
    return f"{text}\n{'=' * len(text)}"


def toctree(pages: list[str], caption: str) -> str:
    """Return a list of pages below the page that holds it."""
    lines = [".. toctree::", f"   :caption: {caption}", "   :maxdepth: 1", ""]
    return "\n".join(lines + [f"   {page}" for page in pages])


def text_of(doc: str) -> str:
    """Return a docstring as reStructuredText."""
    return "\n\n".join(_blocks(doc))


def _blocks(doc: str) -> Iterator[str]:
    """Return the paragraphs of a docstring, and what is kept as it is."""
    kept: list[str] = []
    for block in re.split(r"\n\s*\n", doc.strip("\n")):
        paragraph, indented = _cut(block.split("\n"))
        if paragraph and kept:
            yield _as_it_is(kept)
            kept = []
        if paragraph:
            columns = len(paragraph) > 1 and any("   " in line for line in paragraph)
            yield _as_it_is(paragraph) if columns else escaped("\n".join(paragraph))
        if indented:
            kept += ["", *indented] if kept else indented
    if kept:
        yield _as_it_is(kept)


def _cut(lines: list[str]) -> tuple[list[str], list[str]]:
    """Cut a block where its lines begin to be indented."""
    first = next((i for i, line in enumerate(lines) if line[:1] == " "), len(lines))
    if any(line[:1] != " " for line in lines[first:]):
        return _as_list(lines), []
    return lines[:first], lines[first:]


def _as_list(lines: list[str]) -> list[str]:
    """Keep the columns of lines that go in and out, such as those of a list."""
    return [lines[0] + "   ", *lines[1:]] if len(lines) > 1 else lines


def _as_it_is(lines: list[str]) -> str:
    text = textwrap.dedent("\n".join(lines)).rstrip()
    if formulas := equations.block(text.split("\n")):
        made = [textwrap.indent(latex, "   ") for latex in formulas]
        return "\n\n".join(f".. math::\n   :no-wrap:\n\n{latex}" for latex in made)
    body = textwrap.indent(text, "   ")
    language = "pycon" if ">>>" in body else "text"
    return f".. code-block:: {language}\n   :class: kept\n\n{body}"


def escaped(text: str) -> str:
    """Return a paragraph: code stays code, signs stay signs, symbols are drawn."""
    parts = re.split(r"(`[^`\n]+(?:\n[^`\n]+)?`)", text)
    for i, part in enumerate(parts):
        if i % 2:
            parts[i] = f"\\ ``{' '.join(part.strip('`').split())}``\\ "
        elif WORDS.search(part):
            parts[i] = _escaped(part)
        else:
            pieces = equations.symbols(part)
            pieces[::2] = map(_escaped, pieces[::2])
            pieces[1::2] = [f"\\ :math:`{latex}`\\ " for latex in pieces[1::2]]
            parts[i] = "".join(pieces)
    return re.sub(r"^(\s*)([-+.>])", r"\1\\\2", "".join(parts), flags=re.MULTILINE)


def _escaped(text: str) -> str:
    text = re.sub(r"([\\|_])", r"\\\1", text)
    pieces = WORDS.split(text)  # text, stars, words, text, stars, words, ...
    plain = [piece.replace("*", r"\*") for piece in pieces[::3]]
    marked = zip(pieces[1::3], pieces[2::3], strict=True)
    strong = [f"\\ {stars}{words}{stars}\\ " for stars, words in marked]
    return "".join(map("".join, zip(plain, [*strong, ""], strict=True)))


def _entries(doc: str, file: Path) -> list[str]:
    """Return the entries of a package's table of contents, and what it leaves out."""
    folder = ROOT / file.parent
    listed = [name for name in ENTRY.findall(doc) if (folder / name).exists()]
    there = [f"{one.name}/" for one in folder.iterdir() if (one / file.name).exists()]
    there += [one.name for one in folder.glob("*.py") if one.name != file.name]
    return listed + sorted(set(there) - set(listed))


def _public(body: list[ast.stmt]) -> list[Definition]:
    kinds = ast.FunctionDef | ast.ClassDef
    return [n for n in body if isinstance(n, kinds) and not n.name.startswith("_")]


def _definition(node: Definition, source: str) -> str:
    """Return a function or class with its docstring, its methods and its source."""
    if isinstance(node, ast.ClassDef):
        head = f".. py:class:: {node.name}"
        inside = [_fields(node, source), *_methods(node, source)]
    else:
        property_ = any(ast.unparse(d) == "property" for d in node.decorator_list)
        kind = "property" if property_ else "function"
        head = f".. py:{kind}:: {node.name}" + "" * property_
        head += "" if property_ else _signature(node)
        inside = [_source(node, source)]
    parts = [text_of(ast.get_docstring(node) or ""), *inside]
    body = "\n\n".join(part for part in parts if part)
    return f"{head}\n\n{textwrap.indent(body, '   ')}"


def _methods(node: ast.ClassDef, source: str) -> list[str]:
    pages = [_definition(each, source) for each in _public(node.body)]
    return [page.replace(".. py:function::", ".. py:method::", 1) for page in pages]


def _signature(node: ast.FunctionDef) -> str:
    given = ast.unparse(node.args)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({re.sub(r'^(self|cls)(, )?', '', given)}){returns}"


def _fields(node: ast.ClassDef, source: str) -> str:
    """Return the lines of the fields of a record, with their comments."""
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    if not fields:
        return ""
    lines = source.split("\n")
    before = fields[0].lineno - 1
    while lines[before - 1].strip().startswith("#"):
        before -= 1
    return _code(lines[before : fields[-1].end_lineno])


def _source(node: Definition, source: str) -> str:
    lines = source.split("\n")[node.lineno - 1 : node.end_lineno]
    opened = ".. raw:: html\n\n   <details><summary>Source</summary>"
    return f"{opened}\n\n{_code(lines)}\n\n.. raw:: html\n\n   </details>"


def _code(lines: list[str]) -> str:
    body = textwrap.indent(textwrap.dedent("\n".join(lines)), "   ")
    return f".. code-block:: python\n\n{body}"
