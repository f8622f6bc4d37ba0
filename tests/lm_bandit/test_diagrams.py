"""Diagrams of RLHF name all of its parts, and no text leaves its box."""

from itertools import pairwise

import matplotlib as mpl
import pytest

mpl.use("Agg")

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Annotation

from lm_bandit import diagrams


@pytest.fixture
def axes():
    figure = Figure(figsize=(10, 5.2), dpi=85)
    drawn = diagrams.draw_three_steps(figure.subplots())
    figure.canvas.draw()
    return drawn


def texts(axes):
    return [t for t in axes.texts if not isinstance(t, Annotation)]


def test_the_three_steps_are_named_from_left_to_right(axes):
    titles = [t for t in texts(axes) if t.get_text().startswith("Step")]
    assert [t.get_text().partition(":")[0] for t in titles] == [
        f"Step {n}" for n in (1, 2, 3)
    ]
    assert all(a.get_position()[0] < b.get_position()[0] for a, b in pairwise(titles))


def test_every_box_holds_its_own_text(axes):
    boxes = [p for p in axes.patches if isinstance(p, FancyBboxPatch)]
    assert len(boxes) == 12
    for box in boxes:
        around = box.get_window_extent()
        inside = [
            t.get_window_extent()
            for t in texts(axes)
            if around.contains(*t.get_window_extent().get_points().mean(0))
        ]
        assert len(inside) == 1
        assert around.contains(*inside[0].min)
        assert around.contains(*inside[0].max)


def test_what_one_step_makes_goes_into_the_next(axes):
    arrows = [t for t in axes.texts if isinstance(t, Annotation)]
    across = [(a.xyann, a.xy) for a in arrows if abs(a.xyann[0] - a.xy[0]) > 1]
    assert len(across) == 2
    assert all(start[0] < end[0] for start, end in across)
