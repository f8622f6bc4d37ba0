"""The picture of a sick run: its curves together with those of a healthy one."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mdp.looks import BELOW, BLUE, FAINT, ORANGE, look

Curves = Mapping[str, Sequence[float]]


def figure(title: str, healthy: Curves, sick: Curves) -> Figure:
    """A figure with a panel for each curve, in the order of the healthy run."""
    page = Figure(figsize=(12.0, 6.0), layout="constrained")
    panels = page.subplots(2, -(-len(healthy) // 2), squeeze=False).ravel()
    for panel in panels[len(healthy) :]:
        panel.set_axis_off()
    for panel, (name, curve) in zip(panels, healthy.items(), strict=False):
        plot_pair(panel, name, curve, sick[name])
    handles, labels = panels[0].get_legend_handles_labels()
    page.legend(handles, labels, ncols=2, fontsize="x-large", **BELOW)
    page.suptitle(title, weight="bold")
    return page


def plot_pair(
    ax: Axes, name: str, healthy: Sequence[float], sick: Sequence[float]
) -> Axes:
    """Plot one curve of both runs, update by update; extreme values are cut off."""
    ax.plot(healthy, label="a healthy run", **look(BLUE))
    ax.plot(sick, label="the sick run", **look(ORANGE))
    both = np.concatenate([healthy, sick])
    low, high = np.quantile(both[np.isfinite(both)], [0.03, 0.99])
    # A curve that varies only in its last digits is drawn as a straight line.
    room = 0.08 * (high - low) if high - low > 1e-5 else 0.1
    ax.set_ylim(low - room, high + room)
    ax.set(xlabel="updates", ylabel=name)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=FAINT, lw=0.6)
    return ax
