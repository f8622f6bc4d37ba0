"""Pictures of a comparison. Results in, `Axes` out; nothing is shown or saved here."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lm_bandit.alternatives.comparison import (
    MethodComparison,
    regrets,
    shares,
    split_of_median,
)
from lm_bandit.oracle.exact import Value
from lm_bandit.plots import HALO, KL_LABEL, LEARNED_LABEL, few_ticks, name_ends
from mdp.looks import BELOW, GREY, INK, INSIDE, Look, look

LEAST_RATIO = 1.6  # of neighbouring ticks on a logarithmic axis

Looks = dict[str, Look]  # of each method


def comparison_figure(results: MethodComparison) -> Figure:
    """Draw the paths under the frontier, the regret, and its two parts."""
    figure = Figure(figsize=(12.5, 7.2), layout="constrained")
    panels = figure.subplot_mosaic(
        [["paths", "regrets"], ["paths", "parts"]],
        width_ratios=(1.25, 1),
        height_ratios=(1.25, 1),
    )
    looks = {name: look(i, marked=True) for i, name in enumerate(results.runs)}
    draw_paths(panels["paths"], results, looks)
    draw_regrets(panels["regrets"], results, looks)
    draw_parts(panels["parts"], results, looks)
    titles = {
        "paths": "Every method's path, under the best that can be had",
        "regrets": "What is left to the optimum",
        "parts": "Why: another target, or not there yet",
    }
    for name, axes in panels.items():
        axes.set_title(titles[name], loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    lines, names = panels["paths"].get_legend_handles_labels()
    figure.legend(lines, names, ncols=-(-len(names) // 2), **BELOW)
    return figure


def draw_paths(axes: Axes, results: MethodComparison, looks: Looks) -> Axes:
    """Draw each method's median path over the seeds, and each seed's as a thin line.

    Known values are medians over the starts.
    """
    start = _median([each.reference for each in results.starts])
    optimum = _median([each.optimum for each in results.starts])
    paths = {
        name: np.array(
            [
                _points([each.reference, *path])
                for each, path in zip(results.starts, runs.values, strict=True)
            ]
        )
        for name, runs in results.runs.items()
    }
    medians = {name: np.median(points, 0) for name, points in paths.items()}
    right = 1.1 * max(optimum.kl, *(path[:, 0].max() for path in medians.values()))
    frontiers = [_points([each.reference, *each.frontier]) for each in results.starts]
    kl, learned = np.median(frontiers, axis=0).T
    span = learned[-1] - start.learned
    top = learned[-1] + 0.12 * span
    # At any price, no policy gains more than the best reward.
    kl, learned = [*kl, kl[-1] + right], [*learned, learned[-1]]
    has_one = all(each is results.starts[0] for each in results.starts)
    which = "" if has_one else ", median start"
    axes.plot(kl, learned, color=INK, lw=2, zorder=1, label=f"exact frontier{which}")
    axes.fill_between(kl, learned, top, color=GREY, alpha=0.25, lw=0)
    best_of_n = [_points(v for _, v in each.best_of_n) for each in results.starts]
    points = np.median(best_of_n, axis=0)
    axes.plot(*points.T, label="best of n", **look(GREY, marked=True))
    for name, style in looks.items():
        for path in paths[name]:
            axes.plot(*path.T, color=style["color"], lw=0.6, alpha=0.3, zorder=2)
        axes.plot(*medians[name].T, label=name, zorder=4, **style)
    _name_points(axes, start, optimum, top, f"out of reach{which}")
    axes.set(xlim=(0, right), ylim=(start.learned - 0.08 * span, top))
    axes.set(xlabel=KL_LABEL, ylabel=LEARNED_LABEL)
    return axes


def _name_points(
    axes: Axes, start: Value, optimum: Value, top: float, beyond: str
) -> None:
    """Mark and name SFT, the optimum, and what no policy reaches."""
    axes.plot(optimum.kl, optimum.learned, "*", color=INK, ms=17, mfc="none", zorder=6)
    axes.plot(start.kl, start.learned, "o", color=INK, ms=8, zorder=5, clip_on=False)
    beside: dict[str, Any] = {"textcoords": "offset points", "color": INK, "zorder": 7}
    beside["path_effects"] = HALO
    axes.annotate("optimum", (optimum.kl, optimum.learned), (-4, 10), **beside)
    axes.annotate("SFT", (start.kl, start.learned), (9, -4), **beside)
    axes.annotate(beyond, (0, top), (10, -16), style="italic", **beside)


def draw_parts(axes: Axes, results: MethodComparison, looks: Looks) -> Axes:
    """Draw the regret of each method's median run: two bars, one after the other.

    The upper bar ends at the method's own optimum, and the lower one leads from there
    to the regret, which is marked. It leads back where the run stopped above its own
    optimum. A method whose own optimum is not known has a mark only.
    """
    for row, (name, style) in enumerate(looks.items()):
        regret = 100 * (1.0 - float(np.median(shares(results, name)[:, -1])))
        parts = split_of_median(results, name)
        if parts is not None:
            away, left = (100 * part for part in parts)
            bar = {"height": 0.3, "edgecolor": style["color"], "lw": 1.2}
            axes.barh(row - 0.17, away, color=style["color"], **bar)
            axes.barh(row + 0.17, left, left=away, color="none", hatch="////", **bar)
        axes.plot(regret, row, style["marker"], color=INK, mfc="white", ms=6, zorder=3)
    axes.set_yticks(range(len(looks)), list(looks))
    axes.invert_yaxis()
    axes.axvline(0.0, color=INK, lw=0.8)
    handles = [
        Patch(color=GREY, label="another target"),
        Patch(fc="none", ec=INK, hatch="////", label="not there yet"),
    ]
    axes.legend(handles=handles, loc="best", **INSIDE)
    axes.set_xlabel("regret of the median run, % of the way to the optimum")
    axes.set_ylabel("method")
    return axes


def draw_regrets(axes: Axes, results: MethodComparison, looks: Looks) -> Axes:
    """Draw J* - J over completions pulled: the median run, and the range of all."""
    ends = {}
    for name, style in looks.items():
        pulled = results.runs[name].completions
        regret = regrets(results, name)
        median = np.median(regret, 0)
        low, high = regret.min(0), regret.max(0)
        axes.fill_between(pulled, low, high, color=style["color"], alpha=0.1, lw=0)
        axes.plot(pulled, median, **style)
        ends[name] = float(pulled[-1]), float(median[-1])
    start = float(
        np.median([x.optimum.objective - x.reference.objective for x in results.starts])
    )
    axes.axhline(start, color=INK, lw=1.2, ls=":")
    where = axes.get_yaxis_transform()  # x in axes, y in data
    words: dict[str, Any] = {"transform": where, "color": INK, "path_effects": HALO}
    axes.text(0.02, start, "SFT", va="bottom", **words)
    axes.set(xscale="log", yscale="log")
    few_ticks(axes.yaxis)
    ticks = _apart({n for runs in results.runs.values() for n in runs.completions})
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    axes.set(xlabel="completions pulled", ylabel=r"regret $J^* - J(\pi)$")
    name_ends(axes, ends)
    return axes


def _apart(numbers: Iterable[int]) -> Sequence[int]:
    """Return those numbers whose labels have room beside each other, from the last."""
    kept: list[int] = []
    for number in sorted(numbers, reverse=True):
        if not kept or kept[-1] >= LEAST_RATIO * number:
            kept.append(number)
    return kept[::-1]


def _median(values: Sequence[Value]) -> Value:
    """Return the medians of each number."""
    return Value(*np.median(values, axis=0).tolist())


def _points(values: Iterable[Value]) -> np.ndarray:
    """Return the KL and the learned reward of each policy, [n, 2]."""
    return np.array([(value.kl, value.learned) for value in values])
