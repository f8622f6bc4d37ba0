"""Blocks of a docstring that are equations, written in LaTeX.

A block is one only if each of its lines is read to the end and holds a formula: what
is not understood stays as it was written. Lines are aligned where they are aligned
in the docstring, and remarks stay words.
"""

import re
from collections import Counter
from typing import NamedTuple

from notebooks.site.notation import (
    FUNCTIONS,
    GREEK,
    OVER,
    WORDS,
    Part,
    RefusedError,
    is_prose,
    with_comma,
)
from notebooks.site.reader import Reader

# A letter with an index, a star or arguments: no name of a program looks like this.
_HEAD = r"(?<![^\s(])(?:[A-Za-z]|pi|theta|gamma|delta|rho|alpha|beta)"
_INDEX = r"(?:_\{[^{}]*\}|_(?:pi|ref|old|<?[A-Za-z0-9])|\*)"
SYMBOL = re.compile(
    rf"{_HEAD}(?:{_INDEX}(?:\([^()]*\))?|\([^()]*\))(?=[.,;:?)]*(?:\s|$))"
)
# What stands before and behind a symbol that is no part of a longer formula.
BEFORE = re.compile(r"(?:^|[\s(])([A-Za-z-]{2,}[,;:.]?)\s\(?$")
BEHIND = re.compile(r"\)?(?:[.,;:?]|$|\s([a-z-]{2,}))")


class Chunk(NamedTuple):
    """A stretch of a line: a sum of terms, with the relation sign before it."""

    latex: str
    columns: tuple[int, int]  # of its first sign; behind a relation, of the next one
    gap: int  # spaces before it
    related: bool  # whether it begins with a relation sign
    words: bool  # whether it has words


def block(lines: list[str]) -> list[str] | None:
    """Return the formulas of a block in LaTeX below their source; None: it has none.

    Blank lines divide a block into formulas. The source stands in lines of comment.
    """
    groups = [g.split("\n") for g in re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))]
    try:
        return [_source(group) + _formula(group) for group in groups]
    except RefusedError:
        return None


def _source(lines: list[str]) -> str:
    return "".join(f"% {line}\n" for line in lines)


def _formula(lines: list[str]) -> str:
    """Return the only row of a formula, or its rows below each other."""
    read = [Reader(line).row() for line in _joined(lines)]
    sure = [_is_sure(row) for row in read]
    plain = [row for row in read if not any(part.relation for part in row)]
    unsure = [row for row in plain if not _is_sure(row)]
    if not any(sure) or len(unsure) * 3 > len(read):
        raise RefusedError(lines)
    rows = [_chunks(row) for row in read]
    if len(rows) == 1:
        return _cell([rows[0][0]._replace(gap=0), *rows[0][1:]])
    side = max((0, 1), key=lambda side: len(_stops(rows, side)))
    stops = _stops(rows, side)
    cells = [_cells(row, side, stops) for row in rows]
    for column in range(1, len(stops)):  # cells below each other begin alike
        gap = max(row[column][0].gap if row[column] else 0 for row in cells)
        for row in cells:
            row[column][:1] = [chunk._replace(gap=gap) for chunk in row[column][:1]]
    body = " \\\\\n".join(" & ".join(map(_cell, row)) for row in cells)
    return f"\\begin{{array}}{{{'l' * len(stops)}}}\n{body}\n\\end{{array}}"


def _joined(lines: list[str]) -> list[str]:
    """Join a line to the one before it that leaves a bracket open."""
    done: list[str] = []
    for line in lines:
        before = done[-1] if done else ""
        if sum(map(before.count, "([{")) > sum(map(before.count, ")]}")):
            done[-1] = f"{before} {line.strip()}"
        else:
            done.append(line)
    return done


def _is_sure(row: list[Part]) -> bool:
    """Whether a line holds a formula, and not only words with a letter in them."""
    bare = [re.sub(r"\\text\{[^}]*\}|\\[ ,;]", "", part.latex) for part in row]
    letters = [bool(re.search(r"[A-Za-z]", text)) for text in bare]
    for i, part in enumerate(row):
        if part.relation and (letters[i - 1] * bool(i) or letters[i + 1]):
            return True
        signs = re.search(r"\\[a-z]|[_^(]", bare[i])
        sentence = part.relation or re.search(r"\\text\{[^}]* ", part.latex)
        if letters[i] and signs and not sentence:
            return True
    return False


def _chunks(row: list[Part]) -> list[Chunk]:
    """Return the parts of a line, each relation sign with the part behind it."""
    chunks: list[Chunk] = []
    sign: Part | None = None
    for part in row:
        if part.relation:
            if sign:
                raise RefusedError(part.latex)
            sign = part
        else:
            first, latex = sign or part, f"{sign.latex} " if sign else ""
            columns = first.column, part.column
            related = bool(sign)
            if related and is_prose(part.latex) and not WORDS.sub("", part.latex)[1:]:
                latex += r"\ "  # signs among texts are drawn without spaces
            latex += part.latex
            chunks.append(Chunk(latex, columns, first.gap, related, part.words))
            sign = None
    return chunks


def _stops(rows: list[list[Chunk]], side: int) -> list[int]:
    """Return the columns where lines are aligned.

    Two lines align what begins in the same column, all lines their first relation.
    """
    begun = []
    for row in rows:
        related = [chunk for chunk in row if chunk.related]
        signs = {chunk.columns[side]: True for chunk in related[:1]}
        begun.append({c.columns[side]: False for c in row if not c.related} | signs)
    with_sign = [each for each in begun if any(each.values())]
    counts = Counter(column for each in begun for column in each)
    stops = {min(counts)}
    for column, count in counts.items():
        sign = any(each.get(column) for each in begun)
        if count > 1 and (not sign or all(column in each for each in with_sign)):
            stops.add(column)
    return sorted(stops)


def _cells(row: list[Chunk], side: int, stops: list[int]) -> list[list[Chunk]]:
    """Return the chunks of each column."""
    cells: list[list[Chunk]] = [[] for _ in stops]
    at = 0
    for i, chunk in enumerate(row):
        column = chunk.columns[side]
        at = stops.index(column) if column in stops[at:] else at
        cells[at].append(chunk if i else chunk._replace(gap=0))
    return cells


def _cell(chunks: list[Chunk]) -> str:
    """Return chunks side by side, with the spaces that their gaps ask for."""
    latex, before = "", Chunk("", (0, 0), 0, related=False, words=True)
    for chunk in chunks:
        if not chunk.related:
            apart = latex.endswith((", ", "; ")) or chunk.words or before.words
            wide = r"\qquad " if chunk.gap > 2 else r"\quad " if apart else r"\; "
            near = bool(latex) and (before.words or chunk.words)
            latex = latex if chunk.gap > 1 else with_comma(latex, near)
            latex += wide if chunk.gap > 1 else ""
        latex += chunk.latex + " "
        before = chunk
    return latex.strip() or "{}"


def symbols(text: str) -> list[str]:
    """Cut a text of words at its symbols, such as G_t: words, LaTeX, words, ...

    A symbol is drawn if words or signs of punctuation stand on both sides of it.
    """
    pieces, end = [], 0
    for found in SYMBOL.finditer(text):
        before = BEFORE.search(text[: found.start()])
        behind = BEHIND.match(text[found.end() :])
        beside = {(before and before[1]) or "", (behind and behind[1]) or ""}
        latex = _symbol(" ".join(found[0].split()))
        if latex and before and behind and not beside & {*GREEK, *FUNCTIONS, *OVER}:
            pieces += [text[end : found.start()], latex]
            end = found.end()
    return [*pieces, text[end:]]


def _symbol(text: str) -> str:
    """Return a symbol in LaTeX, or nothing if it is high or has words in brackets."""
    try:
        parts = Reader(text).row()
    except RefusedError:
        return ""
    refused = re.search(r"\\frac|\(.*\\text\{\w", parts[0].latex) or len(parts) > 1
    return "" if refused else parts[0].latex.strip()
