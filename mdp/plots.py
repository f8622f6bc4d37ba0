"""Pictures: arrays in, matplotlib's Axes out. The caller shows or saves them.

    draw_values, draw_policy, draw_path    on a grid: heat map, arrows, a line
    animate_sweeps                         a heat map, sweep by sweep
    plot_values, plot_policy               by state, for any kind of states
    draw_solution                          values and policy together
    plot_residuals, plot_learning          residuals of solvers, returns of learners

A grid is given by its `drawing`, a letter a cell, # for a wall (see mdp.worlds.world).
A value of NaN, and a row of zeros in a policy, mark a state that is left out.

The colours, dashes and markers of the series are those of `looks.py`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from mdp.looks import BESIDE, BLUE, FAINT, INK, ORANGE, dots, look
from mdp.worlds.world import MOVES, WALL, Cell, Drawing, cells

# The heat map keeps its order for every kind of eye, and in grey.
COLORMAP, ARROWS, PATH = "viridis", BLUE, ORANGE
EDGE, OVER, STONE = "#c9c9c6", "#e6e6e3", "#4a4a55"

# More cells than this have no room for numbers: a colour bar shows the values.
MOST_NUMBERS = 130

# The buttons of an animation as plain characters: matplotlib's own page fetches them.
BUTTONS = {
    **{"minus": r"\2212", "fast-backward": r"|\25C4\25C4", "step-backward": r"|\25C4"},
    **{"play": r"\25BA", "flip-horizontal": r"\25C4", "pause": "||"},
    **{"step-forward": r"\25BA|", "fast-forward": r"\25BA\25BA|", "plus": "+"},
}


def draw_values(
    values: Float[np.ndarray, "S"],
    drawing: Drawing,
    ax: Axes | None = None,
    *,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw values as a heat map with numbers; `limits` fix the ends of its scale."""
    ax = _grid(drawing, ax)
    known = values[np.isfinite(values)]
    low, high = limits or (known.min(), known.max())
    norm = Normalize(low, high if high > low else low + 1)
    heat = np.full((len(drawing), len(drawing[0])), np.nan)
    for cell, state in cells(drawing).items():
        heat[cell] = values[state]
    image = ax.imshow(heat, norm=norm, cmap=COLORMAP, zorder=0)
    many = heat.size > MOST_NUMBERS
    if many:
        ax.figure.colorbar(image, ax=ax, shrink=0.8, label="value")
    written = _number_format(np.array([*known, low, high]))
    for cell, state in cells(drawing).items():
        if np.isnan(values[state]):
            _leave_out(ax, drawing, cell)
        elif not many:
            ink = INK if norm(values[state]) > 0.5 else "white"
            _write(ax, cell, written.format(values[state] + 0.0), ink)
            _letter(ax, drawing, cell, ink)
    return ax


def draw_policy(
    policy: Float[np.ndarray, "S A"],
    drawing: Drawing,
    actions: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """Draw a policy as arrows, longer where more probable; other actions by name.

    Where names have no room, a colour shows the first of the most probable actions.
    """
    ax = _grid(drawing, ax)
    if len(drawing) * len(drawing[0]) > MOST_NUMBERS and not MOVES.keys() & {*actions}:
        return _map_actions(policy, drawing, actions, ax)
    arrows = []
    for cell, state in cells(drawing).items():
        taken = np.flatnonzero(policy[state]).tolist()
        if not taken:
            _leave_out(ax, drawing, cell)
            continue
        _letter(ax, drawing, cell, INK)
        names = "/".join(actions[a] for a in taken if actions[a] not in MOVES)
        if names:
            _write(ax, cell, names, INK, "medium" if len(drawing) < 12 else "x-small")
        for action in taken:
            if actions[action] in MOVES:
                down, right = MOVES[actions[action]]
                length = 0.42 * policy[state, action] / policy[state].max()
                # A single arrow is centred; several that tie meet in the middle.
                tail = -0.8 * length if len(taken) == 1 else 0.0
                x, y = cell[1] + tail * right, cell[0] + tail * down
                arrows.append((x, y, (length - tail) * right, (length - tail) * down))
    if arrows:
        ax.quiver(
            *np.transpose(arrows),
            color=ARROWS,
            zorder=3,
            width=0.05,
            headwidth=3.4,
            headlength=3.2,
            headaxislength=3,
            angles="xy",
            scale_units="xy",
            scale=1,
            units="xy",
        )
    return ax


def draw_path(
    states: Int[np.ndarray, "T"], drawing: Drawing, ax: Axes | None = None
) -> Axes:
    """Draw the path through these states, from a ring to a dot."""
    aside = 0.0 if ax is None else 0.27
    cell_of = {state: cell for cell, state in cells(drawing).items()}
    if ax is None:
        ax = _grid(drawing, None)
        for cell in cell_of.values():
            _letter(ax, drawing, cell, INK)
    # A white edge tells the path from a cell of the same lightness.
    edge = [withStroke(linewidth=5.5, foreground="white")]
    rows, columns = aside + np.transpose([cell_of[int(state)] for state in states])
    style: dict[str, Any] = {"color": PATH, "zorder": 4, "markersize": 12, "lw": 3}
    ax.plot(columns, rows, solid_joinstyle="round", path_effects=edge, **style)
    ax.plot(columns[:1], rows[:1], "o", mfc="white", mew=3, **style)
    ax.plot(columns[-1:], rows[-1:], "o", **style)
    return ax


def animate_sweeps(
    sweeps: Float[np.ndarray, "sweeps S"], drawing: Drawing, seconds: float = 0.4
) -> FuncAnimation:
    """Return an animation of the values on a grid, sweep by sweep, on one scale.

    `.to_jshtml()` returns a page with buttons: `IPython.display.HTML` shows it in a
    notebook, and written to a file it plays in any browser, also without a network.
    """
    # A layout computed anew for every frame would take time, and tremble.
    figure, place = plt.figure(figsize=_size(drawing)), (0.02, 0.02, 0.96, 0.89)
    limits = (np.nanmin(sweeps), np.nanmax(sweeps))

    def frame(sweep: int) -> None:
        figure.clear()
        ax = draw_values(sweeps[sweep], drawing, figure.add_axes(place), limits=limits)
        ax.set_title(f"after {sweep} sweep{'s' * (sweep != 1)}")

    # Closed: otherwise a notebook would show its last frame once more.
    plt.close(figure)
    return OfflineAnimation(figure, frame, len(sweeps), interval=1000 * seconds)


class OfflineAnimation(FuncAnimation):
    """An animation whose page fetches nothing."""

    def to_jshtml(
        self,
        fps: int | None = None,
        embed_frames: bool = True,
        default_mode: str | None = None,
    ) -> str:
        """Return a page with the frames and buttons, as matplotlib's, but complete."""
        page = super().to_jshtml(fps, embed_frames, default_mode)
        signs = (f'.fa-{name}::before{{content:"{x}"}}' for name, x in BUTTONS.items())
        style = f"<style>.fa{{font:bold 12px sans-serif}}{''.join(signs)}</style>"
        return re.sub("<link[^>]*>", lambda _: style, page)


def plot_values(
    values: Mapping[str, Float[np.ndarray, "S"]],
    states: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Plot a point for each state and estimate, over the states' numbers or names."""
    ax = _plain(ax, "state", "value")
    for i, (name, estimate) in enumerate(values.items()):
        few = len(estimate) <= 50
        style = look(i, marked=True) if few else {**dots(i), "ms": 4}
        ax.plot(estimate, label=name, **style)
    ax.margins(y=0.15)
    if len(values) > 1:
        ax.legend(**BESIDE)
    elif len(estimate) <= 12:
        known = np.flatnonzero(np.isfinite(estimate))
        written = _number_format(estimate[known])
        place: dict[str, Any] = {
            "xytext": (0, 8),
            "textcoords": "offset points",
            "ha": "center",
        }
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
    """Plot a dot for each action that is taken, larger where it is more probable."""
    ax = _plain(ax, "state", "action")
    state, action = np.nonzero(policy)
    room = min(8000 / len(policy), 2000 / len(actions), 120)
    sizes = np.maximum(room * policy[state, action], 4)
    ax.scatter(state, action, sizes, color=BLUE, linewidths=0, zorder=3)
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
    sides: Sequence[str] = (),
) -> tuple[Axes, Axes]:
    """Draw values and policy in one figure: on the grid, or else state by state.

    `sides` say what the columns and the rows of the grid count from 0, if they do.
    """
    if drawing:
        height, width = len(drawing), len(drawing[0])
        stacked = width > 1.5 * height
        cell = min(0.85, 5.2 / height, 10 / width)
        size = (cell * width * (2 - stacked) + 0.6, cell * height * (1 + stacked) + 0.8)
        shape = (2, 1) if stacked else (1, 2)
        axes = plt.subplots(*shape, figsize=size, layout="constrained")[1]
        draw_values(values, drawing, axes[0])
        draw_policy(policy, drawing, actions, axes[1])
        for ax in axes if sides else ():
            ax.set(xlabel=sides[0], xticks=range(0, width, 5))
            ax.set(ylabel=sides[1], yticks=range(0, height, 5))
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
    """Plot the largest change of a value in each sweep, by solver, on a log scale.

    A straight line means a constant factor in each sweep. Sweeps that changed nothing
    are left out.
    """
    ax = _plain(ax, "sweep", "largest change of a value")
    for i, (name, changes) in enumerate(residuals.items()):
        sweeps = np.flatnonzero(changes)
        style = look(i, marked=len(changes) <= 40)
        ax.semilogy(1 + sweeps, changes[sweeps], label=name, **style)
    low, high = ax.get_ylim()
    if high < 10 * low:  # Powers of ten alone would be too few.
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("{x:g}")
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.legend(**BESIDE)
    return ax


def plot_learning(
    returns: Mapping[str, Float[np.ndarray, "learners episodes"]],
    optimum: float | None = None,
    window: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """Plot the mean return by episode and algorithm, and the exact optimum as a line.

    Each learner's return is averaged over `window` episodes up to this one. The bands
    are 1.96 standard errors of the mean over learners to either side: 95% confidence.
    """
    ax = _plain(ax, "episode", f"return, mean of {window} episodes")
    means = [[] if optimum is None else [optimum]]
    for i, (name, rewards) in enumerate(returns.items()):
        windows = np.lib.stride_tricks.sliding_window_view(rewards, window, 1)
        recent = windows.mean(-1)
        episode = np.arange(window, window + recent.shape[1])
        means.append(recent.mean(0))
        ax.plot(episode, means[-1], label=name, **look(i))
        if len(recent) > 1:
            band = 1.96 * recent.std(0, ddof=1) / np.sqrt(len(recent))
            low, high = means[-1] - band, means[-1] + band
            color = look(i)["color"]
            ax.fill_between(episode, low, high, color=color, alpha=0.2, lw=0)
    if optimum is not None:
        ax.axhline(optimum, color=INK, ls=":", lw=1.2, label=f"optimum {optimum:.4g}")
    # The first, bad episodes would press all the rest against the upper edge.
    low, high = np.quantile(np.concatenate(means), [0.05, 1])
    margin = 0.06 * (high - low) or 1.0
    ax.set_ylim(low - margin, high + margin)
    ax.legend(**BESIDE)
    return ax


def _grid(drawing: Drawing, ax: Axes | None) -> Axes:
    """Draw empty cells and filled walls, with the origin in the top left corner."""
    height, width = len(drawing), len(drawing[0])
    if ax is None:
        ax = plt.subplots(figsize=_size(drawing), layout="constrained")[1]
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    ax.set_aspect("equal")
    ax.hlines(np.arange(height + 1) - 0.5, -0.5, width - 0.5, color=EDGE, lw=0.8)
    ax.vlines(np.arange(width + 1) - 0.5, -0.5, height - 0.5, color=EDGE, lw=0.8)
    for row, column in np.ndindex(height, width):
        if drawing[row][column] == WALL:
            _fill(ax, (row, column), STONE)
    return ax


def _map_actions(
    policy: Float[np.ndarray, "S A"], drawing: Drawing, actions: Sequence[str], ax: Axes
) -> Axes:
    """Draw the first of the most probable actions of each cell, by its colour."""
    chosen = np.full((len(drawing), len(drawing[0])), np.nan)
    for cell, state in cells(drawing).items():
        chosen[cell] = policy[state].argmax() if policy[state].any() else np.nan
    edges = np.arange(len(actions) + 1) - 0.5
    image = ax.imshow(chosen, cmap=COLORMAP, norm=BoundaryNorm(edges, 256), zorder=0)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, label="action")
    bar.set_ticks(range(len(actions)), labels=list(actions))
    return ax


def _size(drawing: Drawing) -> tuple[float, float]:
    """Return the size of a figure, in inches."""
    height, width = len(drawing), len(drawing[0])
    cell = min(0.85, 9 / max(height, width))
    return cell * width + 0.4, cell * height + 0.6


def _fill(ax: Axes, cell: Cell, color: str) -> None:
    ax.add_patch(plt.Rectangle((cell[1] - 0.5, cell[0] - 0.5), 1, 1, color=color))


def _write(ax: Axes, cell: Cell, text: str, ink: str, size: str = "medium") -> None:
    ax.text(cell[1], cell[0], text, color=ink, size=size, ha="center", va="center")


def _letter(ax: Axes, drawing: Drawing, cell: Cell, ink: str) -> None:
    """Write the letter of a cell, if it has one, in its corner."""
    letter = drawing[cell[0]][cell[1]].strip(".")
    if letter:
        x, y = cell[1] - 0.42, cell[0] - 0.4
        ax.text(x, y, letter, color=ink, va="top", size="small")


def _leave_out(ax: Axes, drawing: Drawing, cell: Cell) -> None:
    """Draw a cell that is left out: grey, with only its letter."""
    _fill(ax, cell, OVER)
    _write(ax, cell, drawing[cell[0]][cell[1]].strip("."), INK, "large")


def _number_format(values: Float[np.ndarray, "_"]) -> str:
    """Return a format: no decimals for whole numbers, three figures for others."""
    if np.allclose(values, values.round(), atol=1e-6):
        return "{:.0f}"
    places = 2 - int(np.floor(np.log10(np.abs(values).max())))
    return f"{{:.{min(max(places, 0), 3)}f}}"


def _plain(ax: Axes | None, x: str, y: str) -> Axes:
    """Return axes with labels and a faint grid."""
    if ax is None:
        ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")[1]
    ax.set(xlabel=x, ylabel=y)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=FAINT, lw=0.6)
    return ax


def _name_states(ax: Axes, states: Sequence[str]) -> None:
    """Write names on the axis of states, if they are few enough to be read."""
    if 0 < len(states) <= 20:
        ax.set_xticks(range(len(states)), states)
    else:
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
