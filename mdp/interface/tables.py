"""Tables for the terminal that explain themselves: every column with its meaning.

    columns = {"policy": "", "KL": "distance from the reference, in nats"}
    console.print(explained_table("Exact values", columns, [("PPO", "2.57")]))

A table and its explanation are one value: a column cannot come without its meaning.
"""

import textwrap
from collections.abc import Collection, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mdp.interface.stopping import printable

NARROWEST = 8  # letters of a head in one line; longer ones wrap at words

# A row of texts; an empty one leaves a line free.
Row = Sequence[str]

STANDARD_ERROR = (
    "x ± e: e is the standard error of x, so chance alone moves x by about e; the true "
    "value is within 2 e in about 95 of 100 cases."
)


def explained_table(
    title: str,
    columns: Mapping[str, str],
    rows: Sequence[Row],
    words: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    texts: Collection[str] = (),
) -> Group:
    """Return a title, a table, the meaning of its columns and words, and notes.

    Texts wrap at words, numbers never.

    Args:
        title: the line above the table, or "".
        columns: the meaning of each column by its head; "" if the head says it all.
        rows: the cells, from left to right; an empty row leaves a line free.
        words: the meaning of other words in the table.
        notes: paragraphs below the meanings.
        texts: heads of the columns of text; the first column is always one.
    """
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True
    )
    for i, head in enumerate(columns):
        cells = [row[i] for row in rows if row]
        if i == 0 or head in texts:
            table.add_column(head)
        else:
            width = max(map(len, [*cells, *head.split(), "a" * NARROWEST]))
            head = textwrap.fill(head, width)
            table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    above = [Text(printable(title), style="bold")] if title else []
    return Group(*above, table, *_explanation([columns, words or {}], notes))


def _explanation(
    glossaries: Sequence[Mapping[str, str]], notes: Sequence[str]
) -> list[RenderableType]:
    """Return the meanings beside their words, and the notes, after free lines."""
    width = max((len(x) for each in glossaries for x in each if each[x]), default=0)
    parts: list[RenderableType] = []
    for each in glossaries:
        meanings = Table.grid(padding=(0, 2))
        meanings.add_column(no_wrap=True, min_width=width)
        meanings.add_column()
        for word, meaning in each.items():
            if meaning:
                meanings.add_row(word, meaning)
        parts += [meanings] if meanings.rows else []
    return [part for each in (*parts, *notes) for part in ("", each)]
