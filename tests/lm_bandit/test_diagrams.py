"""Diagrams of RLHF name all of its parts, and no text leaves its box."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Annotation

from lm_bandit import diagrams
from mdp.looks import FAINT


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


def boxes_of(axes):
    """The boxes, each by the first line of its text."""
    found = {}
    for box in axes.patches:
        if isinstance(box, FancyBboxPatch):
            x, y = box.get_x() + box.get_width() / 2, box.get_y() + box.get_height() / 2
            (text,) = [t for t in axes.texts if np.allclose(t.get_position(), (x, y))]
            found[text.get_text().split("\n")[0]] = box
    return found


def test_step_three_shows_which_of_its_models_learn():
    boxes = boxes_of(diagrams.draw_step_three(Figure().subplots()))
    grey = {n for n, b in boxes.items() if b.get_facecolor() == to_rgba(FAINT)}
    thick = {n for n, b in boxes.items() if b.get_linewidth() > 2}
    assert grey == {r"reference $\pi_{ref}$", r"reward model $r_\theta$"}
    assert thick == {r"policy $\pi$", r"critic $\hat q$"}
    assert r"old policy $\pi_{old}$" in boxes.keys() - grey - thick


@pytest.mark.parametrize(
    "draw", [diagrams.draw_step_three, diagrams.draw_feedback_loop]
)
def test_each_arrow_ends_at_a_box(draw):
    axes = draw(Figure().subplots())
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert arrows
    for arrow in arrows:
        x, y = arrow.xy
        gaps = [
            max(
                *(box.get_x() - x, x - box.get_x() - box.get_width()),
                *(box.get_y() - y, y - box.get_y() - box.get_height()),
            )
            for box in boxes_of(axes).values()
        ]
        assert abs(min(gaps, key=abs)) < 0.06, arrow.xy
