"""What the cells of a notebook make, by their syntax: nothing is run.

A statement makes names: by an import, a function, a constant, or in another way. A
constant is made of numbers, texts and names by arithmetic alone, so that its statement
means the same wherever it stands.

Lines of IPython, such as `%matplotlib inline` and `!ls`, are left out, and so are cells
in another language, which begin with `%%`.
"""

import ast
import copy
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from tests.exercises.manifest import book

MOST_MAGICS = 40  # lines of IPython in a cell
MAGIC = re.compile(r"\s*([%!?]|[\w, ]+=\s*[%!]|(pip|conda|cd) |.*\?\s*$)")
PYTHON_TOO = ("%%time", "%%timeit", "%%capture", "%%prun")
CHECKS = ("check", "assert_passes")  # of mdp/exercises.py
ARGUMENTS = ("function", "exercise", "fault")  # of both
QUOTED = re.compile(r"""["']([\w-]+)["']""")
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
PLAIN = (
    *(ast.Constant, ast.Name, ast.Attribute, ast.Tuple, ast.UnaryOp, ast.BinOp),
    *(ast.operator, ast.unaryop, ast.expr_context),
)
OWN_SCOPE = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


class Piece(NamedTuple):
    """What a statement does: it makes a name, or calls a check."""

    kind: str  # "import", "function", "constant", "call", "unread" or "other"
    name: str = ""  # what it makes; or an exercise in a cell that Python cannot read
    node: ast.AST | None = None
    text: str = ""  # of its cell; or why Python cannot read that

    @property
    def given(self) -> dict[str, ast.AST]:
        """The arguments of a call of a check by their names."""
        if not isinstance(self.node, ast.Call):
            return {}
        words = {word.arg or "": word.value for word in self.node.keywords}
        return dict(zip(ARGUMENTS, self.node.args, strict=False)) | words

    @property
    def source(self) -> str:
        """The lines of a function, and any other statement in Python's own way."""
        if self.kind != "function":
            return ast.unparse(self.node)
        first = min(node.lineno for node in [self.node, *self.node.decorator_list])
        return "\n".join(self.text.split("\n")[first - 1 : self.node.end_lineno])


@lru_cache(2000)  # most cells of a class are those of the book
def pieces_in(text: str) -> list[Piece]:
    """Return the pieces of a cell, from the top to the bottom."""
    if text.startswith("%%") and text.split(maxsplit=1)[0] not in PYTHON_TOO:
        return []
    try:
        text, tree = _parsed(text)
    except UNREADABLE as error:
        why = getattr(error, "msg", "") or str(error) or type(error).__name__
        named = QUOTED.findall(text) if any(x in text for x in CHECKS) else []
        known = [name for name in named if name in book()]
        return [Piece("unread", name, text=why) for name in ["", *known]]
    return [piece for line in tree.body for piece in _pieces(line, text)]


def _parsed(text: str) -> tuple[str, ast.Module]:
    """Return a cell without lines of IPython, and its syntax."""
    lines = text.split("\n")
    for _ in range(MOST_MAGICS):
        try:
            return "\n".join(lines), ast.parse("\n".join(lines))
        except SyntaxError as error:
            number = (error.lineno or 0) - 1
            # Elsewhere a line that begins with % may be Python's own.
            if not 0 <= number < len(lines) or not MAGIC.match(lines[number]):
                raise
            lines[number] = re.match(r"\s*", lines[number])[0] + "pass"
    raise ValueError("it has too many lines of IPython")


def _pieces(line: ast.stmt, text: str) -> Iterator[Piece]:
    """Yield what a statement of a cell makes, and its calls of a check."""
    if isinstance(line, ast.FunctionDef):
        yield Piece("function", line.name, line, text)
        return
    value = getattr(line, "value", None)
    is_plain = isinstance(line, ast.Assign | ast.AnnAssign) and value is not None
    is_plain = is_plain and all(isinstance(node, PLAIN) for node in ast.walk(value))
    waiting: list[ast.AST] = [line]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Import(aliases) | ast.ImportFrom(names=aliases):
                for alias in aliases:
                    name = alias.asname or alias.name.partition(".")[0]
                    one = copy.copy(node)
                    one.names = [alias]
                    yield Piece("import", name, one)
            case ast.Name(name, ast.Store() | ast.Del()):
                yield Piece("constant" if is_plain else "other", name, line)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield Piece("other", node.name)
            case ast.Call(ast.Name(name) | ast.Attribute(attr=name)) if name in CHECKS:
                yield Piece("call", node=node)
        if not isinstance(node, OWN_SCOPE):
            waiting += reversed(list(ast.iter_child_nodes(node)))
