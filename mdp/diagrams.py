"""Diagrams of boxes and arrows, drawn by code. `Axes` in, `Axes` out.

    draw_loop            the agent acts, the environment answers, and so on
    draw_actor_critic    one step of actor and critic, with its numbers
    box, arrow, route    the parts of every diagram, also of the upper floors

White boxes are data, grey ones are fixed, a thick edge learns, and a dashed edge is a
copy. Widths and heights are in units of the axes.

Source: Sutton & Barto (2018), figure 3.1, for the loop, and p. 332 for the step.
"""

from itertools import pairwise
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


class ActorCriticStep(NamedTuple):
    """One action of an episode, and what actor and critic learn from it."""

    state: str  # names, as they are to be shown
    action: str
    next_state: str
    reward: float
    discount: float
    value: float  # v(S) before the step, and after it
    new_value: float
    next_value: float  # v(S')
    probability: float  # pi(A|S) before the step, and after it
    new_probability: float


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


def draw_actor_critic(axes: Axes, step: ActorCriticStep) -> Axes:
    """Draw one step of actor and critic: the TD error teaches both.

        delta = R + gamma v(S') - v(S)

    Source: Sutton & Barto (2018), p. 332, one-step actor-critic.
    """
    axes.set(xlim=(0, 12.4), ylim=(0, 4.9))
    axes.set_axis_off()
    seen = f"state $S$: {step.state}\n$v(S)$ = {step.value:.2f}"
    acted = f"actor: {step.action}\n$\\pi(A|S)$ = {step.probability:.2f}"
    came = f"next $S'$: {step.next_state}\n$v(S')$ = {step.next_value:.2f}"
    earned = f"environment\nreward $R$ = {step.reward:g}"
    boxes = [
        box(axes, 1.7, 4.2, seen),
        box(axes, 4.8, 4.2, acted, FIXED, 2.3),
        box(axes, 7.5, 4.2, earned, FIXED, 2.2),
        box(axes, 10.7, 4.2, came),
    ]
    for left, right in pairwise(boxes):
        arrow(
            axes,
            (left.x + left.width / 2, left.y),
            (right.x - right.width / 2, right.y),
        )
    delta = step.reward + step.discount * step.next_value - step.value
    terms = f"{step.reward:g} + {step.discount:g} · {step.next_value:.2f}"
    formula = r"TD error $\delta = R + \gamma\, v(S') - v(S)$"
    box(axes, 6.2, 2.4, f"{formula}\n{terms} - {step.value:.2f} = {delta:.2f}", width=5)
    route(axes, [(1.7, 3.72), (1.7, 2.4), (3.7, 2.4)])
    route(axes, [(7.5, 3.72), (7.5, 2.88)])
    route(axes, [(10.7, 3.72), (10.7, 2.4), (8.7, 2.4)])
    critic = r"critic: $v(S) \leftarrow v(S) + \alpha\, \delta$"
    values = f"{step.value:.2f} becomes {step.new_value:.2f}"
    box(axes, 3.2, 0.6, f"{critic}\n{values}", LEARNS, 4.4)
    actor = (
        r"actor: $\theta \leftarrow \theta + \alpha\, \delta\, \nabla \log\,\pi(A|S)$"
    )
    chances = f"{step.probability:.2f} becomes {step.new_probability:.2f}"
    box(axes, 9.2, 0.6, f"{actor}\n{chances}", LEARNS, 4.8)
    for x in (4.4, 8.0):
        route(axes, [(x, 1.92), (x, 1.08)], dashed=True)
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
