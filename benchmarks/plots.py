"""Pictures of the benchmarks: arrays in, `Axes` out.

scaling_figure    time and memory of every panel, one row each
growth            one of its panels
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.scaling import Point
from mdp.looks import FAINT, GREY, INK, INSIDE, look

ROW_HEIGHT, WIDTH = 2.2, 8.0  # inches
ABOVE: dict[str, Any] = {
    **INSIDE,
    "loc": "lower left",
    "bbox_to_anchor": (-0.02, 1.0),
    "borderaxespad": 0,
    "fontsize": "small",
}


def scaling_figure(points: Sequence[Point]) -> Figure:
    """Draw time and peak memory against size, one row of two panels for each panel."""
    panels = list(dict.fromkeys(point.panel for point in points))
    figure = Figure((WIDTH, ROW_HEIGHT * len(panels) + 0.3), layout="constrained")
    rows = figure.subplots(len(panels), 2, squeeze=False)
    for (left, right), panel in zip(rows, panels, strict=True):
        mine = [p for p in points if p.panel == panel and not p.measured.problem]
        for nth, name in enumerate(dict.fromkeys(point.curve for point in mine)):
            curve = [point for point in mine if point.curve == name]
            sizes = np.array([point.size for point in curve])
            measured = [point.measured for point in curve]
            seconds = np.array([each.seconds for each in measured], float)
            memory = np.array([each.peak_gb for each in measured], float)
            amount = measured[-1].amount or 0.0
            rate = f"{short(amount / seconds[-1])} {curve[-1].unit}/s"
            growth(left, sizes, seconds, nth, label=f"{name}: {rate}")
            growth(right, sizes, memory, nth)
        if mine:
            power = mine[-1].power
            proportional(left, mine[-1].size, mine[-1].measured.seconds or 1.0, power)
            empty_process(right, min(p.measured.before_gb or np.nan for p in mine))
        for axes, name in ((left, "seconds"), (right, "peak memory, GB")):
            few_decades(axes).set(xlabel=panel, ylabel=name)
        left.legend(**ABOVE)
    return figure


def growth(
    axes: Axes,
    sizes: Float[np.ndarray, "n"],
    costs: Float[np.ndarray, "n"],
    series: int,
    label: str | None = None,
) -> Axes:
    """Draw one cost against size, both on logarithmic axes."""
    axes.loglog(sizes, costs, label=label, **look(series, marked=True))
    axes.grid(color=FAINT, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=6))
        axis.set_minor_formatter(NullFormatter())
    return axes


def proportional(axes: Axes, size: float, cost: float, power: float) -> Axes:
    """Draw the line through one point on which a cost grows as a power of the size."""
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    sizes = np.array([low, high])
    line: dict[str, Any] = {"color": GREY, "lw": 1.2, "zorder": 0}
    axes.plot(sizes, cost * (sizes / size) ** power, **line)
    axes.set(xlim=(low, high), ylim=(bottom, top))
    return axes


def empty_process(axes: Axes, memory: float) -> Axes:
    """Draw the memory of a process that has imported everything, and computed nothing.

    It is the floor of every curve.
    """
    axes.axhline(memory, color=INK, lw=0.8, ls=":")
    return axes


def few_decades(axes: Axes) -> Axes:
    """Label 1, 2 and 5 of every decade on an axis that shows less than two decades."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        if high < 100 * low:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
    return axes


def short(number: float) -> str:
    """Return a number in short form, such as 38k or 2.1M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return (
                f"{number / size:.2g}{unit}"
                if number < 10 * size
                else (f"{number / size:.0f}{unit}")
            )
    return f"{number:.0f}"
