"""Pictures of a run. Values in, `Axes` out; nothing is shown or saved here.

    run_figure             the learned and the gold reward of an exact run, by KL
    estimated_run_figure   the same of a run that was only sampled
    reward_kl, gold_kl     one of its panels each
    optimum_figure         the optimum for one beta: on the frontier, and its words
    name_ends, name_points, few_ticks    names and ticks that do not overlap

Colours, dashes and markers are those of `mdp/looks.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullLocator

from lm_bandit.oracle.exact import Value
from mdp.looks import BELOW, BLUE, GREEN, GREY, INK, INSIDE, ORANGE, dots, look

KL_LABEL = r"KL$(\pi\,||\,\pi_{ref})$, nats per completion"
LEARNED_LABEL = "learned reward (deviations of the reference)"
GOLD_LABEL = "gold reward (sum of the raters' means)"
REFERENCE_LABEL = r"SFT, $\pi_{ref}$"
_REFERENCE = {**dots(ORANGE), "ms": 9, "clip_on": False, "zorder": 5}

HALO = [withStroke(linewidth=2.5, foreground="white")]  # of texts on lines

Values = Sequence[Value]
Course = Sequence[tuple[int, Value]]  # the value after each of some updates of PPO


def run_figure(
    frontier: Values, path: Course, optimum: Value, kl_weight: float, share: float
) -> Figure:
    """Draw a run: the learned reward that PPO raises, and the gold reward.

    Args:
        frontier: the optimum for each of many values of beta.
        path: the policy's value after some updates of PPO, the first after 0.
        optimum: for the beta of the run.
        kl_weight: beta.
        share: (J - J_ref) / (J* - J_ref) at the end of the path.
    """
    figure, (left, right) = _two_panels()
    reward_kl(left, frontier, path, optimum, kl_weight)
    gold_kl(right, frontier, path, optimum)
    left.set_title(f"What PPO raises: {share:.1%} of the way to the optimum")
    right.set_title("What the raters wanted")
    _add_legend(figure, left)
    return figure


def reward_kl(
    axes: Axes, frontier: Values, path: Course, optimum: Value, kl_weight: float
) -> Axes:
    """Draw PPO's path in the plane of KL and learned reward, under the frontier.

    No policy lies above the frontier. The optimum for this beta is where a line of
    slope beta, along which J is constant, touches it.
    Source: Gao et al. (2022) for the plane; Ziegler et al. (2019), eq. 2, for J.
    """
    start, values = path[0][1], [value for _, value in path]
    kl, best = _columns([start, *frontier], "kl", "learned")
    low = min(value.learned for value in values)
    span = best.max() - low
    right = max(kl.max(), *(value.kl for value in values), optimum.kl + 1.2)
    # At any price, no policy gains more than the best reward.
    kl, best = np.append(kl, right), np.append(best, best.max())
    axes.set(ylim=(low - 0.08 * span, best.max() + 0.12 * span), xlim=(0, right))
    axes.plot(kl, best, color=INK, lw=2, label="exact frontier", zorder=1)
    axes.fill_between(kl, best, best.max() + span, color=GREY, alpha=0.25, lw=0)
    near = np.array([max(optimum.kl - 1.2, 0.0), optimum.kl + 1.2])
    tangent = optimum.objective + kl_weight * near
    label = rf"$J = J^*$ (slope $\beta$ = {kl_weight:g})"
    axes.plot(near, tangent, label=label, **look(GREEN))
    axes.set(xlabel=KL_LABEL, ylabel=LEARNED_LABEL)
    style: dict[str, Any] = {"style": "italic", "color": INK, "va": "top"}
    axes.text(0.03, 0.96, "out of reach", transform=axes.transAxes, **style)
    _draw_path(axes, path, optimum, "learned")
    return axes


def gold_kl(axes: Axes, frontier: Values, path: Course, optimum: Value) -> Axes:
    """Draw the same policies in the plane of KL and gold reward."""
    kl, gold = _columns([path[0][1], *frontier], "kl", "gold")
    axes.plot(kl, gold, color=INK, lw=2, label="policies of the frontier", zorder=1)
    axes.set(xlabel=KL_LABEL, ylabel=GOLD_LABEL, xlim=(0, None))
    _draw_path(axes, path, optimum, "gold")
    return axes


def optimum_figure(
    frontier: Values,
    optimum: Value,
    kl_weight: float,
    words: Mapping[str, tuple[float, float]],
) -> Figure:
    """Draw the optimum for one beta: its place on the frontier, and what it says.

    Args:
        frontier: the optimum for each of many values of beta.
        optimum: the value of pi* for this beta.
        kl_weight: beta, the slope of the frontier at the optimum.
        words: probability as the first word under the reference, and under pi*.
    """
    figure, (left, right) = _two_panels()
    kl, learned = _columns(frontier, "kl", "learned")
    left.plot(kl, learned, color=INK, lw=2, label="exact frontier")
    near = optimum.kl + 0.15 * kl.max() * np.array([-1.0, 1.0])
    tangent = optimum.objective + kl_weight * near
    left.plot(near, tangent, label=rf"slope $\beta$ = {kl_weight:g}", **look(GREEN))
    place = optimum.kl, optimum.learned
    left.plot(*place, "*", color=GREEN, ms=16, label=r"$\pi^*$")
    margin = 0.08 * np.ptp(learned)
    left.set(ylim=(learned.min() - margin, learned.max() + margin))
    left.set(xlim=(-0.02 * kl.max(), kl.max()), xlabel=KL_LABEL, ylabel="mean reward")
    left.legend(loc="lower right", **INSIDE)
    rows, probs = range(len(words)), np.array(list(words.values()))
    right.plot(probs[:, 0], rows, label=REFERENCE_LABEL, **dots(BLUE))
    right.plot(probs[:, 1], rows, label=r"$\pi^*$", **dots(ORANGE))
    right.set_yticks(rows, list(words))
    right.grid(axis="y", alpha=0.4)
    right.set(xlabel="probability as the first word", ylabel="first word")
    right.set_xlim(-0.02, 1.02)
    right.legend(loc="lower right", **INSIDE)
    return figure


def estimated_run_figure(
    updates: Sequence[int],
    means: Float[np.ndarray, "n 3"],
    errors: Float[np.ndarray, "n 3"],
) -> Figure:
    """Draw a run that was only sampled, with error bars.

    Args:
        updates: of PPO, before each of n estimates.
        means: KL by k1, learned and gold reward.
        errors: the standard errors of the means.
    """
    figure, panels = _two_panels()
    figure.suptitle("Estimates from samples, ± 2 standard errors: no frontier is known")
    style = {**look(BLUE, marked=True), "lw": 1.2, "capsize": 2}
    kl = means[:, 0]
    for i, name in enumerate((LEARNED_LABEL, GOLD_LABEL), start=1):
        axes, reward = panels[i - 1], means[:, i]
        label = "PPO, estimated at each dot"
        x_error, y_error = 2 * errors[:, 0], 2 * errors[:, i]
        axes.errorbar(kl, reward, y_error, x_error, label=label, **style)
        axes.plot(kl[0], reward[0], label=REFERENCE_LABEL, **_REFERENCE)
        axes.set(xlabel=KL_LABEL, ylabel=name)
        _number_dots(axes, updates, kl, reward)
    _add_legend(figure, panels[0])
    return figure


def name_ends(axes: Axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """Write each line's name to the right of its end, moved up where they crowd.

    The limits of the axes must be set before.
    """
    to_pixels, dpi = _scale(axes)
    heights = {name: to_pixels(end)[1] for name, end in ends.items()}
    top = -np.inf  # of the names so far
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        half = dpi * 0.085 * (1 + name.count("\n"))
        at = max(height, top + half)
        top = at + half
        moved = (at - height) * 72 / dpi
        style: dict[str, Any] = {"color": INK, "va": "center", "annotation_clip": False}
        axes.annotate(name, ends[name], (9, moved), textcoords="offset points", **style)


def name_points(
    axes: Axes, names: Sequence[str], x: Sequence[float], y: Sequence[float]
) -> None:
    """Write a name beside each point, on the side that is furthest from all lines.

    The lines and the limits of the axes must be there before.
    """
    to_pixels, dpi = _scale(axes)
    taken = [_along(to_pixels(line.get_xydata())) for line in axes.lines]
    pixels = dpi / 72
    for name, *point in zip(names, x, y, strict=True):
        at, best = to_pixels(point), (-np.inf, np.zeros(2))
        half = np.array([3.2 * len(name), 5.0])  # of the text, in points
        for side in np.array([(1, -1), (1, 1), (-1, 1), (-1, -1), (0, -2), (0, 2)]):
            offset = side * (half + 4.0)
            corners = at + pixels * (offset + half * [[-1, 0], [0, 0], [1, 0]])
            gap = min(np.hypot(*(line - c).T).min() for line in taken for c in corners)
            gap = min(gap, 16.0 * pixels)  # more room is no better
            inside = axes.bbox.contains(*corners[0]) and axes.bbox.contains(*corners[2])
            best = max(best, (gap * inside, offset), key=lambda pair: pair[0])
        style: dict[str, Any] = {"color": INK, "ha": "center", "va": "center"}
        style |= {"textcoords": "offset points", "path_effects": HALO, "zorder": 8}
        dx, dy = best[1].tolist()
        axes.annotate(name, (point[0], point[1]), (dx, dy), **style)
        taken.append(at + pixels * (best[1] + half * [[-1, 0], [0, 0], [1, 0]]))


def few_ticks(axis: Axis) -> None:
    """Give a logarithmic axis few ticks, written as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def _two_panels() -> tuple[Figure, tuple[Axes, Axes]]:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure, (left, right)


def _draw_path(axes: Axes, path: Course, optimum: Value, name: str) -> None:
    """Draw PPO's path, from the reference, and the optimum around what lies on it."""
    kl, reward = _columns([value for _, value in path], "kl", name)
    style = {**look(BLUE, marked=True), "lw": 1.2}
    axes.plot(kl, reward, label="PPO, exact at each dot", **style)
    axes.plot(kl[0], reward[0], label=REFERENCE_LABEL, **_REFERENCE)
    best = optimum.kl, getattr(optimum, name)
    axes.plot(*best, "*", mfc="none", label=r"$\pi^*$", color=GREEN, ms=17, mew=1.8)
    _number_dots(axes, [update for update, _ in path], kl, reward)


def _number_dots(
    axes: Axes,
    updates: Sequence[int],
    kl: Float[np.ndarray, "n"],
    reward: Float[np.ndarray, "n"],
) -> None:
    """Write the number of updates beside each dot, but for the reference."""
    numbers = [str(update) for update in updates]
    name_points(axes, numbers[1:], kl[1:].tolist(), reward[1:].tolist())


def _add_legend(figure: Figure, axes: Axes) -> None:
    """Put the names of the lines of these axes below the figure."""
    lines, names = axes.get_legend_handles_labels()
    figure.legend(lines, names, ncols=len(names), **BELOW)


def _scale(axes: Axes) -> tuple[Callable[..., np.ndarray], float]:
    """Return the function from data to pixels, and the pixels of an inch.

    The layout is settled only when a figure is drawn, which takes time; before, the
    sizes of the axes are nearly right, and good enough to see what lies where.
    """
    axes.get_xlim(), axes.get_ylim()  # fits the limits to the data
    figure: Any = axes.figure
    return axes.transData.transform, figure.dpi


def _along(line: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Return points that lie close to each other on a line, or on its one point."""
    place = np.linspace(0, len(line) - 1, 20 * len(line))
    return np.stack([np.interp(place, range(len(line)), x) for x in line.T], -1)


def _columns(values: Values, *names: str) -> tuple[Float[np.ndarray, "n"], ...]:
    """Return one array for each of these fields of the values."""
    return tuple(np.array([getattr(value, name) for value in values]) for name in names)
