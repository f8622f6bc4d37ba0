"""The diagrams name what they must, and each of their arrows ends at a box."""

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lm_bandit import diagrams
from mdp.looks import FAINT


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


def test_each_arrow_of_step_three_ends_at_a_box():
    axes = diagrams.draw_step_three(Figure().subplots())
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
