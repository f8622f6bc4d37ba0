"""A slider that moves draws the picture anew; without ipywidgets it stands still."""

import sys

import pytest
from matplotlib.figure import Figure

from mdp.interactive import slide


@pytest.fixture(autouse=True)
def not_still(monkeypatch):
    monkeypatch.delenv("STILL_PICTURES", raising=False)


def test_a_slider_that_moves_draws_the_picture_of_its_value():
    pytest.importorskip("ipywidgets")
    drawn = []
    sliders = slide(lambda axes, beta: drawn.append(beta), beta=(0.0, 1.0, 4.0))
    (slider,) = sliders
    assert drawn == [1.0]
    slider.value = 3.0
    assert drawn == [1.0, 3.0]
    slider.value = 9.0  # beyond its end
    assert drawn == [1.0, 3.0, 4.0]


def test_each_value_has_its_own_slider():
    pytest.importorskip("ipywidgets")
    drawn = []
    clip, _ = slide(
        lambda axes, clip, advantage: drawn.append((clip, advantage)),
        clip=(0.1, 0.2, 0.4),
        advantage=(-1.0, 1.0, 1.0),
    )
    clip.value = 0.4
    assert drawn == [(0.2, 1.0), (0.4, 1.0)]


def test_a_figure_of_its_own_is_shown_and_replaced(monkeypatch):
    """It need not be one of pyplot, which knows nothing of a `Figure` made by hand."""
    pytest.importorskip("ipywidgets")
    drawn, shown, updated = [], [], []
    handle = "IPython.display.DisplayHandle"
    monkeypatch.setattr(f"{handle}.display", lambda self, what: shown.append(what))
    monkeypatch.setattr(f"{handle}.update", lambda self, what: updated.append(what))

    def draw(beta):
        drawn.append(Figure())
        return drawn[-1]

    (slider,) = slide(draw, None, beta=(0.0, 1.0, 4.0))
    slider.value = 3.0
    assert [shown, updated] == [drawn[:1], drawn[1:]]


def test_without_ipywidgets_the_first_picture_is_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    drawn = []
    assert slide(lambda axes, x: drawn.append(x), x=(0.0, 0.5, 1.0)) == []
    assert drawn == [0.5]


def test_a_notebook_that_is_run_to_be_saved_has_no_sliders(monkeypatch):
    monkeypatch.setenv("STILL_PICTURES", "1")
    assert slide(lambda axes, x: None, x=(0.0, 0.5, 1.0)) == []


def test_a_range_out_of_order_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"beta must be \(lowest, first, highest\)"):
        slide(lambda axes, beta: None, beta=(1.0, 0.5, 2.0))
