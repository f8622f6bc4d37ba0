"""Pictures: arrays in, matplotlib's Axes out. Showing and saving is up to the caller.

    draw_values, draw_policy, draw_path    on a grid: heat map, arrows, a line
    animate_sweeps                         a heat map, sweep by sweep
    plot_values, plot_policy               of states of any kind
    draw_solution                          values and policy together, as fits
    plot_residuals, plot_learning          how a solver settles, how learners learn

The first four are in mdp.worlds.plots. As there, a value of NaN and a row of zeros in a
policy stand for a state that is of no concern.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from mdp.worlds.plots import (
    EDGE,
    INK,
    animate_sweeps,
    draw_path,
    draw_policy,
    draw_values,
    number_format,
)
from mdp.worlds.world import Drawing

__all__ = [
    "animate_sweeps",
    "draw_path",
    "draw_policy",
    "draw_solution",
    "draw_values",
    "plot_learning",
    "plot_policy",
    "plot_residuals",
    "plot_values",
]

# Okabe & Ito (2008), "Color universal design": told apart by every kind of eye.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", (0, (3, 1, 1, 1, 1, 1)))


def plot_values(
    values: Mapping[str, Float[np.ndarray, "S"]],
    states: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """A point for each state and estimate, over the states' numbers or names."""
    ax = _plain(ax, "state", "value")
    for i, (name, estimate) in enumerate(values.items()):
        few = len(estimate) <= 50
        look = _line(i) if few else {**_line(i), "ls": ""}
        ax.plot(estimate, marker="o" if few else ".", label=name, **look)
    ax.margins(y=0.15)
    if len(values) > 1:
        ax.legend(frameon=False)
    elif len(estimate) <= 12:
        known = np.flatnonzero(np.isfinite(estimate))
        written = number_format(estimate[known])
        place = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
        for state in known:
            point = (state, estimate[state])
            ax.annotate(written.format(estimate[state]), point, **place)
    _name_states(ax, states)
    return ax


def plot_policy(
    policy: Float[np.ndarray, "S A"],
    actions: Sequence[str],
    states: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """A dot for each action that is taken, the larger the more often."""
    ax = _plain(ax, "state", "action")
    state, action = np.nonzero(policy)
    room = min(8000 / len(policy), 2000 / len(actions), 120)
    sizes = np.maximum(room * policy[state, action], 4)
    ax.scatter(state, action, sizes, color=LINES[0], linewidths=0, zorder=3)
    every = -(-len(actions) // 12)
    ax.set_yticks(range(0, len(actions), every), list(actions)[::every])
    ax.set_ylim(-0.6, len(actions) - 0.4)
    _name_states(ax, states)
    return ax


def draw_solution(
    values: Float[np.ndarray, "S"],
    policy: Float[np.ndarray, "S A"],
    actions: Sequence[str],
    drawing: Drawing = (),
    states: Sequence[str] = (),
) -> tuple[Axes, Axes]:
    """Values and policy in one figure: on the grid, or else state by state."""
    if drawing:
        height, width = len(drawing), len(drawing[0])
        stacked = width > 1.5 * height
        cell = min(0.85, 7 / height, 10 / width)
        size = (cell * width * (2 - stacked) + 0.6, cell * height * (1 + stacked) + 0.8)
        shape = (2, 1) if stacked else (1, 2)
        axes = plt.subplots(*shape, figsize=size, layout="constrained")[1]
        draw_values(values, drawing, axes[0])
        draw_policy(policy, drawing, actions, axes[1])
    else:
        axes = plt.subplots(2, figsize=(8, 7), sharex=True, layout="constrained")[1]
        plot_values({"values": values}, states, axes[0]).set_xlabel("")
        plot_policy(policy, actions, states, axes[1])
    axes[0].set_title("values")
    axes[1].set_title("policy")
    return tuple(axes)


def plot_residuals(
    residuals: Mapping[str, Float[np.ndarray, "_"]], ax: Axes | None = None
) -> Axes:
    """The largest change of a value in each sweep, by solver, on a logarithmic scale.

    A straight line is a constant factor a sweep. Sweeps that changed nothing have no
    place on it.
    """
    ax = _plain(ax, "sweep", "largest change of a value")
    for i, (name, changes) in enumerate(residuals.items()):
        sweeps = np.flatnonzero(changes)
        marker = "o" if len(changes) <= 40 else ""
        ax.semilogy(1 + sweeps, changes[sweeps], marker=marker, label=name, **_line(i))
    ax.legend(frameon=False)
    return ax


def plot_learning(
    returns: Mapping[str, Float[np.ndarray, "learners episodes"]],
    optimum: float | None = None,
    window: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """The mean return by episode and algorithm, and the exact optimum as a line.

    Each learner's return is averaged over `window` episodes up to this one. The bands
    are 1.96 standard errors of the mean over learners to either side: 95% confidence.
    """
    ax = _plain(ax, "episode", f"return, mean of {window} episodes")
    means = [[] if optimum is None else [optimum]]
    for i, (name, lived) in enumerate(returns.items()):
        recent = np.lib.stride_tricks.sliding_window_view(lived, window, 1).mean(-1)
        episode = np.arange(window, window + recent.shape[1])
        means.append(recent.mean(0))
        ax.plot(episode, means[-1], label=name, **_line(i))
        if len(recent) > 1:
            band = 1.96 * recent.std(0, ddof=1) / np.sqrt(len(recent))
            low, high = means[-1] - band, means[-1] + band
            ax.fill_between(
                episode, low, high, color=_line(i)["color"], alpha=0.2, lw=0
            )
    if optimum is not None:
        ax.axhline(optimum, color=INK, ls=":", label=f"optimum {optimum:.4g}")
    # The first, blind episodes would press all the rest against the upper edge.
    low, high = np.quantile(np.concatenate(means), [0.05, 1])
    margin = 0.06 * (high - low) or 1.0
    ax.set_ylim(low - margin, high + margin)
    ax.legend(frameon=False, loc="lower right")
    return ax


def _plain(ax: Axes | None, x: str, y: str) -> Axes:
    """Axes with labels and a faint grid, and no more frame than they need."""
    if ax is None:
        ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")[1]
    ax.set(xlabel=x, ylabel=y)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=EDGE, lw=0.6, alpha=0.6)
    return ax


def _name_states(ax: Axes, states: Sequence[str]) -> None:
    """Names on the axis of states, if they are few enough to be read."""
    if 0 < len(states) <= 20:
        ax.set_xticks(range(len(states)), states)


def _line(i: int) -> dict:
    """The look of the i-th line: neighbours differ in colour and in dashes."""
    return {"color": LINES[i % len(LINES)], "ls": DASHES[i % len(DASHES)], "lw": 1.8}
