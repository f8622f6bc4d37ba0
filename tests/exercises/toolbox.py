"""The names of the book in a learner's file, explained in comments.

The learner need not open the files of the book: a type is shown with its fields, their
shapes and their comments, and a function with its signature and what it returns.
"""

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.exercises.manifest import FLOORS, ROOT

WIDTH = 86  # of the text in a comment
MOST_FIELDS = 16  # of a longer type, only the fields that the exercise names are shown


class Found(NamedTuple):
    """A definition in the book."""

    name: str  # as the learner writes it
    node: ast.stmt
    module: str

    @property
    def lines(self) -> list[str]:
        """The lines of the whole module."""
        return _read(self.module)[1].splitlines()


def explained(imports: str, used: str = "", head: str = "", module: str = "") -> str:
    """Return comments on the names that a file imports from the book.

    `used` is text that names what the exercise needs of a module or of a large type;
    `head` is the signature of its function, and `module` is its module.
    """
    found = list(_imported(imports, used))
    classes = [one for one in found if isinstance(one.node, ast.ClassDef)]
    classes += _nested(classes, used)
    blocks = [
        *(_class(one, used) for one in classes),
        *(_constant(one) for one in found if isinstance(one.node, ast.Assign)),
        *(_function(one) for one in found if isinstance(one.node, ast.FunctionDef)),
    ]
    shown = ["\n".join(block) for block in blocks]
    if shapes := _shapes(module, head, "\n".join(shown)):
        shown.insert(0, "\n".join(shapes))
    text = "\n\n".join(shown)
    return textwrap.indent(text, "# ", lambda line: True).replace("# \n", "#\n")


def _imported(imports: str, used: str) -> Iterator[Found]:
    """The definitions that a file imports, and those it uses of imported modules."""
    for line in ast.parse(imports).body:
        if not (isinstance(line, ast.ImportFrom) and _is_ours(line.module)):
            continue
        for name in [alias.name for alias in line.names if alias.name != "Array"]:
            module = f"{line.module}.{name}"
            if _path(module).exists():
                parts = dict.fromkeys(re.findall(rf"\b{name}\.(\w+)", used))
                inside = (_find(module, part) for part in parts)
                yield from (
                    one._replace(name=f"{name}.{one.name}") for one in inside if one
                )
            elif found := _find(line.module, name):
                yield found


def _nested(classes: list[Found], used: str) -> list[Found]:
    """The classes of fields, where the exercise uses a field of theirs, and of results.

    A result of a method may be unpacked, so that no field is named.
    """
    attributes = set(re.findall(r"\.(\w+)", used))
    found: dict[str, Found] = {}
    for one in classes:
        results = [method.returns for method in _methods(one.node, used)]
        for kind in [*(field.annotation for field in _fields(one.node)), *results]:
            for name in re.findall(r"\w+", ast.unparse(kind)):
                inner = _find(one.module, name)
                fields = {x.target.id for x in _fields(inner.node)} if inner else set()
                if fields if kind in results else attributes & fields:
                    found[name] = inner
    known = {one.name for one in classes}
    return [inner for name, inner in found.items() if name not in known]


def _class(found: Found, used: str) -> list[str]:
    """A class: what it is, its fields, what is computed from them, and its methods."""
    fields, hidden = _fields(found.node), []
    if len(fields) > MOST_FIELDS:
        words = set(re.findall(r"\w+", used))
        hidden = [f.target.id for f in fields if f.target.id not in words]
    lines = [f"{found.name}: {_summary(found.node)}"]
    for field in fields:
        if field.target.id not in hidden:
            lines += found.lines[field.lineno - 1 : field.end_lineno]
    if hidden:
        lines.append(f"    and {', '.join(hidden)}")
    for node in found.node.body:
        if "property" in map(ast.unparse, getattr(node, "decorator_list", ())):
            kind = ast.unparse(node.returns).replace("'", '"')
            if f"def {node.name}(" not in used:  # the one that is to be written
                lines.append(f"    {node.name}: {kind}  # {_summary(node)}")
    for method in _methods(found.node, used):
        is_made = method.name == "__init__"
        arguments = ", ".join(map(ast.unparse, method.args.args[1:]))
        result = "" if is_made else f" -> {ast.unparse(method.returns)}"
        head = f"{found.name if is_made else method.name}({arguments}){result}"
        lines.append(f"    {head}  # {_summary(method)}")
    return _folded(lines)


def _function(found: Found) -> list[str]:
    """A function: its signature, and the first sentence on what it returns."""
    node = found.node
    lines = found.lines[node.lineno - 1 : node.body[0].lineno - 1]
    lines[0] = lines[0].replace(f"def {node.name}(", f"{found.name}(", 1)
    lines[-1] = lines[-1].rstrip(":")
    return _folded([*lines, f"    {_summary(node)}"])


def _constant(found: Found) -> list[str]:
    """A constant or the name of a type, with the comment beside it or above it."""
    first, lines = found.node.lineno - 1, found.lines
    above = first
    while above and lines[above - 1].startswith("#"):
        above -= 1
    comment = " ".join(line.lstrip("# ") for line in lines[above:first])
    text = "\n".join(lines[first : found.node.end_lineno])
    return _folded([f"{text}  # {comment}" if comment else text])


def _shapes(module: str, head: str, shown: str) -> list[str]:
    """Lines that say how to read the shapes, and what their letters mean."""
    lines = []
    if example := re.search(r'Float\[\S+, "(\w[\w ]*)"\]', f"{head}\n{shown}"):
        shape = ", ".join(example[1].split())
        lines.append(f"{example[0]} is an array of real numbers, of shape [{shape}].")
    if re.search(r'\[\S+, "\*\w', head):
        lines.append("A * in a shape stands for any number of axes, also for none.")
    text = (ast.get_docstring(_read(module)[0]) or "") if module else ""
    letters = re.search(r"Shapes: (.*?)(\n\n|$)", text, re.DOTALL)
    if lines and letters:
        lines.append(f"Shapes: {' '.join(letters[1].split())}")
    return _folded(lines)


def _folded(lines: Iterable[str]) -> list[str]:
    """Indent by two instead of four, and break lines that are too long."""
    folded = []
    for line in lines:
        text = line.lstrip()
        indent = " " * ((len(line) - len(text)) // 2)
        folded += textwrap.wrap(
            text,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
            break_on_hyphens=False,
        )
    return folded


def _summary(node: ast.ClassDef | ast.FunctionDef) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())


def _fields(node: ast.stmt) -> list[ast.AnnAssign]:
    """The fields of a class; none of anything else."""
    is_class = isinstance(node, ast.ClassDef)
    return [x for x in node.body if isinstance(x, ast.AnnAssign)] if is_class else []


def _methods(node: ast.ClassDef, used: str) -> list[ast.FunctionDef]:
    """The methods that the exercise calls; how an object is made comes first."""
    methods = [x for x in node.body if isinstance(x, ast.FunctionDef)]
    called = [x for x in methods if f".{x.name}(" in used and not x.decorator_list]
    made = [x for x in methods if x.name == "__init__"]
    return [*made, *called]


@cache
def _find(module: str, name: str) -> Found | None:
    """The definition of a name in a module of the book, or in one that it imports."""
    if not (_is_ours(module) and _path(module).exists()):
        return None
    tree, _ = _read(module)
    for node in tree.body:
        names = [getattr(node, "name", ""), *getattr(node, "targets", ())]
        if name in [x if isinstance(x, str) else ast.unparse(x) for x in names]:
            return Found(name, node, module)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in [a.name for a in node.names]:
            return _find(node.module or "", name)
    return None


@cache
def _read(module: str) -> tuple[ast.Module, str]:
    """A module's syntax and text."""
    source = _path(module).read_text(encoding="utf-8")
    return ast.parse(source), source


def _is_ours(module: str | None) -> bool:
    return (module or "").split(".")[0] in FLOORS


def _path(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
