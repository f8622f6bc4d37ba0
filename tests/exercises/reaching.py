"""See in the text of an attempt whether it reaches for the book's own function.

Where the attempt runs, the book's own function is not there (see isolation/masked.py).
So reaching for it does not help; this file tells the learner why there is no mark.
"""

import ast

from tests.exercises.manifest import FLOORS, Exercise

# These find a function's source, or the objects of other parts of the program.
MODULES = {
    *("inspect", "importlib", "imp", "pkgutil", "runpy", "linecache", "tokenize"),
    *("dis", "gc", "ctypes", "builtins", "zipimport", "tests", "pytest", "_pytest"),
    "sealed",
}
CALLS = {"eval", "exec", "compile", "open", "globals", "vars"}
ATTRIBUTES = {
    *("__globals__", "__code__", "__closure__", "__wrapped__", "__subclasses__"),
    *("__builtins__", "__loader__", "__spec__", "__mro__", "__dict__"),
    *("f_back", "f_globals", "f_locals", "tb_frame", "gi_frame", "_getframe"),
    *("meta_path", "settrace", "setprofile", "getsource", "read_text", "read_bytes"),
}
OWN = (
    "No mark: your file uses {used}, which is the function that you are to write. In a "
    "check your own function stands in its place, and so it calls itself. Write its "
    "lines yourself."
)
LOOKS = (
    "No mark: your file uses `{used}`, which can look up what others have written. "
    "The function needs nothing of the kind: write its lines yourself."
)


def complaint(exercise: Exercise, tree: ast.Module) -> str:
    """A sentence on what an attempt reaches for; empty if it reaches for nothing."""
    modules, names = _imported(tree)
    if used := _own(exercise, tree, modules, names):
        return OWN.format(used=f"`{used}`")
    for node in ast.walk(tree):
        used = _looks(node, {*modules, *modules.values()})
        if used:
            return LOOKS.format(used=used)
    return ""


def _imported(tree: ast.Module) -> tuple[dict[str, str], dict[str, str]]:
    """The names that a file imports: of modules, and of objects of modules."""
    modules, names = {}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                modules[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return modules, names


def _own(
    exercise: Exercise, tree: ast.Module, modules: dict[str, str], names: dict[str, str]
) -> str:
    """The book's own function, as the file calls it; empty if it does not."""
    if exercise.is_method:
        return ""  # mdp.transitions is a matrix of the argument `mdp`
    name = exercise.name
    imported = {**names, **modules}
    homes = {*FLOORS, exercise.module.split(".")[0]}
    ours = {short: x for short, x in imported.items() if x.split(".")[0] in homes}
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    renamed = {short for short, x in ours.items() if x.split(".")[-1] == name} - defined
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == name:
            root: ast.expr = node
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in ours.keys() - arguments:
                return ast.unparse(node)
        if isinstance(node, ast.Name) and node.id in renamed - arguments:
            return ours[node.id]
    return ""


def _looks(node: ast.AST, modules: set[str]) -> str:
    """The name by which a node looks something up; empty if it does not."""
    if isinstance(node, ast.Import):
        tops = {alias.name.split(".")[0] for alias in node.names}
        return next(iter(tops & MODULES), "")
    if isinstance(node, ast.ImportFrom):
        top = (node.module or "").split(".")[0]
        taken = {alias.name for alias in node.names} & {"modules", *ATTRIBUTES}
        return top if top in MODULES else next(iter(taken), "")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "__import__":
            names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            is_plain = names and str(names[0]).split(".")[0] not in MODULES
            return "" if is_plain else "__import__"
        return node.func.id if node.func.id in CALLS else ""
    if isinstance(node, ast.Attribute):
        if node.attr == "modules" and "sys" in modules:
            return "sys.modules"
        return node.attr if node.attr in ATTRIBUTES else ""
    if isinstance(node, ast.Name | ast.Constant):
        text = node.id if isinstance(node, ast.Name) else node.value
        return text if isinstance(text, str) and text in ATTRIBUTES else ""
    return ""
