"""A function put in the place of the book's own, while its module is imported.

To set an attribute afterwards would miss every `from module import name`, and every
cache of compiled code. So the module is read with a hole where the function stood, and
what goes into the hole is made there and then: from the learner's file, a trap, a
variant, a stub or the reference itself. They all take this one way.

The candidate's code is compiled by itself, so that its tracebacks show its own lines,
and runs in a namespace of its own, so that no helper of the learner's replaces one of
the book's. In it stand the names of the module as well, those that are defined further
down as soon as they are. What it imports from the packages themselves is imported when
they are complete. No compiled file of the module is read or written.
"""

import __future__

import ast
import linecache
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, FunctionType, ModuleType

from tests.exercises.manifest import Exercise
from tests.exercises.oracle import watched
from tests.exercises.sources import Candidate, find_definition

PACKAGES = ("mdp", "policy_gradient", "lm_bandit", "tests")
HOLE = "__candidate__"


class Splice:
    """A candidate on its way into the module of an exercise."""

    def __init__(self, exercise: Exercise, candidate: Candidate):
        self.exercise, self.candidate = exercise, candidate
        self.function: FunctionType | None = None  # as the candidate wrote it
        self.watched: FunctionType | None = None  # as the module has it

    def install(self) -> None:
        """Wait for the module to be imported."""
        if self.exercise.module in sys.modules:
            raise RuntimeError(f"{self.exercise.module} is imported already")
        sys.meta_path.insert(0, _Finder(self))

    def shadow(self) -> FunctionType:
        """The function in a copy of the module that nobody else sees."""
        name = self.exercise.module
        parent = sys.modules[name.rpartition(".")[0]]
        spec = PathFinder.find_spec(name, parent.__path__)
        module = ModuleType(name)
        _Loader(spec.loader.name, spec.loader.path, self).exec_module(module)
        self.complete()
        return self.function

    def define(self, surroundings: dict) -> FunctionType:
        """Make the function, with the names that the module has so far."""
        name, source, file = (
            self.candidate.name,
            self.candidate.source,
            self.candidate.file,
        )
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        tree = ast.parse(source, file)
        later = [line for line in tree.body if _is_own_import(line)]
        tree.body = [line for line in tree.body if not _is_own_import(line)]
        if self.exercise.is_method:
            for line in tree.body:
                if isinstance(line, ast.FunctionDef) and line.name == name:
                    line.decorator_list = []
        self._namespace = surroundings | {"__name__": self.exercise.module}
        self._later = _compiled(ast.Module(later, []), file)
        exec(_compiled(tree, file), self._namespace)
        self.function = self._namespace[name]
        self.watched = watched(self.function)
        return self.watched

    def after(self, module: ModuleType) -> None:
        """Add the names that the module has got since."""
        for name, value in vars(module).items():
            self._namespace.setdefault(name, value)

    def complete(self) -> None:
        """Run the imports that had to wait for the packages."""
        exec(self._later, self._namespace)


class _Finder:
    """Finds one module, once, before anybody else does."""

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
    """Loads a module with a hole in it."""

    def __init__(self, name: str, path: str, splice: Splice):
        super().__init__(name, path)
        self.splice = splice

    def get_code(self, fullname) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        body, place = find_definition(tree, self.splice.exercise.qualname)
        node = body[place]
        value = ast.parse(f"{HOLE}(globals())", mode="eval").body
        for decorator in reversed(node.decorator_list):
            value = ast.Call(decorator, [value], [])
        body[place] = ast.Assign([ast.Name(node.name, ast.Store())], value)
        ast.copy_location(body[place], node)
        return compile(ast.fix_missing_locations(tree), path, "exec")

    def exec_module(self, module: ModuleType) -> None:
        vars(module)[HOLE] = self.splice.define
        exec(self.get_code(self.name), vars(module))
        self.splice.after(module)


def _is_own_import(line: ast.stmt) -> bool:
    """Does it import from the packages, one of which is being imported just now?"""
    names = []
    if isinstance(line, ast.Import):
        names = [alias.name for alias in line.names]
    elif isinstance(line, ast.ImportFrom):
        names = [line.module or ""]
    return any(name.split(".")[0] in PACKAGES for name in names)


def _compiled(tree: ast.Module, file: str) -> CodeType:
    # Annotations are for the reader: they are not evaluated.
    flags = __future__.annotations.compiler_flag
    return compile(tree, file, "exec", flags=flags, dont_inherit=True)
