"""Pictures of a comparison: arrays in, matplotlib's Axes out; nothing is saved here.

    comparison_page      everything on one page
    plot_performance     J by environment steps, under the optimum
    plot_overall         the scores over all worlds, with their intervals
    plot_improvement     how often a run of one algorithm beats a run of another

Each algorithm has one colour, one dash and one marker in all panels.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mdp.looks import BELOW, FAINT, INK, Look, look
from policy_gradient.comparison.compare import Comparison, Reference
from policy_gradient.comparison.statistics import Estimate
from policy_gradient.comparison.summary import SHARE, Summary, curve

WIDTH = 3.6  # of a panel, in inches
ROOM = 2  # the range of J that is shown, in units of the largest final regret
COLUMNS = 3  # panels side by side at the most
LETTER = 0.085  # width of a letter of the legend, in inches
TICKS = 5  # on an axis at the most: their labels have room in a small panel


def comparison_page(comparison: Comparison, summary: Summary) -> Figure:
    """Return a figure: a panel for each world, and the statistics over all below."""
    looks = {name: look(i, marked=True) for i, name in enumerate(summary.overall)}
    rows = -(-len(comparison.references) // COLUMNS)
    columns = -(-len(comparison.references) // rows)
    below = 1.2 + 0.34 * len(looks)
    width = WIDTH * max(2, columns) + 1.2
    in_a_row = max(1, int(width / (1.0 + LETTER * max(map(len, looks)))))
    heights = [*[2.9] * rows, 0.3 * -(-len(looks) // in_a_row), below]
    page = plt.figure(figsize=(width, sum(heights)))
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
    lines, names = panels[0].get_legend_handles_labels()
    top.legend(lines, names, ncols=min(len(names), in_a_row), **BELOW)
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
    every = max(1, len(steps) // 6)
    for i, (name, (middle, low, high)) in enumerate(curves.items()):
        # Markers of lines that coincide stand at different steps.
        marked = (i % every, every)
        ax.plot(steps, middle, markevery=marked, label=name, **looks[name])
        ax.fill_between(steps, low, high, color=looks[name]["color"], alpha=0.18, lw=0)
    optimum = reference.optimum
    ax.axhline(optimum, color=INK, lw=1.2, ls=":", zorder=1)
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
    ax.xaxis.set_major_locator(MaxNLocator(TICKS))
    ax.yaxis.set_major_locator(MaxNLocator(TICKS))
    ax.xaxis.set_major_formatter(_short)
    return _plain(ax)


def plot_overall(
    ax: Axes,
    scores: Mapping[str, Estimate],
    greedy: Mapping[str, Estimate],
    looks: Mapping[str, Look],
) -> Axes:
    """Draw the scores of the sampling policies with intervals, and of the greedy.

    The greedy policy's marker is hollow, and stands below the other.
    """
    for row, (name, (value, low, high)) in enumerate(scores.items()):
        color, mark = looks[name]["color"], {**looks[name], "ls": "", "ms": 7}
        ax.plot([low, high], [row - 0.12] * 2, color=color, lw=5, alpha=0.35)
        ax.plot(value, row - 0.12, **mark)
        ax.plot(greedy[name].value, row + 0.22, mfc="white", **mark)
    ax.axvline(1, color=INK, lw=1.2, ls=":", zorder=1)
    numbered = [f"{name}  {i}" for i, name in enumerate(scores, start=1)]
    ax.set_yticks(range(len(scores)), numbered)
    ax.set_ylim(len(scores) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(TICKS - 2))
    ax.set(xlabel="score: sampling (filled),\ngreedy (hollow)", ylabel="algorithm")
    ax.set_title("all worlds", loc="left", weight="bold")
    return _plain(ax)


def plot_improvement(
    ax: Axes, names: Sequence[str], improvement: Mapping[str, Mapping[str, Estimate]]
) -> Axes:
    """Draw P(row > column) as a table, bold where the interval leaves out 1/2.

    Rows and columns have the numbers of the algorithms, as long names have no room.
    """
    size = len(names)
    table = np.full((size, size), np.nan)
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
                    color="white" if value > 0.6 else INK,
                    weight="bold" if differs else "normal",
                    fontsize="small",
                )
    ax.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(size), [str(1 + i) for i in range(size)])
    ax.set_yticks(range(size), [str(1 + i) for i in range(size)])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="loser", ylabel="winner")
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


def _short(steps: float, _: float | None) -> str:
    """Return a number of steps in thousands or millions."""
    unit, letter = (1e6, "M") if steps >= 1e6 else (1e3, "k")
    return f"{steps / unit:g}{letter}" if steps else "0"


def _plain(ax: Axes) -> Axes:
    """Give the axes a faint grid and only two sides of the frame."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=FAINT, lw=0.6)
    ax.set_axisbelow(True)
    return ax
