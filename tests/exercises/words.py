"""What is wrong with an attempt, in words: the plainest reason first, and only one.

it cannot be read              file, line, and the line
it is not there                the name or the signature that was expected
it is still empty              open, not failed
it never returns, or raises    the learner's own line
it changes what it was given   which argument
it answers, but wrongly        the sentence of the trap; the equation; the smallest
                               case that differs, with expected and got
"""

import textwrap
from typing import NamedTuple

from tests.exercises.manifest import Exercise
from tests.exercises.sources import Candidate

# What jax says of a value that is not known yet, while it compiles or differentiates.
UNKNOWN = "Inside `jax.jit`, `jax.vmap` and `jax.grad` an array has no numbers yet, so "
TRACED = {
    "TracerBoolConversionError": UNKNOWN + "`if`, `while`, `and`, `max` and `min` "
    "cannot look at them: use jnp.where, jnp.maximum and jnp.minimum.",
    "TracerArrayConversionError": UNKNOWN + "numpy cannot reckon with it: use `jnp` "
    "in the place of `np`.",
    "TracerIntegerConversionError": UNKNOWN + "it can be no index of a list, and no "
    "end of a `range`: index a jax array with it, or use jnp.arange and jnp.where.",
    "ConcretizationTypeError": UNKNOWN + "`float`, `int` and the arrays of numpy "
    "cannot hold it: leave it the jax array that it is.",
}


class Verdict(NamedTuple):
    """The outcome of a check, and what is said about it."""

    state: str  # "passed", "failed" or "open"
    text: str
    findings: tuple[dict, ...] = ()  # as the judge wrote them down


def verdict(exercise: Exercise, candidate: Candidate, found: list[dict]) -> Verdict:
    """The findings in words."""
    by_kind = {}
    for finding in found:
        by_kind.setdefault(finding["what"], finding)
    if "broken" in by_kind:
        text = f"The check itself could not go on: {by_kind['broken']['message']}"
        if "No module named 'pytest'" in text:
            text = "The exercises need pytest: `pip install -e '.[test]'`."
        return Verdict("failed", text, tuple(found))
    if "difference" in by_kind:
        return failed(exercise, *_wrong(exercise, by_kind), found=found)
    if "exception" in by_kind:
        raised = by_kind["exception"]
        if raised["kind"] == "NotImplementedError":
            return still_open(exercise)._replace(findings=tuple(found))
        return failed(exercise, *_exception(candidate, raised), found=found)
    if "mutation" in by_kind:
        changed = by_kind["mutation"]
        return failed(exercise, _mutation(changed), _smallest(changed), found=found)
    if "loop" in by_kind:
        trying = next((f for f in found[::-1] if f["what"] == "trying"), None)
        in_a_case = not any(f["what"] == "testing" for f in found)
        case = _smallest(trying) if trying and in_a_case else ""
        return failed(exercise, by_kind["loop"]["message"], case, found=found)
    if "failed" in by_kind:
        return failed(exercise, *_failed_test(exercise, by_kind), found=found)
    return Verdict("passed", f"Passed: {exercise.title}.", tuple(found))


def _wrong(exercise: Exercise, by_kind: dict[str, dict]) -> list[str]:
    """The trap's sentence, the equation, and the smallest case that differs."""
    different = by_kind["difference"]
    trap = _trap(exercise, by_kind)
    parts = [trap or f"Not yet. {different['how']}"]
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
    """Which of its arguments it changes."""
    name = finding["argument"]
    return (
        f"Your function changes its argument `{name}`, which belongs to whoever called "
        "it. Work on a copy."
    )


def _trap(exercise: Exercise, by_kind: dict[str, dict]) -> str:
    return exercise.traps[by_kind["trap"]["number"]].says if "trap" in by_kind else ""


def _smallest(finding: dict) -> str:
    return f"The smallest case where this shows:\n{_indented(finding['inputs'])}"


def _exception(candidate: Candidate, raised: dict) -> list[str]:
    """The kind, the message, and the learner's own lines."""
    # jax goes on for several lines, about itself.
    message = raised["message"].splitlines() or [""]
    parts = [f"Your function raises {raised['kind']}: {message[0]}"]
    if raised["kind"] in TRACED:
        parts = [TRACED[raised["kind"]], parts[0]]
    if "'MDP' object has no attribute" in raised["message"]:
        parts.append("`mdp` is your function's argument, and hides the package `mdp`.")
    if raised["lines"]:
        lines = [own_line(candidate, n["number"], n["text"]) for n in raised["lines"]]
        parts.append(f"In {candidate.file},\n{_indented(chr(10).join(lines))}")
    if raised["inputs"]:
        parts.append(f"It was given:\n{_indented(raised['inputs'])}")
    return parts


def own_line(candidate: Candidate, number: int, text: str) -> str:
    """The learner's own line; a cell's have no numbers that the learner could see."""
    return f"line {number}:  {text}" if candidate.is_file else f"the line:  {text}"


def _failed_test(exercise: Exercise, by_kind: dict[str, dict]) -> list[str]:
    """A unit test that fails although all cases agree."""
    failed = by_kind["failed"]
    name = failed["test"].split("::")[-1].split("[")[0]
    sentence = name.removeprefix("test_").replace("_", " ")
    message = failed["message"].strip().split("\nassert ")[0]
    return [
        f"Not yet. This unit test fails: {sentence}.",
        f"The equation:\n{_indented(exercise.equation)}",
        f"The test says:\n{_indented(message)}",
    ]


def failed(exercise: Exercise, *parts: str, found=()) -> Verdict:
    text = "\n\n".join(wrapped(part) for part in parts if part)
    return Verdict("failed", text, tuple(found))


def still_open(exercise: Exercise) -> Verdict:
    text = f"Still open: {exercise.title}. ({exercise.id})"
    return Verdict("open", text)


def wrapped(text: str) -> str:
    """Sentences in lines of 88 columns; what is indented stays as it is."""
    lines = text.splitlines()
    return "\n".join(
        line if line.startswith(" ") else textwrap.fill(line, 88) for line in lines
    )


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.strip("\n").splitlines())
