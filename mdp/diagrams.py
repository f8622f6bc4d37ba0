"""Diagrams of boxes and arrows, drawn by code. `Axes` in, `Axes` out.

    draw_loop            the agent acts, the environment answers, and so on
    box, arrow, route    the parts of every diagram, also of the upper floors

White boxes are data, grey ones are fixed, a thick edge learns, and a dashed edge is a
copy. Widths and heights are in units of the axes.

Source: Sutton & Barto (2018), figure 3.1, for the loop.
"""

from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from mdp.looks import FAINT, INK

# The kinds of boxes.
DATA, FIXED, LEARNS, COPY = "data", "fixed", "learns", "copy"


class Box(NamedTuple):
    """A box of a diagram: its middle and its size, in units of the axes."""

    x: float
    y: float
    width: float
    height: float


def draw_loop(axes: Axes) -> Axes:
    """Draw the loop of agent and environment.

    Source: Sutton & Barto (2018), figure 3.1.
    """
    axes.set(xlim=(0, 10), ylim=(0, 4))
    axes.set_axis_off()
    box(axes, 5, 3.3, "agent\n$\\pi(a\\,|\\,s)$", LEARNS, width=2.6)
    box(axes, 5, 0.7, "environment\n$p(s', r\\,|\\,s, a)$", FIXED, width=2.6)
    # The action goes down on the right; state and reward come back on the left.
    route(axes, [(6.3, 3.3), (8.6, 3.3), (8.6, 0.7), (6.3, 0.7)])
    route(axes, [(3.7, 0.9), (1.8, 0.9), (1.8, 3.1), (3.7, 3.1)])
    route(axes, [(3.7, 0.5), (1.2, 0.5), (1.2, 3.5), (3.7, 3.5)])
    text: dict[str, Any] = {"color": INK, "va": "center", "fontsize": 10}
    axes.text(8.75, 2.0, "action $A_t$", **text)
    axes.text(1.95, 2.0, "reward $R_{t+1}$", **text)
    axes.text(1.05, 2.0, "state\n$S_{t+1}$", ha="right", **text)
    return axes


def box(
    axes: Axes, x: float, y: float, text: str, kind: str = DATA, width: float = 2.9
) -> Box:
    """Draw a box with this text around (x, y), and return it; two lines fit."""
    height = 0.95
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.15",
            facecolor=FAINT if kind == FIXED else "white",
            edgecolor=INK,
            linewidth=2.4 if kind == LEARNS else 1.0,
            linestyle=(0, (4, 2)) if kind == COPY else "-",
            zorder=2,
        )
    )
    axes.text(x, y, text, ha="center", va="center", color=INK, fontsize=9, zorder=3)
    return Box(x, y, width, height)


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    bend: float = 0.0,
    dashed: bool = False,
) -> None:
    """Draw an arrow between two points, bent to one side by this share of its length.

    A positive bend goes to the right of somebody who walks from start to end.
    """
    style: dict[str, Any] = {"arrowstyle": "-|>", "color": INK, "lw": 1.3}
    style |= {"shrinkA": 0, "shrinkB": 1, "linestyle": (0, (4, 2)) if dashed else "-"}
    style["connectionstyle"] = f"arc3,rad={bend}"
    axes.annotate("", end, start, arrowprops=style, zorder=4)


def route(
    axes: Axes,
    corners: list[tuple[float, float]],
    text: str = "",
    at: tuple[float, float] = (0.0, 0.0),
    dashed: bool = False,
) -> None:
    """Draw an arrow that turns at the corners, with a text centred at its own place."""
    x, y = zip(*corners[:-1], strict=True)
    axes.plot(x, y, color=INK, lw=1.3, ls=(0, (4, 2)) if dashed else "-", zorder=1)
    arrow(axes, corners[-2], corners[-1], dashed=dashed)
    axes.text(*at, text, ha="center", va="center", color=INK, fontsize=9)
