"""The signs of the plain notation in which docstrings write equations, and LaTeX."""

import re
from typing import NamedTuple

TOKEN = re.compile(
    r"""(?P<number>\d+(?:\.\d+)?(?![A-Za-z]))
    |(?P<sub>_(?:<\w*|[A-Za-z0-9]+(?:~[a-z])?'?|(?=[{(])))
    |(?P<sup>\^(?:-?[A-Za-z0-9]+|(?=[{(])))
    |(?P<star>(?<=\w)\*(?![\w*]))
    |(?P<name>[A-Za-z]+'s\b|(?=[A-Za-z-]*[A-Za-z]{2})[A-Za-z]+(?:-[A-Za-z]+)+|[a-z]+@[a-z]\b
        |[A-Za-z]\d(?!\d)|[A-Za-z]+|(?<=\ )&(?=\ ))
    |(?P<prime>'+(?!\w))
    |(?P<relation><=>|<->|<-|->|<=|>=|=|~)
    |(?P<dots>\.\.\.?)
    |(?P<sign>\|\||[][(){}<>|,;:./*+-])""",
    re.VERBOSE,
)
GREEK = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "eps", "eta", "theta", "lambda"),
    *("pi", "rho", "phi", "tau", "Sigma", "Phi"),
}
NAMED = {name: rf"\text{{{name}}}" for name in ("log", "exp", "ln", "det")}
FUNCTIONS = {**NAMED, "grad": r"\nabla "}
OVER = {
    **{"sum": r"\sum\limits", "prod": r"\prod\limits", "max": r"\max", "min": r"\min"},
    **{"argmax": r"\operatorname{argmax}"},
}
RELATIONS = {
    **{"=": "=", "<-": r"\gets", "<=": r"\le", ">=": r"\ge", "<": "<", ">": ">"},
    **{"~": r"\sim", "<=>": r"\quad\iff\quad", "in": r"\in", "|": r"\mid"},
    **{"||": r"\parallel"},
}
CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">", "|": "|"}
BRACKETS = {
    **{"(": ("(", ")"), "[": ("[", "]"), "{": (r"\{", r"\}")},
    **{"<": (r"\langle ", r"\rangle "), "|": (r"\left|", r"\right|")},
}
# What follows the letter a where it is an action, not an article.
VERBS = {"is", "before", "in"}


class RefusedError(Exception):
    """Part of a text is not in the notation of equations."""


class Token(NamedTuple):
    """A sign of a line."""

    kind: str
    text: str
    column: int
    gap: int  # spaces before it


class Factor(NamedTuple):
    """One thing among those that are multiplied."""

    latex: str
    kind: str = "symbol"  # or "word", "operator", "slash"
    simple: bool = False  # a name or a number
    inside: str = ""  # of round or square brackets: what stands in them


class Part(NamedTuple):
    """A stretch of a line: a sum of terms, or a relation sign."""

    latex: str
    column: int
    gap: int
    relation: bool = False
    words: bool = False  # has words outside of brackets


WORDS = re.compile(r"\\text\{[^{}]*\}")
MINUS = "\\text{\u2212}"  # a sign, and not an operator with spaces
END = Token("end", "", 0, 1)
SLASH = Factor(r"\,/\,", "slash")


def signs(line: str) -> list[Token]:
    """Cut a line into signs."""
    tokens: list[Token] = []
    if re.match(r"\s*\w+:", line):  # an entry of a list
        raise RefusedError(line)
    line, end = line.rstrip(), 0
    while end < len(line):
        start = len(line) - len(line[end:].lstrip())
        found = TOKEN.match(line, start)
        if found is None:
            raise RefusedError(line[start:])
        tokens.append(Token(found.lastgroup or "", found[0], start, start - end))
        end = found.end()
    return tokens


def product(factors: list[Factor], flat: bool = False) -> str:
    """Return factors side by side, as a fraction only where it cannot be misread."""
    slashes = [i for i, factor in enumerate(factors) if factor.kind == "slash"]
    above, below = factors[: slashes[0]] if slashes else [], factors[-1]
    if slashes == [len(factors) - 2] and below.kind != "operator":
        alone = above[0] if len(above) == 1 and above[0].kind != "operator" else None
        if alone and alone.simple and below.simple:
            return f"{alone.latex}/{below.latex}"
        if not flat and (alone or all(each.kind == "symbol" for each in above)):
            top = (alone.inside if alone else "") or product(above)
            return rf"\frac{{{top}}}{{{below.inside or below.latex}}}"
    latex = ""
    for before, factor in zip([None, *factors], factors, strict=False):
        pair = (before, factor) if before else ()
        words = [each.kind == "word" and WORDS.fullmatch(each.latex) for each in pair]
        if words and all(words):
            latex = latex[:-1] + factor.latex.replace(r"\text{", " ", 1)
        else:
            latex += _between(before, factor) + factor.latex
    return latex


def _between(before: Factor | None, factor: Factor) -> str:
    if before is None or "slash" in (before.kind, factor.kind):
        return ""
    if r"\cdot " in (before.latex, factor.latex):
        return " "
    if "word" in (before.kind, factor.kind):
        return r"\ "
    named = any(each.latex in NAMED.values() for each in (before, factor))
    return " " if before.kind == "operator" and not named else r"\,"


def row_of(parts: list[Part]) -> str:
    """Return the parts of a bracket in a row."""
    if not parts or parts[-1].relation:
        raise RefusedError("an empty bracket")
    latex = ""
    for i, part in enumerate(parts):
        wide = part.gap > 1 and i and not (part.relation or parts[i - 1].relation)
        prose = any(is_prose(p.latex) for p in parts[max(0, i - 1) : i + 1])
        latex = with_comma(latex, prose and not wide)
        latex += (r"\;\;" if wide else "") + part.latex + " "
    return latex.strip()


def is_prose(latex: str) -> bool:
    """Whether something has several words, or words beside signs."""
    return bool(re.search(r"\\ |\\text\{[^}]* ", latex))


def with_comma(latex: str, prose: bool) -> str:
    """Return a text that is followed by more, with the comma of a sentence."""
    latex = re.sub(r"\\text\{:\} $", r"\\text{: }", latex)
    return re.sub(r"([,;]) $", r"\\text{\1 }", latex) if prose else latex


def letter(text: str) -> str:
    """Return a letter, a name of a letter, a word or a sign in LaTeX."""
    if text == "eps":
        return r"\epsilon "
    if text in GREEK:
        return rf"\{text} "
    signs = {"<": r"\text{<}", "~": r"\sim "}
    plain = len(text) == 1 or not text.isalpha() or text == "it"
    return signs.get(text, text) if plain else rf"\text{{{text}}}"
