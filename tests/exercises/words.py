"""Tell the learner what is wrong: the plainest reason first, and only one reason.

the file cannot be read        file and line number, and the line
the function is missing        the name or the signature that was expected
the function is empty          open, not failed
it never returns, or raises    the learner's own line
it changes its arguments       which argument
its result is wrong            the sentence of the trap; the equation; the smallest
                               case that differs, with the expected and the own result
"""

import textwrap
from collections.abc import Iterable
from typing import NamedTuple

from tests.exercises.manifest import Exercise
from tests.exercises.sources import Candidate

# jax raises these for arrays whose numbers it does not know yet, while it compiles.
UNKNOWN = "Inside `jax.jit`, `jax.vmap` and `jax.grad` an array has no numbers yet, so "
TRACED = {
    "TracerBoolConversionError": UNKNOWN + "`if`, `while`, `and`, `max` and `min` "
    "cannot use them: use jnp.where, jnp.maximum and jnp.minimum instead.",
    "TracerArrayConversionError": UNKNOWN + "numpy cannot compute with it: use `jnp` "
    "instead of `np`.",
    "TracerIntegerConversionError": UNKNOWN + "it cannot be the index of a list or the "
    "end of a `range`: index a jax array with it, or use jnp.arange and jnp.where.",
    "ConcretizationTypeError": UNKNOWN + "`float`, `int` and numpy arrays cannot hold "
    "it: keep it as a jax array.",
}


class Verdict(NamedTuple):
    """The outcome of a check, and the text for the learner."""

    state: str  # "passed", "failed" or "open"
    text: str
    findings: tuple[dict, ...] = ()  # what the judge wrote down


def verdict(exercise: Exercise, candidate: Candidate, found: list[dict]) -> Verdict:
    """Put the findings into words."""
    by_kind = {}
    for finding in found:
        by_kind.setdefault(finding["what"], finding)
    if "broken" in by_kind:
        text = f"The check itself failed: {by_kind['broken']['message']}"
        if "No module named 'pytest'" in text:
            text = "The exercises need pytest: `pip install -e '.[test]'`."
        return Verdict("failed", text, tuple(found))
    if "difference" in by_kind:
        return failed(*_wrong(exercise, by_kind), found=found)
    if "exception" in by_kind:
        raised = by_kind["exception"]
        if raised["kind"] == "NotImplementedError":
            return still_open(exercise)._replace(findings=tuple(found))
        return failed(*_exception(candidate, raised), found=found)
    if "mutation" in by_kind:
        changed = by_kind["mutation"]
        return failed(_mutation(changed), _smallest(changed), found=found)
    if "loop" in by_kind:
        trying = next((f for f in found[::-1] if f["what"] == "trying"), None)
        in_a_case = not any(f["what"] == "testing" for f in found)
        case = _smallest(trying) if trying and in_a_case else ""
        return failed(by_kind["loop"]["message"], case, found=found)
    if "failed" in by_kind:
        return failed(*_failed_test(exercise, by_kind), found=found)
    return Verdict("passed", f"Passed: {exercise.title}.", tuple(found))


def _wrong(exercise: Exercise, by_kind: dict[str, dict]) -> list[str]:
    """The trap's sentence, the equation, and the smallest case that differs."""
    different = by_kind["difference"]
    trap = _trap(exercise, by_kind)
    parts = [trap or f"Not yet. {different['message']}"]
    parts.append(f"The equation:\n{_indented(exercise.equation)}")
    parts.append(_smallest(different))
    parts.append(f"Expected:\n{_indented(different['expected'])}")
    parts.append(f"Got:\n{_indented(different['got'])}")
    if "mutation" in by_kind:
        parts.append(_mutation(by_kind["mutation"]))
    if different["printed"]:
        parts.append(f"Your function printed:\n{_indented(different['printed'])}")
    return parts


def _mutation(finding: dict) -> str:
    """Name the argument that the function changes."""
    name = finding["argument"]
    return (
        f"Your function changes its argument `{name}`. The caller may still need it: "
        "work on a copy."
    )


def _trap(exercise: Exercise, by_kind: dict[str, dict]) -> str:
    return exercise.traps[by_kind["trap"]["number"]].says if "trap" in by_kind else ""


def _smallest(finding: dict) -> str:
    return f"The smallest case that shows it:\n{_indented(finding['inputs'])}"


def _exception(candidate: Candidate, raised: dict) -> list[str]:
    """The kind of the exception, its message, and the learner's own lines."""
    # jax adds several lines about itself.
    message = raised["message"].splitlines() or [""]
    parts = [f"Your function raises {raised['kind']}: {message[0]}"]
    if raised["kind"] in TRACED:
        parts = [TRACED[raised["kind"]], parts[0]]
    if "'MDP' object has no attribute" in raised["message"]:
        parts.append(
            "In your function `mdp` is the argument, which hides the package `mdp`."
        )
    if raised["lines"]:
        lines = [own_line(candidate, n["number"], n["text"]) for n in raised["lines"]]
        parts.append(f"In {candidate.file},\n{_indented(chr(10).join(lines))}")
    if raised["inputs"]:
        parts.append(f"It was called with:\n{_indented(raised['inputs'])}")
    return parts


def own_line(candidate: Candidate, number: int, text: str) -> str:
    """The learner's own line; the lines of a notebook cell have no visible numbers."""
    return f"line {number}:  {text}" if candidate.is_file else f"the line:  {text}"


def _failed_test(exercise: Exercise, by_kind: dict[str, dict]) -> list[str]:
    """A unit test that fails although the results agree in all cases."""
    failed = by_kind["failed"]
    name = failed["test"].split("::")[-1].split("[")[0]
    sentence = name.removeprefix("test_").replace("_", " ")
    message = failed["message"].strip().split("\nassert ")[0]
    return [
        f"Not yet. This unit test fails: {sentence}.",
        f"The equation:\n{_indented(exercise.equation)}",
        f"The test reports:\n{_indented(message)}",
    ]


def failed(*parts: str, found: Iterable[dict] = ()) -> Verdict:
    """The verdict on a wrong attempt, in paragraphs."""
    text = "\n\n".join(wrapped(part) for part in parts if part)
    return Verdict("failed", text, tuple(found))


def still_open(exercise: Exercise) -> Verdict:
    """The verdict on an attempt that is still empty."""
    text = f"Still open: {exercise.title}. ({exercise.id})"
    return Verdict("open", text)


def wrapped(text: str) -> str:
    """Wrap sentences at 88 columns, and leave indented lines as they are."""
    lines = text.splitlines()
    return "\n".join(
        line if line.startswith(" ") else textwrap.fill(line, 88) for line in lines
    )


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.strip("\n").splitlines())
