"""Make stubs, traps and variants from the source of the reference; none is stored."""

import ast
import copy
import functools
import textwrap
from pathlib import Path
from typing import NamedTuple

from tests.exercises import sealed
from tests.exercises.manifest import FLOORS, Diagnosis, Edit, Exercise, called
from tests.exercises.toolbox import explained

TODO = "raise NotImplementedError  # replace this line by yours"


class Candidate(NamedTuple):
    """A function that is to take the place of the book's own."""

    source: str  # a whole file
    name: str  # of the function in it
    file: str  # its name in tracebacks
    is_file: bool = True  # False for a notebook cell, which shows no line numbers


def reference(exercise: Exercise) -> Candidate:
    """The book's own function."""
    return _candidate(exercise, reference_source(exercise), "reference")


def stub(exercise: Exercise) -> Candidate:
    """The book's own function without its body."""
    return _candidate(exercise, _header(exercise) + _indented(TODO), "stub")


def edited(exercise: Exercise, edit: Edit) -> Candidate:
    """The book's own function with a piece replaced: a trap or a variant."""
    source = reference_source(exercise)
    if edit.body:
        source = _header(exercise) + _indented(edit.body)
    else:
        if source.count(edit.replace) != 1:
            times = source.count(edit.replace)
            raise ValueError(
                f"{exercise.id}: replace must occur once in {exercise.function}, "
                f"got {times} times: {edit.replace!r}"
            )
        source = source.replace(edit.replace, edit.by)
    return _candidate(exercise, source, edit.says[:30] or "variant")


def candidates(exercise: Exercise) -> dict[str, Candidate]:
    """Everything that the gate judges, by its label; the reference comes first."""
    edits = {
        f"{kind} {number}": edited(exercise, edit)
        for kind in ("traps", "variants")
        for number, edit in enumerate(getattr(exercise, kind))
    }
    return {"reference": reference(exercise), "stub": stub(exercise), **edits}


def new_file(exercise: Exercise | Diagnosis) -> str:
    """The file that a learner begins with: imports, signature, docstring, no body."""
    if isinstance(exercise, Diagnosis):
        story = [textwrap.fill(x, 88) for x in exercise.story.strip().splitlines()]
        before, imports, begun = [*story, ""], exercise.imports, _begun_test(exercise)
        names = explained(imports)
    else:
        header = _header(exercise)
        if exercise.is_method:
            owner = exercise.qualname.split(".")[0]
            header = header.replace("(self)", f"(mdp: {owner})", 1)
        before, begun = [], ["", header.rstrip("\n")]
        imports = exercise.imports or _imports(exercise)
        used = f"{reference_source(exercise)} {' '.join(exercise.hints)}"
        names = explained(
            imports, used, header, "" if exercise.home else exercise.module
        )
    lines = [
        f'"""{exercise.title}.',
        "",
        *before,
        textwrap.fill(f"Source: {exercise.source}.", 88),
        f"Check it with:  {called()} check {exercise.id}",
        '"""',
        "",
        imports.strip(),
        *(["", names] if names else []),
        "",
        *begun,
    ]
    return "\n".join(lines) + "\n" + _indented(TODO)


def solution(exercise: Exercise | Diagnosis) -> str:
    """The book's own lines."""
    if isinstance(exercise, Diagnosis):
        return f'fault = "{exercise.fault}"\n\n\n{exercise.solution.lstrip()}'
    return reference_source(exercise)


def reference_source(exercise: Exercise) -> str:
    """The text of the reference, without decorators."""
    source, node = _definition(exercise)
    text = "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
    return textwrap.dedent(text) + "\n"


def reference_arguments(exercise: Exercise) -> ast.arguments:
    """The signature of the reference."""
    return copy.deepcopy(_definition(exercise)[1].args)


def module_file(exercise: Exercise) -> Path:
    """The file that holds the reference."""
    return exercise.root / (exercise.module.replace(".", "/") + ".py")


def find_definition(tree: ast.Module, qualname: str) -> tuple[list, int]:
    """The list of statements that holds a definition, and its index there."""
    body = tree.body
    *classes, name = qualname.split(".")
    for owner in classes:
        body = next(
            node.body
            for node in body
            if isinstance(node, ast.ClassDef) and node.name == owner
        )
    for place, node in enumerate(body):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return body, place
    raise ValueError(f"there is no function {qualname} to be an exercise")


def body_lines(node: ast.FunctionDef) -> tuple[int, int]:
    """The first and the last line of a function, after its docstring."""
    if ast.get_docstring(node) is not None and len(node.body) > 1:
        return node.body[0].end_lineno + 1, node.end_lineno
    return node.body[0].lineno, node.end_lineno


def is_empty(node: ast.FunctionDef) -> bool:
    """Whether a function has only a docstring, `...`, `pass` or NotImplementedError."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return all(
        isinstance(line, ast.Pass)
        or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        or (isinstance(line, ast.Raise) and "NotImplementedError" in ast.dump(line))
        for line in body
    )


def _begun_test(diagnosis: Diagnosis) -> list[str]:
    """The lines on the possible faults, and the head of an empty test."""
    wrap = textwrap.TextWrapper(
        88, initial_indent="#     ", subsequent_indent="#         "
    )
    return [
        "# Name the fault. It is one of these:",
        *(wrap.fill(f"{fault.id}: {fault.says}") for fault in diagnosis.faults),
        'fault = ""',
        "",
        "",
        "def test_the_fault():",
        '    """Pass on the right function, and fail on the faulty one."""',
    ]


def _candidate(exercise: Exercise, source: str, file: str) -> Candidate:
    return Candidate(source, exercise.name, f"<{exercise.id}: {file}>")


@functools.cache
def _definition(exercise: Exercise) -> tuple[str, ast.FunctionDef]:
    source = sealed.read(module_file(exercise))
    body, place = find_definition(ast.parse(source), exercise.qualname)
    return source, body[place]


def _header(exercise: Exercise) -> str:
    """The signature and docstring of the reference."""
    source, node = _definition(exercise)
    until = node.body[0].end_lineno
    text = "\n".join(source.splitlines()[node.lineno - 1 : until])
    return textwrap.dedent(text) + "\n"


def _indented(body: str) -> str:
    return textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"


def _imports(exercise: Exercise) -> str:
    """The imports and public names of the module that the reference uses."""
    source, node = _definition(exercise)
    used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    used |= {exercise.qualname.split(".")[0]} if exercise.is_method else set()
    tree = ast.parse(source)
    outside, inside = [], []
    for line in tree.body:
        if isinstance(line, ast.Import | ast.ImportFrom):
            aliases = [a for a in line.names if (a.asname or a.name) in used]
            if aliases:
                line.names = aliases
                outside.append(ast.unparse(line))
        elif isinstance(line, ast.FunctionDef | ast.ClassDef):
            inside.append(line.name)
        elif isinstance(line, ast.Assign):
            inside += [t.id for t in line.targets if isinstance(t, ast.Name)]
    inside = [n for n in inside if n in used and n != exercise.name and n[0] != "_"]
    if inside:
        outside.append(f"from {exercise.module} import {', '.join(sorted(inside))}")
    prefixes = tuple(f"from {floor}" for floor in FLOORS)
    theirs = [line for line in outside if not line.startswith(prefixes)]
    ours = [line for line in outside if line.startswith(prefixes)]
    return "\n".join(theirs) + "\n\n" * bool(ours) + "\n".join(sorted(ours))
