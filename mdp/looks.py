"""The look of a series in every picture: a colour, a dash and a marker of its own.

A picture must also be read in grey and by every kind of eye. So no two colours have the
same lightness, and where two are close, the dashes and markers still tell them apart:

    ax.plot(x, y, label="PPO", **look(BLUE))                 a line
    ax.plot(x, y, label="PPO", **look(0, marked=True))       a line with markers
    ax.plot(x, y, label="PPO", **dots(BLUE))                 markers alone
    ax.legend(**BESIDE)                                      names that cover nothing

The hues follow Okabe & Ito (2008), "Color universal design".
"""

from typing import Any

# In the order in which they are given to the series of a picture.
BLUE, ORANGE, GREEN, PURPLE = "#0050A0", "#E87511", "#008F63", "#3A0A52"
SKY, RED, YELLOW = "#56B4E9", "#CC4488", "#E3C552"
GREY = "#AFAFAB"  # what the others are compared with
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW, GREY)
DASHES: tuple[Any, ...] = (
    *("-", "--", "-.", (0, (7, 1.5, 1, 1.5, 1, 1.5))),
    *((0, (2, 1)), (0, (10, 3)), ":", (0, (1, 0.6))),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
INK, FAINT = "#22222A", "#D4D4D1"  # texts and known answers; grids

# Settings of a legend, whose lines are long enough to show their dashes: where there is
# room for it, to the right of its axes, and below all axes of a figure.
INSIDE: dict[str, Any] = {"frameon": False, "handlelength": 3.4}
BESIDE = {
    **INSIDE,
    "loc": "upper left",
    "bbox_to_anchor": (1.01, 1),
    "borderaxespad": 0,
}
BELOW = {**INSIDE, "loc": "outside lower center"}

Look = dict[str, Any]  # matplotlib's settings of a line


def look(series: int | str, marked: bool = False) -> Look:
    """Return the settings of a line: its colour, dash and width, and its marker.

    Args:
        series: the number of the series in its picture, or one of the colours.
        marked: whether the line has markers, too.
    """
    place = COLOURS.index(series) if isinstance(series, str) else series
    turn = place + place // len(COLOURS)  # after all colours, other pairs
    dash, marker = (kinds[turn % len(COLOURS)] for kinds in (DASHES, MARKERS))
    line: Look = {"color": COLOURS[place % len(COLOURS)], "ls": dash, "lw": 1.8}
    return {**line, "marker": marker, "ms": 5} if marked else line


def dots(series: int | str) -> Look:
    """Return the settings of markers without a line, edged so that none hides another.

    Args:
        series: the number of the series in its picture, or one of the colours.
    """
    return {**look(series, marked=True), "ls": "", "mec": "white", "mew": 0.7, "ms": 6}
