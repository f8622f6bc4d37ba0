"""Pictures with sliders, for notebooks; without ipywidgets they stand still.

    def draw(axes, gamma):
        axes.plot(...)

    slide(draw, gamma=(0.5, 0.9, 0.99))

The first value of a slider is the middle one of (lowest, first, highest). The picture
is an output of the cell, so that a saved notebook has it; a slider that moves draws
another one in its place. A notebook that is run to be saved has no sliders, which would
be dead there: set STILL_PICTURES=1.
"""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

STEPS = 40  # of a slider from its lowest to its highest value

Range = tuple[float, float, float]  # lowest, first, highest


def slide(
    draw: Callable[..., Any],
    figsize: tuple[float, float] | None = (7.0, 3.6),
    **ranges: Range,
) -> list[Any]:
    """Show draw(axes, **values) with a slider for each value, and return the sliders.

    If `figsize` is None, draw(**values) makes and returns its own figure.
    Without ipywidgets, or with STILL_PICTURES=1 in the environment, there are none, and
    the picture of the first values is shown.
    """
    _require_order(ranges)
    figure = _figure(draw, figsize, {name: row[1] for name, row in ranges.items()})
    try:
        from IPython.display import DisplayHandle, display
    except ImportError:  # this is no notebook
        plt.show()
        return []
    plt.close(figure)  # or the notebook shows it once more at the end of the cell
    picture = DisplayHandle()
    picture.display(figure)
    if os.environ.get("STILL_PICTURES") or find_spec("ipywidgets") is None:
        return []
    from ipywidgets import FloatSlider, VBox

    sliders = {
        name: FloatSlider(first, min=low, max=high, step=(high - low) / STEPS)
        for name, (low, first, high) in ranges.items()
    }

    def redraw(_: Any) -> None:
        values = {name: slider.value for name, slider in sliders.items()}
        figure = _figure(draw, figsize, values)
        plt.close(figure)
        picture.update(figure)

    for name, slider in sliders.items():
        slider.description = name.replace("_", " ")
        slider.continuous_update = False
        slider.observe(redraw, "value")
    display(VBox([*sliders.values()]))
    return [*sliders.values()]


def _figure(
    draw: Callable[..., Any],
    figsize: tuple[float, float] | None,
    values: Mapping[str, float],
) -> Figure:
    """Return the figure that `draw` makes, or a new one with the axes that it fills."""
    if figsize is None:
        return draw(**values)
    figure, axes = plt.subplots(figsize=figsize, layout="constrained")
    draw(axes, **values)
    return figure


def _require_order(ranges: Mapping[str, Range]) -> None:
    for name, (lowest, first, highest) in ranges.items():
        if not lowest <= first <= highest:
            raise ValueError(
                f"{name} must be (lowest, first, highest), got "
                f"({lowest}, {first}, {highest})"
            )
