"""The picture of a sick run: its curves together with those of a healthy one."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mdp.plots import LINES

Curves = Mapping[str, Sequence[float]]


def figure(title: str, healthy: Curves, sick: Curves) -> Figure:
    """A figure with a panel for each curve, in the order of the healthy run."""
    page = Figure(figsize=(12.0, 5.6), layout="constrained")
    panels = page.subplots(2, -(-len(healthy) // 2), squeeze=False).ravel()
    for panel in panels[len(healthy) :]:
        panel.set_axis_off()
    for panel, (name, curve) in zip(panels, healthy.items(), strict=False):
        plot_pair(panel, name, curve, sick[name])
    handles, labels = panels[0].get_legend_handles_labels()
    page.legend(handles, labels, loc="lower right", fontsize="x-large", frameon=False)
    page.suptitle(title, weight="bold")
    return page


def plot_pair(
    ax: Axes, name: str, healthy: Sequence[float], sick: Sequence[float]
) -> Axes:
    """Plot one curve of both runs, update by update; extreme values are cut off."""
    ax.plot(healthy, color=LINES[0], lw=1.4, label="a healthy run")
    ax.plot(sick, color=LINES[1], lw=1.8, label="the sick run")
    both = np.concatenate([healthy, sick])
    low, high = np.quantile(both[np.isfinite(both)], [0.03, 0.99])
    room = 0.08 * (high - low) or 0.1
    ax.set_ylim(low - room, high + room)
    ax.set_title(name, loc="left")
    ax.set_xlabel("updates")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#DDDDDD", lw=0.6)
    return ax
