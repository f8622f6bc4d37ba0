"""Put a function in the place of the book's own while its module is imported.

Setting an attribute afterwards would miss every `from module import name`, and every
cache of compiled code. So the module is read with a hole where the function stood, and
the hole is filled at once: by the learner's function, a trap, a variant, a stub or the
reference itself.

The candidate's code is compiled separately, so that its tracebacks show its own lines.
It runs in a namespace of its own, so that no helper of the learner's replaces one of
the book's. That namespace also holds the names of the module. What the candidate
imports from the packages is imported once they are complete; names that are made of it,
as by `book = mdp`, are made then. No compiled file of the module is read or written.
"""

import __future__

import ast
import linecache
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from tests.exercises import sealed
from tests.exercises.manifest import Exercise
from tests.exercises.oracle import watched
from tests.exercises.sources import Candidate, find_definition

PACKAGES = ("mdp", "policy_gradient", "lm_bandit", "tests")
HOLE = "__candidate__"


class Splice:
    """The place of an exercise's function in its module, and the candidate in it."""

    def __init__(self, exercise: Exercise, candidate: Candidate):
        self.exercise, self.candidate = exercise, candidate
        self.watched: Callable | None = None  # the function that the module calls
        self._made: dict[Candidate, tuple[FunctionType, dict, CodeType]] = {}

    def install(self) -> None:
        """Wait for the module to be imported."""
        if self.exercise.module in sys.modules:
            raise RuntimeError(f"{self.exercise.module} is imported already")
        sys.meta_path.insert(0, _Finder(self))

    def complete(self) -> None:
        """Give the candidate the names that exist only in the complete packages."""
        _, namespace, imports = self._made[self.candidate]
        for name, value in vars(sys.modules[self.exercise.module]).items():
            namespace.setdefault(name, value)
        exec(imports, namespace)

    def put(self, candidate: Candidate) -> None:
        """Put another candidate in the place; compiled programs stay as they are."""
        self.watched.function = self.function(candidate)
        self.candidate = candidate

    def function(self, candidate: Candidate) -> FunctionType:
        """Return a candidate's function; the first call for a candidate makes it."""
        if candidate not in self._made:
            namespace = vars(sys.modules[self.exercise.module])
            _, namespace, imports = self._made[candidate] = self._make(
                candidate, namespace
            )
            exec(imports, namespace)
        return self._made[candidate][0]

    def fill(self, surroundings: dict) -> Callable:
        """Return the function for the hole; `surroundings` are the names above it."""
        self._made[self.candidate] = self._make(self.candidate, surroundings)
        self.watched = watched(self._made[self.candidate][0])
        return self.watched

    def _make(
        self, candidate: Candidate, surroundings: dict
    ) -> tuple[FunctionType, dict, CodeType]:
        """The function, its namespace, and imports that wait for the packages."""
        source, name, file, _ = candidate
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        tree = ast.parse(source, file)
        later = self._waiting(tree)
        tree.body = [line for line in tree.body if line not in later]
        if self.exercise.is_method:
            for line in tree.body:
                if isinstance(line, ast.FunctionDef) and line.name == name:
                    line.decorator_list = []
        namespace = surroundings | {"__name__": self.exercise.module}
        exec(_compiled(tree, file), namespace)
        return namespace[name], namespace, _compiled(ast.Module(later, []), file)

    def _waiting(self, tree: ast.Module) -> list[ast.stmt]:
        """The imports from the packages, and assignments that use what they import."""
        lines, names = [], set()
        for line in tree.body:
            nodes = ast.walk(line) if isinstance(line, ast.Assign) else ()
            used = [node for node in nodes if isinstance(node, ast.Name)]
            if self._is_own_import(line):
                names |= {x.asname or x.name.partition(".")[0] for x in line.names}
            elif any(node.id in names for node in used):
                names |= {x.id for x in used if isinstance(x.ctx, ast.Store)}
            else:
                continue
            lines.append(line)
        return lines

    def _is_own_import(self, line: ast.stmt) -> bool:
        """Say whether a line imports from the packages, which are not complete yet."""
        names = []
        if isinstance(line, ast.Import):
            names = [alias.name for alias in line.names]
        elif isinstance(line, ast.ImportFrom):
            names = [line.module or ""]
        ours = {*PACKAGES, self.exercise.module.split(".")[0]}
        return any(name.split(".")[0] in ours for name in names)


class _Finder:
    """Find the exercise's module, once, before any other finder does."""

    def __init__(self, splice: Splice):
        self.splice = splice

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        if name != self.splice.exercise.module:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        spec.loader = _Loader(spec.loader.name, spec.loader.path, self.splice)
        return spec


class _Loader(SourceFileLoader):
    """Load a module with a hole in it."""

    def __init__(self, name: str, path: str, splice: Splice):
        super().__init__(name, path)
        self.splice = splice

    def get_code(self, fullname) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(sealed.read(Path(path)), path)
        body, place = find_definition(tree, self.splice.exercise.qualname)
        node = body[place]
        value = ast.parse(f"{HOLE}(globals())", mode="eval").body
        for decorator in reversed(node.decorator_list):
            value = ast.Call(decorator, [value], [])
        body[place] = ast.Assign([ast.Name(node.name, ast.Store())], value)
        ast.copy_location(body[place], node)
        return compile(ast.fix_missing_locations(tree), path, "exec")

    def exec_module(self, module: ModuleType) -> None:
        vars(module)[HOLE] = self.splice.fill
        exec(self.get_code(self.name), vars(module))


def _compiled(tree: ast.Module, file: str) -> CodeType:
    # Annotations are for the reader; they are not evaluated.
    flags = __future__.annotations.compiler_flag
    return compile(tree, file, "exec", flags=flags, dont_inherit=True)
