"""Pictures of a comparison. Results in, `Axes` out; nothing is shown or saved here."""

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_bandit.alternatives.comparison import MethodComparison, objectives
from lm_bandit.oracle.exact import Value
from lm_bandit.plots import BLUE, GREEN, GREY, INK, KL_LABEL, LEARNED_LABEL, ORANGE

COLOURS = (BLUE, "#E69F00", ORANGE, "#CC79A7", GREEN, "#56B4E9", "#8C6D31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

Looks = dict[str, tuple[str, str]]  # the colour and the marker of each method


def comparison_figure(results: MethodComparison) -> Figure:
    """Draw the paths of all methods under the frontier, and their regret."""
    figure = Figure(figsize=(12.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    looks = method_looks(results.runs)
    draw_paths(left, results, looks)
    draw_regrets(right, results, looks)
    left.set_title("Every method's path, under the best that can be had", loc="left")
    right.set_title("What is left to the optimum", loc="left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def method_looks(names: Iterable[str]) -> Looks:
    """Return a colour and a marker for each method; no two have both in common."""
    n = len(COLOURS)
    return {
        name: (COLOURS[i % n], MARKERS[(i + i // n) % n])
        for i, name in enumerate(names)
    }


def draw_paths(axes: Axes, results: MethodComparison, looks: Looks) -> Axes:
    """Draw each method's median path over the seeds, and each seed's as a thin line."""
    start, optimum = results.reference, results.optimum
    paths = {
        name: np.array([_points([start, *path]) for path in runs.values])
        for name, runs in results.runs.items()
    }
    medians = {name: np.median(points, 0) for name, points in paths.items()}
    right = 1.1 * max(optimum.kl, *(path[:, 0].max() for path in medians.values()))
    kl, learned = _points([start, *results.frontier]).T
    span = learned[-1] - start.learned
    top = learned[-1] + 0.12 * span
    # At any price, no policy gains more than the best reward.
    kl, learned = [*kl, kl[-1] + right], [*learned, learned[-1]]
    axes.plot(kl, learned, color=INK, lw=2, zorder=1, label="exact frontier")
    axes.fill_between(kl, learned, top, color=GREY, alpha=0.12, lw=0)
    best_of_n = _points(value for _, value in results.best_of_n)
    axes.plot(*best_of_n.T, ".:", color=GREY, lw=1.5, zorder=2, label="best of n")
    for name, (colour, marker) in looks.items():
        for path in paths[name]:
            axes.plot(*path.T, color=colour, lw=0.6, alpha=0.3, zorder=2)
        axes.plot(*medians[name].T, color=colour, marker=marker, ms=5, lw=1.8, zorder=4)
    axes.plot(optimum.kl, optimum.learned, "*", color="black", ms=15, zorder=6)
    axes.plot(start.kl, start.learned, "o", color="black", ms=7, zorder=5)
    beside: dict[str, Any] = {"textcoords": "offset points", "color": INK, "zorder": 7}
    axes.annotate(r"$\pi^*$", (optimum.kl, optimum.learned), (-4, 10), **beside)
    axes.annotate("the reference", (start.kl, start.learned), (9, -4), **beside)
    axes.annotate("nothing lies here", (0.03 * right, top), (0, -14), **beside)
    axes.legend(loc="lower right")
    axes.set(xlim=(-0.03 * right, right), ylim=(start.learned - 0.08 * span, top))
    axes.set(xlabel=KL_LABEL, ylabel=LEARNED_LABEL)
    return axes


def draw_regrets(axes: Axes, results: MethodComparison, looks: Looks) -> Axes:
    """Draw J* - J over completions pulled: the median run, and the range of all."""
    top = results.optimum.objective
    ends = {}
    for name, (colour, marker) in looks.items():
        pulled = results.runs[name].completions
        regret = top - objectives(results, name)
        median = np.median(regret, 0)
        low, high = regret.min(0), regret.max(0)
        axes.fill_between(pulled, low, high, color=colour, alpha=0.1)
        axes.plot(pulled, median, color=colour, marker=marker, ms=5, lw=1.8)
        ends[name] = float(pulled[-1]), float(median[-1])
    start = top - results.reference.objective
    axes.axhline(start, color=GREY, lw=1, ls="--")
    where = axes.get_yaxis_transform()  # x in axes, y in data
    axes.text(0.02, start, "the reference", va="bottom", color=INK, transform=where)
    axes.set(xscale="log", yscale="log")
    ticks = sorted({n for runs in results.runs.values() for n in runs.completions})
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    axes.set(xlabel="completions pulled", ylabel=r"regret $J^* - J(\pi)$")
    _label_ends(axes, ends, looks)
    return axes


def _label_ends(axes: Axes, ends: dict[str, tuple[float, float]], looks: Looks) -> None:
    """Write each line's name to the right of its end, moved apart where they crowd."""
    figure = cast(Figure, axes.figure)
    figure.draw_without_rendering()
    to_pixels = axes.transData.transform
    heights = {name: to_pixels(end)[1] for name, end in ends.items()}
    gap, last = figure.dpi * 0.17, -np.inf
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        last = max(height, last + gap)
        moved = (last - height) * 72 / figure.dpi
        axes.annotate(
            name,
            ends[name],
            (9, moved),
            textcoords="offset points",
            color=looks[name][0],
            va="center",
            annotation_clip=False,
        )


def _points(values: Iterable[Value]) -> np.ndarray:
    """Return the KL and the learned reward of each policy, [n, 2]."""
    return np.array([(value.kl, value.learned) for value in values])
