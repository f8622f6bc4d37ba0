"""Pictures with sliders, for notebooks; without ipywidgets they stand still.

    def draw(axes, gamma):
        axes.plot(...)

    slide(draw, gamma=(0.5, 0.9, 0.99))

The first value of a slider is the middle one of (lowest, first, highest). The picture
for the first values is always shown, so that a saved notebook has it. A notebook that
is run to be saved has no sliders, which would be dead there: set STILL_PICTURES=1.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt

STEPS = 40  # of a slider from its lowest to its highest value

Range = tuple[float, float, float]  # lowest, first, highest


def slide(
    draw: Callable[..., Any],
    figsize: tuple[float, float] | None = (7.0, 3.6),
    **ranges: Range,
) -> list[Any]:
    """Show draw(axes, **values) with a slider for each value, and return the sliders.

    If `figsize` is None, draw(**values) makes its own figure.
    Without ipywidgets, or with STILL_PICTURES=1 in the environment, there are none, and
    the picture of the first values is shown.
    """
    _require_order(ranges)

    def show(**values: float) -> None:
        before = plt.get_fignums()
        if figsize is None:
            draw(**values)
        else:
            draw(plt.subplots(figsize=figsize, layout="constrained")[1], **values)
        plt.show()
        for number in set(plt.get_fignums()) - set(before):
            plt.close(number)

    show(**{name: first for name, (_, first, _) in ranges.items()})
    if os.environ.get("STILL_PICTURES"):
        return []
    try:
        from IPython.display import display
        from ipywidgets import FloatSlider, Output, VBox
    except ImportError:
        return []
    sliders = {
        name: FloatSlider(first, min=low, max=high, step=(high - low) / STEPS)
        for name, (low, first, high) in ranges.items()
    }
    for name, slider in sliders.items():
        slider.description = name.replace("_", " ")
        slider.continuous_update = False
    output = Output()

    def redraw(_: Any) -> None:
        output.clear_output(wait=True)
        with output:
            show(**{name: slider.value for name, slider in sliders.items()})

    for slider in sliders.values():
        slider.observe(redraw, "value")
    display(VBox([*sliders.values(), output]))
    return [*sliders.values()]


def _require_order(ranges: Mapping[str, Range]) -> None:
    for name, (lowest, first, highest) in ranges.items():
        if not lowest <= first <= highest:
            raise ValueError(
                f"{name} must be (lowest, first, highest), got "
                f"({lowest}, {first}, {highest})"
            )
