"""The lines that a terminal of some width shows."""

import io

from mdp.interface.command_line import Terminal


def lines_at(shown, width=80):
    """Return the lines of a text or a table, without spaces at their ends."""
    file = io.StringIO()
    Terminal(file=file, width=width).print(shown)
    return [line.rstrip() for line in file.getvalue().splitlines()]
