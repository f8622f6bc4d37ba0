"""Pictures, against the arrays that they show."""

import re

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mdp import plots

DRAWING = ("S.#", ".HG")  # states 0, 1 / 2, 3, 4
ARROWS = "↑→↓←"


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def written(ax):
    """Return the texts in the cells, by (row, column)."""
    return {
        (round(text.get_position()[1]), round(text.get_position()[0])): text.get_text()
        for text in ax.texts
        if text.get_text() and text.get_ha() == "center"
    }


def test_each_number_stands_in_the_cell_of_its_state():
    values = np.array([-1.25, 0.5, 3.0, np.nan, np.nan])
    ax = plots.draw_values(values, DRAWING)
    assert written(ax) == {
        **{(0, 0): "-1.25", (0, 1): "0.50", (1, 0): "3.00"},
        **{(1, 1): "H", (1, 2): "G"},  # left out: only their letters
    }
    heat = ax.images[0].get_array()
    assert_allclose(heat[0, :2], [-1.25, 0.5])
    assert np.ma.getmaskarray(heat)[0, 2], "a wall has no value"
    assert ax.images[0].get_clim() == (-1.25, 3.0)


def test_values_that_are_all_equal_can_be_drawn():
    for value in (0.0, -7.0):
        ax = plots.draw_values(np.full(5, value), DRAWING)
        assert set(written(ax).values()) == {f"{value:.0f}"}


def test_a_large_grid_has_a_colour_bar_in_place_of_numbers():
    ax = plots.draw_values(np.arange(400.0), ("." * 20,) * 20)
    assert not written(ax)
    assert len(ax.figure.axes) == 2


def test_actions_that_tie_have_an_arrow_each_and_zeros_have_none():
    policy = np.zeros((5, 4))
    policy[0] = [0, 0.5, 0.5, 0]
    policy[1] = [0, 0, 0, 1]
    policy[2] = [0.25, 0.75, 0, 0]
    ax = plots.draw_policy(policy, DRAWING, ARROWS)
    (quiver,) = [item for item in ax.collections if hasattr(item, "U")]
    directions = [(np.sign(u), np.sign(-v)) for u, v in zip(quiver.U, quiver.V)]  # noqa: B905
    right, down, left, up = (1, 0), (0, -1), (-1, 0), (0, 1)
    assert directions == [right, down, left, up, right]
    lengths = np.hypot(quiver.U, quiver.V)
    assert lengths[0] == lengths[1] < lengths[2], "those that tie meet in the middle"
    assert lengths[3] == pytest.approx(lengths[4] / 3), "the length is the probability"
    assert written(ax)[1, 1] == "H"


def test_actions_that_are_no_moves_are_named():
    policy = np.zeros((5, 2))
    policy[0], policy[1] = [1, 0], [0.5, 0.5]
    ax = plots.draw_policy(policy, DRAWING, ("wait", "cut"))
    assert written(ax)[0, 0] == "wait"
    assert written(ax)[0, 1] == "wait/cut"


def test_a_path_runs_through_the_cells_of_its_states():
    ax = plots.draw_path(np.array([0, 1, 3, 4]), DRAWING)
    assert_array_equal(ax.lines[0].get_xydata(), [(0, 0), (1, 0), (1, 1), (2, 1)])


def test_a_solution_is_drawn_on_its_grid_or_state_by_state():
    values, policy = np.arange(5.0), np.full((5, 4), 0.25)
    on_grid = plots.draw_solution(values, policy, ARROWS, DRAWING)
    assert len(on_grid[0].images) == 1
    by_state = plots.draw_solution(values, policy, ARROWS, states=list("ABCDE"))
    assert_array_equal(by_state[0].lines[0].get_ydata(), values)
    assert [t.get_text() for t in by_state[1].get_yticklabels()] == list(ARROWS)
    assert len(by_state[1].collections[0].get_offsets()) == 20


def test_the_animation_plays_in_a_plain_html_file():
    sweeps = np.array([np.zeros(5), [0, 0, 0, 1, 0], [0, 0.5, 0.25, 1, 0]])
    html = plots.animate_sweeps(sweeps, DRAWING).to_jshtml()
    frames = [line for line in html.splitlines() if "base64," in line]
    assert len(frames) == 3
    assert "<script" in html


def test_the_animation_fetches_nothing_and_every_button_has_a_sign():
    html = plots.animate_sweeps(np.zeros((2, 5)), DRAWING).to_jshtml()
    page = re.sub(r"data:image/png;base64,[^\"]*", "", html)
    assert not re.search(r"//[\w-]+\.\w|<link|@import|src=", page)
    signs = dict(re.findall(r'\.fa-([\w-]+)::before{content:"([^"]+)"}', page))
    buttons = re.findall(r'<i class="fa ([\w -]+)"></i>', page)
    assert len(buttons) == 9
    shown = [signs[kinds.split("fa-")[-1]] for kinds in buttons]
    assert len(set(shown)) == 9


def test_residuals_are_drawn_on_a_logarithmic_scale_without_zeros():
    changes = np.array([1.0, 0.1, 0.0, 0.01])
    ax = plots.plot_residuals({"value_iteration": changes})
    assert ax.get_yscale() == "log"
    assert_allclose(ax.lines[0].get_xydata(), [(1, 1), (2, 0.1), (4, 0.01)])


def test_the_band_is_1_96_standard_errors_of_the_windowed_mean():
    returns = np.random.default_rng(0).normal(-2, 1, (5, 12))
    ax = plots.plot_learning({"sarsa": returns}, optimum=3.0, window=4)
    means = np.array([[r[k : k + 4].mean() for k in range(9)] for r in returns])
    line = ax.lines[0].get_xydata()
    assert_array_equal(line[:, 0], np.arange(4, 13))
    assert_allclose(line[:, 1], means.mean(0))
    error = means.std(0, ddof=1) / np.sqrt(5)
    corners = ax.collections[0].get_paths()[0].vertices
    for k, episode in enumerate(range(4, 13)):
        edge = corners[corners[:, 0] == episode, 1]
        assert edge.max() == pytest.approx(means[:, k].mean() + 1.96 * error[k])
        assert edge.min() == pytest.approx(means[:, k].mean() - 1.96 * error[k])
    assert_array_equal(ax.lines[1].get_ydata(), [3.0, 3.0])
    assert ax.get_ylim()[1] > 3.0


def test_one_learner_has_a_line_and_no_band():
    ax = plots.plot_learning({"sarsa": np.zeros((1, 6))})
    assert not ax.collections
    assert "optimum" not in ax.get_legend().get_texts()[0].get_text()
