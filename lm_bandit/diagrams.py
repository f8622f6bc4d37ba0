"""Diagrams of RLHF: boxes and arrows, drawn by code. `Axes` in, `Axes` out.

    draw_three_steps       what each step of RLHF reads, and what it makes

A white box is data, a grey one is a model, and a box with a thick edge is a result that
a later step uses. Widths and heights are in units of the axes.

Source: Ouyang et al. (2022), figure 2, for the three steps.
"""

from itertools import pairwise
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from mdp.looks import FAINT, INK

DATA, MODEL, RESULT = "data", "model", "result"  # the kinds of boxes


class Box(NamedTuple):
    """A box of a diagram: its middle and its size, in units of the axes."""

    x: float
    y: float
    width: float
    height: float


def draw_three_steps(axes: Axes) -> Axes:
    """Draw the three steps of RLHF, one a column, and what each hands to the next.

    Source: Ouyang et al. (2022), figure 2.
    """
    axes.set(xlim=(0.3, 12.6), ylim=(0, 7.4))
    axes.set_axis_off()
    titles = ("Step 1: SFT", "Step 2: reward model", "Step 3: PPO")
    for x, title in zip((2, 6, 10), titles, strict=True):
        axes.text(x, 7.1, title, ha="center", va="center", color=INK, weight="bold")
    axes.vlines((4, 8), 0.6, 7.4, color=FAINT, lw=1.2)

    prompts = [_box(axes, x, 6.1, "prompts", DATA) for x in (2, 6, 10)]
    written = _box(axes, 2, 4.5, "people write\ndemonstrations", DATA)
    pairs = _box(axes, 6, 4.5, "the SFT model writes\npairs of completions", MODEL)
    policy = _box(axes, 10, 4.5, "the policy writes\ncompletions", MODEL)
    pretrained = _box(axes, 2, 2.9, "the pretrained model\nlearns from them", MODEL)
    compared = _box(axes, 6, 2.9, "people say which\none is better", DATA)
    scored = _box(axes, 10, 2.9, "the reward model scores\nthem, less β KL", MODEL)
    sft = _box(axes, 2, 1.2, "SFT model", RESULT)
    reward_model = _box(axes, 6, 1.2, "reward model", RESULT)
    tuned = _box(axes, 10, 1.2, "tuned model", RESULT)

    columns = (
        (prompts[0], written, pretrained, sft),
        (prompts[1], pairs, compared, reward_model),
        (prompts[2], policy, scored, tuned),
    )
    for column in columns:
        for above, below in pairwise(column):
            _arrow(axes, _bottom(above), _top(below))
    # From one step to the next.
    _arrow(axes, _right(sft), _left(pairs), bend=-0.15)
    _arrow(axes, _right(reward_model), _left(scored), bend=-0.15)
    _arrow(axes, _right(scored, 0.2), _right(policy, -0.2), bend=0.6)
    axes.text(11.95, 3.7, "PPO", ha="left", va="center", color=INK, style="italic")
    start = "The reward model and the policy both start as a copy of the SFT model."
    axes.text(6, 0.2, start, ha="center", va="center", color=INK, style="italic")
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
) -> None:
    """Draw an arrow between two points, bent to one side by this share of its length.

    A positive bend goes to the right of somebody who walks from start to end.
    """
    style: dict[str, Any] = {"arrowstyle": "-|>", "color": INK, "lw": 1.3}
    style |= {"shrinkA": 1, "shrinkB": 1}
    style["connectionstyle"] = f"arc3,rad={bend}"
    axes.annotate("", end, start, arrowprops=style, zorder=4)


def _top(box: Box) -> tuple[float, float]:
    return box.x, box.y + box.height / 2


def _bottom(box: Box) -> tuple[float, float]:
    return box.x, box.y - box.height / 2


def _left(box: Box, up: float = 0.0) -> tuple[float, float]:
    return box.x - box.width / 2, box.y + up


def _right(box: Box, up: float = 0.0) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + up
