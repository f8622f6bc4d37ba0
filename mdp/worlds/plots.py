"""Pictures of grids: values as a heat map, policies as arrows, a path, an animation.

A grid is given by its `drawing`, a letter a cell, # for a wall (see mdp.worlds.world).
A value of NaN, and a row of zeros in a policy, stand for a state that is of no concern:
its cell is left out.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from mdp.worlds.world import MOVES, WALL, Cell, Drawing, cells

# The heat map keeps its order for every kind of eye, and in grey.
COLORMAP, ARROWS, PATH = "viridis", "#0072B2", "#D55E00"
INK, EDGE, OVER, STONE = "#22222a", "#c9c9c6", "#e6e6e3", "#4a4a55"

# More cells than this have no room for numbers: a colour bar says what they are.
MOST_NUMBERS = 130


def draw_values(
    values: Float[np.ndarray, "S"],
    drawing: Drawing,
    ax: Axes | None = None,
    *,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """The values as a heat map with numbers; `limits` fix the ends of its scale."""
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
        ax.figure.colorbar(image, ax=ax, shrink=0.8)
    written = number_format(np.array([*known, low, high]))
    for cell, state in cells(drawing).items():
        if np.isnan(values[state]):
            _leave_out(ax, drawing, cell)
        elif not many:
            ink = INK if norm(values[state]) > 0.6 else "white"
            _write(ax, cell, written.format(values[state] + 0.0), ink)
            _letter(ax, drawing, cell, ink)
    return ax


def draw_policy(
    policy: Float[np.ndarray, "S A"],
    drawing: Drawing,
    actions: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """The policy as arrows, longer where more probable; other actions by name."""
    ax = _grid(drawing, ax)
    arrows = []
    for cell, state in cells(drawing).items():
        taken = np.flatnonzero(policy[state])
        if not taken.size:
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
                # One arrow by itself sits in the middle; those that tie meet there.
                tail = -0.8 * length if len(taken) == 1 else 0.0
                x, y = cell[1] + tail * right, cell[0] + tail * down
                arrows.append((x, y, (length - tail) * right, (length - tail) * down))
    if arrows:
        shape = {
            "width": 0.05,
            "headwidth": 3.4,
            "headlength": 3.2,
            "headaxislength": 3,
        }
        scale = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "xy"}
        ax.quiver(*np.transpose(arrows), color=ARROWS, zorder=3, **shape, **scale)
    return ax


def draw_path(
    states: Int[np.ndarray, "T"], drawing: Drawing, ax: Axes | None = None
) -> Axes:
    """The way through these states, from ring to dot; beside the numbers of `ax`."""
    aside = 0.0 if ax is None else 0.27
    cell_of = {state: cell for cell, state in cells(drawing).items()}
    if ax is None:
        ax = _grid(drawing, None)
        for cell in cell_of.values():
            _letter(ax, drawing, cell, INK)
    rows, columns = aside + np.transpose([cell_of[int(state)] for state in states])
    style = {"color": PATH, "zorder": 4, "markersize": 12, "lw": 3}
    ax.plot(columns, rows, solid_joinstyle="round", **style)
    ax.plot(columns[:1], rows[:1], "o", mfc="white", mew=3, **style)
    ax.plot(columns[-1:], rows[-1:], "o", **style)
    return ax


def animate_sweeps(
    sweeps: Float[np.ndarray, "sweeps S"], drawing: Drawing, seconds: float = 0.4
) -> FuncAnimation:
    """The values on a grid, from one sweep to the next, on one scale of colours.

    `.to_jshtml()` is a page with buttons: `IPython.display.HTML` shows it in a
    notebook, and written to a file it plays in any browser.
    """
    # Not in a layout sought anew for every frame: that takes time, and trembles.
    figure, place = plt.figure(figsize=_size(drawing)), (0.02, 0.02, 0.96, 0.89)
    limits = (np.nanmin(sweeps), np.nanmax(sweeps))

    def frame(sweep: int) -> None:
        figure.clear()
        ax = draw_values(sweeps[sweep], drawing, figure.add_axes(place), limits=limits)
        ax.set_title(f"after {sweep} sweep{'s' * (sweep != 1)}")

    # Closed, or a notebook would show its last frame once more.
    plt.close(figure)
    return FuncAnimation(figure, frame, len(sweeps), interval=1000 * seconds)


def _grid(drawing: Drawing, ax: Axes | None) -> Axes:
    """Empty cells, walls filled, the origin in the top left corner."""
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


def _size(drawing: Drawing) -> tuple[float, float]:
    """Of a figure, in inches."""
    height, width = len(drawing), len(drawing[0])
    cell = min(0.85, 9 / max(height, width))
    return cell * width + 0.4, cell * height + 0.6


def _fill(ax: Axes, cell: Cell, color: str) -> None:
    ax.add_patch(plt.Rectangle((cell[1] - 0.5, cell[0] - 0.5), 1, 1, color=color))


def _write(ax: Axes, cell: Cell, text: str, ink: str, size: str = "medium") -> None:
    ax.text(cell[1], cell[0], text, color=ink, size=size, ha="center", va="center")


def _letter(ax: Axes, drawing: Drawing, cell: Cell, ink: str) -> None:
    """The letter of a cell, if it has one, in its corner."""
    letter = drawing[cell[0]][cell[1]].strip(".")
    if letter:
        x, y = cell[1] - 0.42, cell[0] - 0.4
        ax.text(x, y, letter, color=ink, va="top", size="small")


def _leave_out(ax: Axes, drawing: Drawing, cell: Cell) -> None:
    """A cell of no concern: grey, with nothing but its letter."""
    _fill(ax, cell, OVER)
    _write(ax, cell, drawing[cell[0]][cell[1]].strip("."), INK, "large")


def number_format(values: Float[np.ndarray, "_"]) -> str:
    """Whole numbers as such; of others, three figures of the largest, or more."""
    if np.allclose(values, values.round(), atol=1e-6):
        return "{:.0f}"
    places = 2 - int(np.floor(np.log10(np.abs(values).max())))
    return f"{{:.{min(max(places, 0), 3)}f}}"
