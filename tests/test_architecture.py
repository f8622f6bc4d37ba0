"""The shape of the project, read off its own source.

A table of contents stands in the docstring of every package's `__init__.py`: one entry
a line, indented by four spaces, `name.py` or `name/`, then what it is about.
"""

import ast
import importlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("mdp", "policy_gradient", "lm_bandit")  # each stands on those before it
MOST_LINES, LONGEST_BODY = 400, 40
ENTRY = re.compile(r"^    (\w+\.py|\w+/)(?:\s|$)", re.MULTILINE)
RIDDLE = re.compile(r"(Of|What|Who|Which|How|Where|The same)\b")
# Rooms that a floor's own files may use. From STORY on, files of lm_bandit may use all.
OPEN_ROOMS = {("mdp", "worlds"), ("mdp", "interface")}
STORY = "pipeline.py"
# The parallel files of a package have these names in common, and no others.
SHARED_NAMES = {
    "mdp": set(),
    "policy_gradient": {"train", "learner", "update", "collect", "estimate", "loss"},
    "lm_bandit": {"train", "loss", "update", "init"},
}
STREAMS = {"sys.stdout", "sys.stderr"}
PRINTERS = {"mdp/exercises.py"}  # prints the verdict on an exercise in a notebook
INTERFACE = {
    *("configs", "files", "stopping", "keeping", "runs", "progress"),
    *("command_line", "help", "tables", "compilation", "jobs", "workers", "processes"),
}

each_floor = pytest.mark.parametrize("floor", FLOORS)


@cache
def sources() -> dict[Path, ast.Module]:
    """The library's files, relative to the checkout, as syntax trees."""
    files = sorted(file for floor in FLOORS for file in (ROOT / floor).rglob("*.py"))
    assert files
    return {
        f.relative_to(ROOT): ast.parse(f.read_text(encoding="utf-8")) for f in files
    }


def files_of(floor: str) -> dict[Path, ast.Module]:
    return {file: tree for file, tree in sources().items() if file.parts[0] == floor}


def packages() -> list[Path]:
    """The folders of all packages, rooms among them."""
    return [file.parent for file in sources() if file.name == "__init__.py"]


def module_file(name: str) -> Path | None:
    """The file of a module or package of the library, if there is one."""
    path = Path(*name.split("."))
    candidates = path.with_suffix(".py"), path / "__init__.py"
    return next((file for file in candidates if file in sources()), None)


def imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every import, also inside functions: (module, name that is taken from it)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)


@cache
def imported_files(file: Path) -> set[Path]:
    """The files of the library that a file imports."""
    found = set()
    for module, name in imported_names(sources()[file]):
        target = module_file(f"{module}.{name}") or module_file(module)
        found |= {target} - {None, file}
    return found


def top_level_packages(file: Path) -> set[str]:
    return {module.split(".")[0] for module, _ in imported_names(sources()[file])}


@cache
def contents(package: Path) -> list[str]:
    """The entries of a package's table of contents, in their order."""
    return ENTRY.findall(ast.get_docstring(sources()[package / "__init__.py"]) or "")


def entry(file: Path, package: Path) -> str:
    """A file's entry in the table of a package that holds it, however deep."""
    first, *deeper = file.relative_to(package).parts
    return f"{first}/" if deeper else first


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def public_definitions(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    """Public functions and classes, and the public methods of public classes."""
    kinds = ast.FunctionDef | ast.ClassDef
    found = [n for n in tree.body if isinstance(n, kinds) and n.name[0] != "_"]
    for owner in [node for node in found if isinstance(node, ast.ClassDef)]:
        methods = [node for node in owner.body if isinstance(node, ast.FunctionDef)]
        found += [method for method in methods if method.name[0] != "_"]
    return found


def report(complaints: list[str], rule: str) -> None:
    """Fail with all complaints at once, below the rule that they break."""
    listed = "\n".join(sorted(complaints))
    assert not complaints, f"{rule} ({len(complaints)} times):\n{listed}"


@each_floor
def test_no_floor_imports_a_higher_one(floor):
    above = {*FLOORS[FLOORS.index(floor) + 1 :], "tests", "benchmarks"}
    upwards = [(file, above & top_level_packages(file)) for file in files_of(floor)]
    report([f"{file} imports {up}" for file, up in upwards if up], "arrows point down")


def test_only_files_of_pictures_import_matplotlib():
    importers = {str(f) for f in sources() if "matplotlib" in top_level_packages(f)}
    drawing = ("/plots.py", "/diagrams.py", "/interactive.py")
    complaints = [file for file in importers if not file.endswith(drawing)]
    report(complaints, f"only {drawing} import matplotlib")


def test_texts_reach_the_terminal_only_through_the_interface():
    """The interface shows control characters and square brackets as they are."""
    complaints = []
    for file, tree in sources().items():
        if file.parts[:2] == ("mdp", "interface") or str(file) in PRINTERS:
            continue
        for node in ast.walk(tree):
            is_print = isinstance(node, ast.Name) and node.id in {"print", "Console"}
            is_stream = ast.unparse(node) in STREAMS
            if is_print or is_stream:
                complaints.append(f"{file}, line {node.lineno}: {ast.unparse(node)}")
    report(complaints, "only mdp/interface writes to the terminal")


def test_files_and_functions_are_short():
    complaints = []
    for file, tree in sources().items():
        lines = len((ROOT / file).read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES:
            complaints.append(f"{file} has {lines} lines")
        for function in functions(tree):
            has_docstring = ast.get_docstring(function) and len(function.body) > 1
            first = function.body[1 if has_docstring else 0]
            length = function.end_lineno - first.lineno + 1
            if length > LONGEST_BODY:
                complaints.append(f"{file}: {function.name} has {length} lines")
    report(complaints, f"at most {MOST_LINES} lines a file, {LONGEST_BODY} a function")


def test_tables_of_contents_name_every_file_exactly_once():
    complaints = []
    for package in packages():
        listed = Counter(contents(package))
        there = {
            entry(file, package)
            for file in sources()
            if file.is_relative_to(package) and file != package / "__init__.py"
        }
        optional = {"__main__.py"}
        complaints += [f"{package}: lacks {x}" for x in there - set(listed) - optional]
        complaints += [f"{package}: has no {name}" for name in set(listed) - there]
        complaints += [
            f"{package}: {x} stands {n} times" for x, n in listed.items() if n > 1
        ]
    report(complaints, "a table of contents names every file and room once")


def test_no_file_imports_what_is_listed_after_it():
    complaints = []
    for file in sources():
        for target in imported_files(file):
            # Its table lists both files, or the rooms that they are in.
            package = next(p for p in file.parents if p in target.parents)
            if package == Path() or file == package / "__init__.py":
                continue
            if target == package / "__init__.py":
                if file.name != "__main__.py":
                    complaints.append(f"{file} imports its own front page, {target}")
                continue
            order = [x for x in contents(package) if x != "__main__.py"]
            order.append("__main__.py")
            own, other = entry(file, package), entry(target, package)
            if {own, other} <= set(order) and order.index(own) < order.index(other):
                complaints.append(f"{file} imports {target}, listed later")
    report(complaints, "the reading order has no forward reference")


def test_floor_files_import_no_room():
    complaints = []
    for file in sources():
        if len(file.parts) != 2 or file.name in ("__init__.py", "__main__.py"):
            continue
        floor, name = file.parts
        order = contents(Path(floor))
        if floor == "lm_bandit" and name in order[order.index(STORY) :]:
            continue
        rooms = {f.parts[:2] for f in imported_files(file) if len(f.parts) > 2}
        rooms = {room for room in rooms if room[0] == floor} - OPEN_ROOMS
        complaints += [f"{file} imports the room {'/'.join(room)}" for room in rooms]
    report(complaints, "a floor's own files do not import its rooms")


def test_there_is_no_import_cycle():
    """A front page imports all of its package; no file there imports it back."""
    waiting = {file: set(imported_files(file)) for file in sources()}
    while free := {file for file, targets in waiting.items() if not targets}:
        waiting = {f: t - free for f, t in waiting.items() if f not in free}
    report([f"{file}: {[*map(str, t)]}" for file, t in waiting.items()], "cycle")


def test_docstrings_begin_with_a_plain_statement():
    complaints = []
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for file, tree in sources().items():
        for node in ast.walk(tree):
            doc = ast.get_docstring(node) if isinstance(node, kinds) else ""
            first = (doc or "").split("\n")[0]
            if RIDDLE.match(first) and "?" not in first:
                complaints.append(f"{file}: {first}")
    report(complaints, "a docstring is a statement with a named subject")


def test_everything_public_has_a_docstring():
    complaints = [
        f"{file}: {node.name}"
        for file, tree in sources().items()
        for node in public_definitions(tree)
        if not ast.get_docstring(node)
    ]
    report(complaints, "public functions and classes have docstrings")


def test_every_function_has_full_types():
    complaints = []
    for file, tree in sources().items():
        for function in functions(tree):
            named = [n for n in ast.walk(function.args) if isinstance(n, ast.arg)]
            bare = [n.arg for n in named if not n.annotation]
            bare = [name for name in bare if name not in ("self", "cls")]
            if not function.returns and function.name != "__init__":
                bare.append("return")
            if bare:
                complaints.append(f"{file}: {function.name} ({', '.join(bare)})")
    report(complaints, "parameters and results have types")


@each_floor
def test_a_public_name_means_one_thing_in_a_package(floor):
    places = defaultdict(set)
    for file, tree in files_of(floor).items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
                places[node.name].add(str(file))
    complaints = [
        f"{name}: {sorted(files)}"
        for name, files in places.items()
        if len(files) > 1 and name not in SHARED_NAMES[floor]
    ]
    report(complaints, "a public name is defined once")


def test_the_interface_has_exactly_its_twelve_files():
    files = {f.stem for f in sources() if f.parent == Path("mdp", "interface")}
    assert files == INTERFACE | {"__init__"}


@pytest.mark.parametrize("package", ["policy_gradient", "lm_bandit"])
def test_a_package_shows_its_public_face_and_nothing_else(package):
    shown = importlib.import_module(package)
    assert len(shown.__all__) == len(set(shown.__all__))
    assert {n for n in dir(shown) if n[0] != "_"} == set(shown.__all__)
    assert all(hasattr(shown, name) for name in shown.__all__)
    # Type checkers and editors do not run the file: they see a list of strings only.
    tree = ast.parse(Path(shown.__file__).read_text("utf-8"))
    lists = [n.value for n in tree.body if ast.unparse(n).startswith("__all__ = ")]
    assert [ast.literal_eval(one) for one in lists] == [shown.__all__]
