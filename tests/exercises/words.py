"""Tell the learner what is wrong: the plainest reason first, and only one reason.

the file cannot be read        file and line number, and the line
the function is missing        the name or the signature that was expected
the function is empty          open, not failed
it never returns, or raises    the learner's own line
it changes its arguments       which argument
its result is wrong            the sentence of the trap; the equation; the smallest
                               case that differs, with the expected and the own result
"""

import re
import textwrap
from typing import NamedTuple

from tests.exercises.manifest import Exercise
from tests.exercises.same import NOT_RIGHT
from tests.exercises.sources import Candidate

NO_MARK = "No mark:"  # of an attempt that reaches for the book's own function
RIGHT_FAULT = "The fault is right"  # of a diagnosis whose test is not good yet
SMALLEST = "The smallest case that shows it:"
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
# Sentences that are added to the message of one of Python's own exceptions.
CAUSES = {
    "EOFError": "Nobody can answer `input` here: a function gets its arguments.",
    "ModuleNotFoundError": "A file is judged alone: it can import what is installed, "
    "and no other file of yours.",
}
# numpy's lines on arrays that differ, and the sentences for the learner; see _of_numpy.
NUMPY_SAYS = {
    r"Mismatched elements: (\d+) / (\d+)": "{} of {} numbers are wrong.",
    r"(\[.*?\]): (.*) \(ACTUAL\), (.*) \(DESIRED\)": "At {} there is {}, and there "
    "should be {}.",
    r"Max absolute difference among violations: (.*)": "The largest difference is {}.",
    r"(nan|inf) location": "Some numbers are {} that should not be, or the other way "
    "round.",
    r"shapes (\(.*?\)), (\(.*?\)) mismatch": "A shape is {}, and should be {}.",
}
MOST_LETTERS = 160
MOST_LINES = 3
CANNOT_USE = "The code that calls your function cannot use its result. That code raises"


class Verdict(NamedTuple):
    """The outcome of a check, and the text for the learner."""

    state: str  # "passed", "failed" or "open"
    text: str
    trap: int = 0  # the number of the trap that the text names, from 1; else 0

    @property
    def reason(self) -> str:
        """The first paragraph that says what is wrong, in one line."""
        first, *others = self.text.split("\n\n")
        if others and first.startswith(RIGHT_FAULT):
            first = others[0]
        return " ".join(first.split())


def verdict(exercise: Exercise, candidate: Candidate, found: list[dict]) -> Verdict:
    """Put the findings into words."""
    by_kind: dict[str, dict] = {}
    for finding in found:
        by_kind.setdefault(finding["what"], finding)
    if "broken" in by_kind:
        text = f"The check itself failed: {by_kind['broken']['message']}"
        if "No module named 'pytest'" in text:
            text = 'The exercises need pytest: `python -m pip install -e ".[test]"`.'
        return failed(text)
    if "ended" in by_kind:
        return failed(by_kind["ended"]["message"])
    if "difference" in by_kind:
        trap = by_kind["trap"]["number"] + 1 if "trap" in by_kind else 0
        return failed(*_wrong(exercise, candidate, by_kind))._replace(trap=trap)
    if "exception" in by_kind:
        if by_kind["exception"]["kind"] == "NotImplementedError":
            return still_open(exercise)
        test = by_kind.get("failed")
        return failed(*_exception(candidate, by_kind["exception"], test))
    if "mutation" in by_kind:
        changed = by_kind["mutation"]
        return failed(_mutation(changed), _block(SMALLEST, changed["inputs"]))
    if "loop" in by_kind:
        trying = [f["inputs"] for f in found if f["what"] == "trying"]
        in_a_case = trying and "testing" not in by_kind
        case = _block(SMALLEST, trying[-1]) if in_a_case else ""
        return failed(by_kind["loop"]["message"], case)
    if "failed" in by_kind:
        return failed(*_failed_test(exercise, by_kind["failed"]))
    return Verdict("passed", f"Passed: {exercise.title}.")


def _wrong(
    exercise: Exercise, candidate: Candidate, by_kind: dict[str, dict]
) -> list[str]:
    """The trap's sentence, the equation, and the smallest case that differs."""
    different, trap = by_kind["difference"], by_kind.get("trap")
    pattern = by_kind.get("pattern") or by_kind.get("extent")
    sentence = f"Not yet. {different['message']}"
    if pattern and different["message"].endswith(NOT_RIGHT):
        sentence = f"Not yet. {pattern['message']}"
    elif pattern:
        sentence += f" {pattern['message']}"
    return [
        exercise.traps[trap["number"]].says if trap else sentence,
        _block("The equation:", _in_lines(exercise.equation)),
        _block(SMALLEST, different["inputs"]),
        _block("Expected:", different["expected"]),
        _block("Got:", different["got"]),
        _mutation(by_kind["mutation"]) if "mutation" in by_kind else "",
        _block("Your function printed:", different["printed"]),
        _counted_fields(candidate, different["inputs"]),
    ]


def _mutation(finding: dict) -> str:
    """Name the argument that the function changes."""
    return (
        f"Your function changes its argument `{finding['argument']}`. The caller may "
        "still need it: work on a copy."
    )


def _counted_fields(candidate: Candidate, inputs: str) -> str:
    """A sentence on `len` of an episode, which does not count its steps."""
    for name in re.findall(r"^(\w+) = an? (?:episode|trajectory) of", inputs, re.M):
        if f"len({name})" in candidate.source:
            return (
                f"len({name}) is the number of its fields. Its number of steps is "
                f"len({name}.rewards)."
            )
    return ""


def _exception(candidate: Candidate, raised: dict, test: dict | None) -> list[str]:
    """The kind of the exception, its message, and the learner's own lines."""
    in_a_test = test and not raised["inputs"]
    message = raised["message"].splitlines() or [""]  # jax adds lines about itself
    if raised["kind"] == "RecursionError":
        return _recursion(candidate, raised["lines"])
    lines = [own_line(candidate, n["number"], n["text"]) for n in raised["lines"]]
    hidden = "'MDP' object has no attribute" in raised["message"]
    who = "Your function raises" if lines or raised["inputs"] else CANNOT_USE
    kind = raised["kind"]
    says = f"{who} {kind}: {message[0]}" if message[0] else f"{who} {kind}"
    return [
        TRACED.get(kind, ""),
        f"{says}. {CAUSES[kind]}" if kind in CAUSES else says,
        "Your argument `mdp` hides the package `mdp`." if hidden else "",
        # A function that calls itself is on its way more than once.
        _block(f"In {candidate.file},", "\n".join(dict.fromkeys(lines))),
        _counted_fields(candidate, raised["inputs"]),
        _block("It was called with:", raised["inputs"]),
        f"It was called in this unit test: {_sentence(test)}." if in_a_test else "",
    ]


def _recursion(candidate: Candidate, lines: list[dict]) -> list[str]:
    """One sentence on calls without end, and the learner's lines."""
    shown = [own_line(candidate, n["number"], n["text"]) for n in lines[:MOST_LINES]]
    itself = f"{candidate.name}("
    if any(itself in n["text"].replace("self.", "") for n in lines):
        text = f"Your function calls itself without end: {candidate.name} is your own "
        text += "function, even if you import it from the book."
    else:
        text = (
            "Your function calls itself without end: in a check it stands in the "
            "place of the book's own, and something that it calls needs the book's own."
        )
    return [text, _block(f"In {candidate.file},", "\n".join(shown))]


def _failed_test(exercise: Exercise, finding: dict) -> list[str]:
    """A unit test that fails although the results agree in all cases."""
    return [
        f"Not yet. This unit test fails: {_sentence(finding)}.",
        " ".join(finding["doc"].split()),
        _block("The equation:", _in_lines(exercise.equation)),
        _block("The test reports:", reported(finding["message"])),
    ]


def _sentence(finding: dict) -> str:
    """The name of a unit test, which is a sentence."""
    name = finding["test"].split("::")[-1].split("[")[0]
    return name.removeprefix("test_").replace("_", " ")


def reported(message: str) -> str:
    """The report of a failed assertion, in words: the smallest difference, no dump."""
    lines = [line.strip() for line in message.strip().splitlines()]
    if lines[0].startswith(("Not equal to tolerance", "Arrays are not")):
        said = [_of_numpy(lines, *pair) for pair in NUMPY_SAYS.items()]
        own = lines[1] if lines[1] and not lines[1].startswith("(") else ""
        return "\n".join(filter(None, [own, *said]))
    own, _, condition = message.strip().partition("\nassert ")
    if own.startswith("assert "):
        own, condition = "", own.removeprefix("assert ")
    shown = " ".join(condition.partition("\n")[0].split())
    if len(shown) > MOST_LETTERS:
        shown = f"{shown[:MOST_LETTERS]} ..."
    if own == "AssertionError":
        return ""
    return own or f"This should hold, and does not: {shown}"


def _of_numpy(lines: list[str], pattern: str, says: str) -> str:
    """One of numpy's reports on arrays, in words; of several pairs, the closest one."""
    found = [match.groups() for line in lines if (match := re.search(pattern, line))]
    if not found:
        return ""
    nearest = min(found, key=lambda words: _distance(*words[-2:]))
    return says.format(*map(_short, nearest))


def _distance(*words: str) -> float:
    try:
        one, other = map(float, words)
    except ValueError:  # truths, shapes, or one number alone
        return 0.0
    return abs(one - other)


def _short(number: str) -> str:
    try:
        return f"{float(number):.6g}"
    except ValueError:
        return number


def own_line(candidate: Candidate, number: int, text: str) -> str:
    """The learner's own line; the lines of a notebook cell have no visible numbers."""
    return f"line {number}:  {text}" if candidate.is_file else f"the line:  {text}"


def failed(*parts: str) -> Verdict:
    """The verdict on a wrong attempt, in paragraphs."""
    return Verdict("failed", "\n\n".join(wrapped(part) for part in parts if part))


def still_open(exercise: Exercise) -> Verdict:
    """The verdict on an attempt that is still empty."""
    return Verdict("open", f"Still open: {exercise.title}. ({exercise.id})")


def wrapped(text: str) -> str:
    """Wrap sentences at 80 columns, and leave indented lines as they are."""
    return "\n".join(
        line
        if line.startswith(" ")
        else textwrap.fill(line, 80, break_on_hyphens=False)
        for line in text.splitlines()
    )


def _in_lines(equation: str) -> str:
    """Break lines that are too long, where they have wide spaces if possible."""
    lines = []
    for line in equation.strip().splitlines():
        wide = r"(?<=[,;:]) {3,}" if len(line) > 76 else "\n"
        first, *conditions = re.split(wide, line)
        for part in [first, *(f"    {condition}" for condition in conditions)]:
            lines += textwrap.wrap(part, 76, subsequent_indent="    ")
    return "\n".join(lines)


def _block(title: str, text: str) -> str:
    """An indented text under a title; nothing if the text is empty."""
    return f"{title}\n{textwrap.indent(text.strip(chr(10)), '    ')}" if text else ""
