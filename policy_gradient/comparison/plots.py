"""Pictures of a comparison: arrays in, matplotlib's Axes out; nothing is saved here.

    comparison_page      everything on one page
    plot_performance     J by environment steps, under the optimum
    plot_overall         the scores over all worlds, with their intervals
    plot_improvement     how often a run of one algorithm beats a run of another

Each algorithm has one colour and one marker in all panels, so that the names beside the
scores are the legend of the curves.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mdp.plots import LINES
from policy_gradient.comparison.compare import Comparison, Reference
from policy_gradient.comparison.statistics import Estimate
from policy_gradient.comparison.summary import SHARE, Summary, curve

INK, FAINT = "#333333", "#DDDDDD"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDTH = 3.6  # of a panel, in inches
ROOM = 2  # the range of J that is shown, in units of the largest final regret
COLUMNS = 3  # panels side by side at the most

Look = dict[str, Any]  # matplotlib's settings of a line


def comparison_page(comparison: Comparison, summary: Summary) -> Figure:
    """Return a figure: a panel for each world, and the statistics over all below."""
    looks = _looks(summary.overall)
    rows = -(-len(comparison.references) // COLUMNS)
    columns = -(-len(comparison.references) // rows)
    below = 0.8 + 0.28 * len(looks)
    heights = [*[2.9] * rows, below]
    page = plt.figure(figsize=(WIDTH * max(2, columns) + 1.2, sum(heights)))
    page.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    top, bottom = page.subfigures(
        2, squeeze=False, height_ratios=(sum(heights[:-1]), below)
    ).ravel()
    panels = top.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(comparison.references) :]:
        panel.set_axis_off()
    for panel, (world, reference) in zip(
        panels, comparison.references.items(), strict=False
    ):
        curves = {
            name: curve(reference, comparison.judged[world][name].sampling)
            for name in looks
        }
        plot_performance(panel, comparison.budget.checkpoints, curves, reference, looks)
        panel.set_title(world.replace("_", " "), loc="left", weight="bold")
    left, right = bottom.subplots(1, 2)
    plot_overall(left, summary.overall, summary.overall_greedy, looks)
    plot_improvement(right, list(looks), summary.improvement)
    return page


def plot_performance(
    ax: Axes,
    steps: Sequence[int],
    curves: Mapping[str, Float[np.ndarray, "3 C"]],
    reference: Reference,
    looks: Mapping[str, Look],
) -> Axes:
    """Draw J by environment steps: interquartile means with 95% intervals as bands."""
    for name, (middle, low, high) in curves.items():
        every = max(1, len(steps) // 6)
        ax.plot(steps, middle, markevery=every, label=name, **looks[name])
        ax.fill_between(steps, low, high, color=looks[name]["color"], alpha=0.18, lw=0)
    optimum = reference.optimum
    ax.axhline(optimum, color=INK, lw=1, ls=(0, (4, 3)), zorder=1)
    ax.annotate(
        f"optimum {optimum:.4g}",
        (0, optimum),
        xytext=(3, 3),
        textcoords="offset points",
        color=INK,
        fontsize="small",
    )
    ax.set_ylim(*_limits([middle for middle, _, _ in curves.values()], reference))
    ax.set(xlabel="environment steps", ylabel="exact performance J")
    ax.set_xlim(0, steps[-1])
    ax.xaxis.set_major_formatter(_thousands)
    return _plain(ax)


def plot_overall(
    ax: Axes,
    scores: Mapping[str, Estimate],
    greedy: Mapping[str, Estimate],
    looks: Mapping[str, Look],
) -> Axes:
    """Draw the scores of the sampling policies with intervals, and of the greedy."""
    for row, (name, (value, low, high)) in enumerate(scores.items()):
        color, marker = looks[name]["color"], looks[name]["marker"]
        ax.plot([low, high], [row, row], color=color, lw=5, alpha=0.35)
        ax.plot(value, row, marker, color=color, ms=6)
        ax.plot(greedy[name].value, row, "|", color=INK, ms=12, mew=1.5)
    ax.axvline(1, color=INK, lw=1, ls=(0, (4, 3)), zorder=1)
    ax.set_yticks(range(len(scores)), list(scores))
    for label, name in zip(ax.get_yticklabels(), scores, strict=True):
        label.set_color(looks[name]["color"])
        label.set_fontweight("bold")
    ax.invert_yaxis()
    ax.set_ylim(len(scores) - 0.4, -0.6)
    ax.set_xlabel("score of sampling ( | : of greedy)")
    ax.set_title("all worlds", loc="left", weight="bold")
    return _plain(ax)


def plot_improvement(
    ax: Axes, names: Sequence[str], improvement: Mapping[str, Mapping[str, Estimate]]
) -> Axes:
    """Draw P(row > column) as a table, bold where the interval leaves out 1/2."""
    size = len(names)
    table = np.full((size, size), 0.5)
    for row, x in enumerate(names):
        for column, y in enumerate(names):
            if x != y:
                value, low, high = improvement[x][y]
                table[row, column] = value
                differs = not low <= 0.5 <= high
                ax.text(
                    column,
                    row,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    color="white" if abs(value - 0.5) > 0.33 else INK,
                    weight="bold" if differs else "normal",
                    fontsize="small",
                )
    ax.imshow(table, cmap="PuOr", vmin=0, vmax=1, aspect="auto", alpha=0.9)
    ax.set_xticks(range(size), names, rotation=30, ha="right", fontsize="small")
    ax.set_yticks(range(size), names, fontsize="small")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title("P(row beats column), %", loc="left", weight="bold")
    return ax


def _limits(
    middles: Sequence[Float[np.ndarray, "C"]], reference: Reference
) -> tuple[float, float]:
    """Return limits for J that show all runs that end above the uniform policy."""
    way = reference.optimum - reference.uniform
    regrets = [reference.optimum - middle[-1] for middle in middles]
    worst = max((regret for regret in regrets if regret < way), default=way)
    room = np.clip(ROOM * worst, (1 - SHARE) * way, way)
    return reference.optimum - 1.05 * room, reference.optimum + 0.12 * room


def _looks(names: Iterable[str]) -> dict[str, Look]:
    return {
        name: {
            "color": LINES[i % len(LINES)],
            "marker": MARKERS[i % len(MARKERS)],
            "ms": 4,
            "lw": 1.6,
        }
        for i, name in enumerate(names)
    }


def _thousands(steps: float, _: float | None) -> str:
    return f"{steps / 1000:g}k" if steps else "0"


def _plain(ax: Axes) -> Axes:
    """Give the axes a faint grid and only two sides of the frame."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=FAINT, lw=0.6)
    ax.set_axisbelow(True)
    return ax
