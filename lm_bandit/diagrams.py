"""Diagrams of RLHF: boxes and arrows, drawn by code. `Axes` in, `Axes` out.

    draw_step_three        PPO and its models: who writes, who scores, who learns

A white box is data, a grey one is a frozen model, and a thick edge is a model that
learns; a dashed edge is its copy. Dashed arrows are gradients. Widths and heights are
in units of the axes.

Source: Ouyang et al. (2022), figure 2 and section 3.5, for the third step.
"""

from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from mdp.looks import FAINT, INK

# The kinds of boxes; a result of one step is what the next step uses.
DATA, MODEL, RESULT, COPY = "data", "model", "result", "copy"


class Box(NamedTuple):
    """A box of a diagram: its middle and its size, in units of the axes."""

    x: float
    y: float
    width: float
    height: float


def draw_step_three(axes: Axes) -> Axes:
    """Draw the third step of RLHF in detail: its five models, and what they exchange.

    Source: Ziegler et al. (2019), section 2.2; Ouyang et al. (2022), section 3.5.
    """
    axes.set(xlim=(0, 12.6), ylim=(0, 7.4))
    axes.set_axis_off()
    _box(axes, 3.2, 6.6, "policy $\\pi$\nlearns", RESULT, 2.5)
    _box(axes, 3.2, 3.9, "old policy $\\pi_{old}$\nwrites the batch", COPY, 2.5)
    _box(axes, 7.1, 5.0, "reference $\\pi_{ref}$\nfrozen", MODEL, 2.5)
    _box(axes, 7.1, 2.8, "reward model $r_\\theta$\nfrozen", MODEL, 2.5)
    _box(axes, 7.1, 0.8, "critic $\\hat q$\nlearns", RESULT, 2.5)
    ratio = r"$\rho = \pi\, /\, \pi_{old}$"
    _box(axes, 10.9, 6.6, f"clipped loss\n{ratio}", DATA, 2.8)
    reward = r"$R = r_\theta - \beta\, \log(\pi_{old} / \pi_{ref})$"
    _box(axes, 10.9, 3.9, f"reward\n{reward}", DATA, 2.8)
    _box(axes, 10.9, 1.2, "advantage\n$A = R - \\hat q$", DATA, 2.8)

    _route(axes, [(0.2, 3.9), (1.95, 3.9)], "prompts $x$", (1.05, 4.15))
    _route(axes, [(3.2, 6.12), (3.2, 4.38)], "copied for\neach batch", (2.3, 5.25))
    for y in (5.0, 2.8, 0.8):
        _route(axes, [(4.45, 3.7), (5.2, 3.7), (5.2, y), (5.85, y)])
    _route(axes, [], "$x, y$", (5.55, 3.4))
    _route(axes, [(4.45, 4.1), (9.5, 4.1)], r"$\log\,\pi_{old}$", (7.1, 4.3))
    _route(axes, [(4.8, 4.1), (4.8, 6.3), (9.5, 6.3)], r"$\log\,\pi_{old}$", (6.0, 6.1))
    reference = [(8.35, 5.0), (8.9, 5.0), (8.9, 4.3), (9.5, 4.3)]
    _route(axes, reference, r"$\log\,\pi_{ref}$", (8.85, 5.2))
    score = [(8.35, 2.8), (8.9, 2.8), (8.9, 3.7), (9.5, 3.7)]
    _route(axes, score, "score", (8.75, 2.6))
    _route(axes, [(8.35, 1.2), (9.5, 1.2)], "values", (8.9, 1.4))
    _route(axes, [(10.9, 3.42), (10.9, 1.68)], "$R$", (11.1, 2.55))
    up = [(12.3, 1.2), (12.5, 1.2), (12.5, 6.4), (12.3, 6.4)]
    _route(axes, up, "$A$", (12.3, 5.4))
    _route(axes, [(4.45, 6.9), (9.5, 6.9)], r"$\log\,\pi$", (7.0, 7.1))
    gradient = "gradient of the loss"
    _route(axes, [(9.5, 6.6), (4.45, 6.6)], gradient, (7.3, 6.74), dashed=True)
    error = "gradient of $(\\hat q - R)^2 / 2$"
    back = [(10.9, 0.72), (10.9, 0.5), (8.35, 0.5)]
    _route(axes, back, error, (9.7, 0.25), dashed=True)
    return axes


def _box(
    axes: Axes, x: float, y: float, text: str, kind: str, width: float = 2.9
) -> Box:
    """Draw a box with this text around (x, y), and return it; one or two lines fit."""
    height = 0.95
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.15",
            facecolor=FAINT if kind == MODEL else "white",
            edgecolor=INK,
            linewidth=2.4 if kind == RESULT else 1.0,
            linestyle=(0, (4, 2)) if kind == COPY else "-",
            zorder=2,
        )
    )
    axes.text(x, y, text, ha="center", va="center", color=INK, fontsize=9, zorder=3)
    return Box(x, y, width, height)


def _arrow(
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


def _route(
    axes: Axes,
    corners: list[tuple[float, float]],
    text: str = "",
    at: tuple[float, float] = (0.0, 0.0),
    dashed: bool = False,
) -> None:
    """Draw an arrow that turns at the corners, with a text centred at its own place."""
    if corners:
        dash = (0, (4, 2)) if dashed else "-"
        x, y = zip(*corners[:-1], strict=True)
        axes.plot(x, y, color=INK, lw=1.3, ls=dash, zorder=1)
        _arrow(axes, corners[-2], corners[-1], dashed=dashed)
    axes.text(*at, text, ha="center", va="center", color=INK, fontsize=9)
