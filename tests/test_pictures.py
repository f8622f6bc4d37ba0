"""Every kind of picture can be read in grey, and nothing in it hides anything else.

The figures are drawn at their own sizes from small made-up results, with the crowded
cases among them: long names, results close together, few steps, less than one decade.
"""

from itertools import combinations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import mdp
from benchmarks import plots as benchmark_plots
from benchmarks.alone import Measured
from benchmarks.scaling import Point
from lm_bandit import diagrams
from lm_bandit import plots as run_plots
from lm_bandit.alternatives import plots as method_plots
from lm_bandit.alternatives.comparison import MethodComparison, Runs
from lm_bandit.alternatives.starts import Start
from lm_bandit.lab import (
    bad_annotators,
    core_and_prepped,
    flaw,
    overlooked,
    overoptimisation,
    too_hard,
    who_was_asked,
)
from lm_bandit.lab import plots as lab_plots
from lm_bandit.lab.scaling_law import ScalingFit
from lm_bandit.lab.tabular import RewardPath
from lm_bandit.oracle.exact import Value
from mdp import looks, plots
from policy_gradient.comparison import plots as comparison_plots
from policy_gradient.comparison.compare import Comparison, Judged, Reference
from policy_gradient.comparison.contenders import Budget
from policy_gradient.comparison.statistics import Estimate
from policy_gradient.comparison.summary import summarize
from tests.exercises import plots as exercise_plots

LEAST_STEP = 0.055  # in lightness, from black 0 to white 1, between two series
ONE = np.linspace(0.0, 1.0, 20)
pytestmark = pytest.mark.slow  # to draw all of them takes seconds
rng = np.random.default_rng(0)


def lightness(colour):
    """The grey that a printer makes of a colour (ITU-R BT.601)."""
    return np.dot(to_rgb(colour), (0.299, 0.587, 0.114))


def mdp_figures():
    cars = mdp.worlds.WORLDS["jacks_cars"]
    policy = np.eye(11)[np.arange(441) % 11]
    yield (
        "cars",
        plots.draw_solution(
            np.arange(441.0),
            policy,
            cars.actions,
            cars.drawing,
            cars.states,
            cars.sides,
        )[0],
    )
    walk = np.eye(5)[np.arange(5)]
    names = ["Facebook", "Class 1", "Class 2", "Class 3", "Sleep"]
    student = plots.draw_solution(np.arange(5.0), walk, list("abcde"), (), names)
    yield "by state", student[0]
    many = {f"estimate {i}": ONE + i for i in range(8)}
    yield "values", plots.plot_values(many)
    yield "residuals", plots.plot_residuals({"in place": 0.7**ONE, "sweeps": 0.8**ONE})
    steep = {"value_iteration": 0.1 ** np.arange(1.0, 300.0, 9)}
    yield "steep", plots.plot_residuals(steep)
    returns = {f"algorithm_{i}": rng.normal(i, 1, (4, 60)) for i in range(4)}
    yield "learning", plots.plot_learning(returns, 4.0, 5)


def comparison_figure(steps, worlds, names):
    """The page of a comparison whose policies rise to different heights."""
    checkpoints = tuple(np.linspace(steps / 6, steps, 6).astype(int).tolist())
    references = {world: Reference(mdp.worlds.student(), 1.5, 1.0) for world in worlds}
    cut, well = np.zeros((3, 6), bool), [""] * 3
    judged = {}
    for world in worlds:
        judged[world] = {}
        for i, name in enumerate(names):
            noise = 0.02 * rng.random((3, 6))
            J = 1.48 - (0.02 + 0.06 * i) / np.arange(1, 7) + noise
            judged[world][name] = Judged(J, np.full((3, 6), 1.5), cut, cut, well)
    budget, configs = Budget(checkpoints, 100), dict.fromkeys(names)
    comparison = Comparison(budget, (0, 1, 2), references, configs, judged)
    return comparison_plots.comparison_page(comparison, summarize(comparison))


def value(kl, learned):
    return Value(3.0 * learned - 0.4 * kl, learned, kl, learned - 0.07 * kl)


START, OPTIMUM = value(0.0, 0.0), value(2.5, 1.47)
FRONTIER = [
    value(kl, 1.7 * (1 - np.exp(-0.8 * kl))) for kl in np.geomspace(0.01, 5, 30)
]
PATH = [
    *((0, START), (4, value(0.2, 0.15)), (8, value(1.2, 0.9)), (16, value(2.48, 1.4))),
    (120, value(2.5, 1.46)),
]


def scaling_points():
    """Points of two panels: one with close curves and a failure, one with one point."""
    for curve, offset in (("listed (exact.py)", 0.0), ("summed (streamed.py)", 0.01)):
        for size in (10.0, 1e3, 1e6):
            found = Measured(None, 1e-5 * size + offset, 5.0, size, 0.2, 0.3, None, "")
            yield Point("completions", curve, "completions", 1.0, size, found)
    failed = Measured("took more than 120 s")
    yield Point("completions", "listed (exact.py)", "completions", 1.0, 1e7, failed)
    found = Measured(None, 2.0, 5.0, 64.0, 0.2, 0.3, None, "")
    yield Point("devices", "SFT", "tokens", 0.0, 1.0, found)


def language_model_figures():
    yield "run", run_plots.run_figure(FRONTIER, PATH, OPTIMUM, 0.07, 0.997)
    means = np.array([(v.kl, v.learned, v.gold) for _, v in PATH])
    updates = [update for update, _ in PATH]
    yield "samples", run_plots.estimated_run_figure(updates, means, 0.03 + 0 * means)
    words = {"bad": (0.3, 0.01), "nice": (0.5, 0.3), "superb": (0.2, 0.69)}
    yield "optimum", run_plots.optimum_figure(FRONTIER, OPTIMUM, 0.2, words)
    names = "PPO,RLOO,REINFORCE,GRPO,expert iteration,DPO,online DPO".split(",")
    pulled = (1536, 1700, 7680, 15360)
    runs = {}
    for i, name in enumerate(names):
        # Two of them end at the same height, and one goes far below the reference.
        ends = [value(2 + 0.4 * i, 1.4 - 0.01 * (i // 2)) for _ in range(2)]
        first = value(1 + 0.2 * i, 0.9 if i < 5 else -3.0)
        steps = [[first, first, value(2.0, 1.1), end] for end in ends]
        runs[name] = Runs(None, pulled, steps, ["", ""])
    best_of_n = [(n, value(np.log(n), 1.4 - 1.4 / n)) for n in (1, 2, 4, 8)]
    ends = dict.fromkeys(names[:-1], OPTIMUM) | {"GRPO": value(6.0, 1.6)}
    start = Start(START, OPTIMUM, FRONTIER, best_of_n, ends, ends)
    found = MethodComparison((0, 1), None, [start] * 2, runs)
    yield "methods", method_plots.comparison_figure(found)
    wide = {"figsize": (10, 5.6), "layout": "constrained"}
    yield "step three", diagrams.draw_step_three(plt.subplots(**wide)[1])


def lines(slope, points=20):
    """Three rising curves, one for each seed."""
    return slope * np.linspace(0.1, 1.0, points) + 0.1 * rng.random((3, points))


def three(*names, scale=1.0):
    """A number for each name and seed."""
    return {name: scale * (1 + rng.random(3)) for name in names}


def reward_path():
    return RewardPath(np.tile(np.linspace(0.0, 6.0, 20), (3, 1)), lines(2), lines(2))


def flaw_use(unit):
    return flaw.FlawUse(unit, 0.5, lines(2.0), lines(3.0), lines(1.0))


def lab_figures():
    x, seeds = np.linspace(0.0, 6.0, 20), (0, 1, 2)
    fit = ScalingFit(Estimate(2.0, 1.9, 2.1), Estimate(0.5, 0.4, 0.6), 0.9)
    variants = "100 comparisons", "1,000 comparisons", "10,000 comparisons"
    variants += "mean of 25", "worst of 25", "control"  # which end close to each other
    paths = {name: reward_path() for name in variants}
    over = overoptimisation.OveroptimisationResult(
        seeds, 100, 2.0, x, paths, x, reward_path(), fit, fit, fit, ()
    )
    yield "overoptimisation", lab_plots.draw_overoptimisation(over)
    flaws = {
        "length": flaw_use("words"),
        "magic word 'awful'": flaw_use("share of the praise"),
    }
    yield "flaw", lab_plots.draw_flaw(flaw.FlawResult(seeds, 100, x, flaws))
    careful = three("careful", "mistaken", "mistaken, c beta")
    poisoned = three("reference", "clean", "poisoned", scale=1e-3)
    bad = bad_annotators.BadAnnotatorsResult(
        *(seeds, 100, {}, three("plain", "Crowd-BT"), x, poisoned, x, x, careful)
    )
    yield "annotators", lab_plots.draw_bad_annotators(bad)
    planted = {name: rng.random(3) for name in ("the rating", "standardised", "robust")}
    share = three("all ten raters", "that rater, mended", "that rater", scale=0.1)
    ratings = np.array([-3.0, -3, -2, -3, -2, -3, 4, -3, -2, -2])
    mistake = overlooked.OverlookedResult(
        seeds, 100, ratings, {}, {}, {}, planted, {}, share
    )
    yield "overlooked", lab_plots.draw_overlooked(mistake)
    cases = ("careful, shared", "tired, shared", "tired, separate")
    hard = {name: lines(1.0, 3) for name in cases}
    accuracy = {"careful": lines(1.0, 3), "tired": lines(0.5, 3)}
    tired = too_hard.TooHardResult(seeds, 100, accuracy, hard, hard)
    yield "too hard", lab_plots.draw_too_hard(tired)
    groups = lines(4.0), 4 - lines(4.0), 0.5 + 0.1 * lines(4.0)
    asked = who_was_asked.WhoWasAskedResult(seeds, 100, x / 6, *groups)
    yield "groups", lab_plots.draw_who_was_asked(asked)
    traits = core_and_prepped.PolicyTraits
    core, sft = traits(1.5, -1.0, 5.0, 17.0, 60.0), traits(1.6, 0.0, 5.0, 15.0, 62.0)
    optima = traits(lines(20.0), lines(6.0), lines(5.0), 17 - lines(10), lines(80.0))
    price = core_and_prepped.CoreAndPreppedResult(seeds, 100, x, core, sft, optima)
    yield "price", lab_plots.draw_core_and_prepped(price)


def all_figures():
    yield from mdp_figures()
    coin = ["halving", "ppo"]
    yield "readme", comparison_figure(5000, ["coin"], coin)
    yield (
        "small panels",
        comparison_figure(
            *(200_000, ["cliff_walking", "frozen_lake", "five_by_five", "coin"]),
            [
                "ppo",
                "reinforce_baseline_of_my_own",
                "actor_critic",
                "q_learning",
                "sarsa",
            ],
        ),
    )
    yield from language_model_figures()
    yield "scaling", benchmark_plots.scaling_figure([*scaling_points()])
    yield from lab_figures()
    curves = {f"curve number {i}": np.cumsum(rng.normal(size=60)) for i in range(8)}
    yield "sick run", exercise_plots.figure("A sick run", curves, curves)


@pytest.fixture(scope="module")
def figures():
    """All figures by name, drawn once at their own sizes."""
    found = {name: getattr(each, "figure", each) for name, each in all_figures()}
    for figure in found.values():
        figure.draw_without_rendering()  # settles the layout, as `savefig` does
        figure.canvas.draw()
    yield found
    plt.close("all")


def overlap(boxes):
    """The first two of these boxes that overlap, if any do."""
    for (a, one), (b, other) in combinations(boxes, 2):
        if one.shrunk(0.98, 0.98).overlaps(other):
            return a, b
    return None


def tick_boxes(axis):
    """The texts of the ticks that are seen on an axis, and their boxes."""
    labels = axis.get_ticklabels(which="both")
    low, high = sorted(axis.get_view_interval())
    which = 0 if axis.axis_name == "x" else 1
    return [
        (label.get_text(), label.get_window_extent())
        for label in labels
        if label.get_text() and label.get_visible() and not label.get_rotation()
        if low <= label.get_position()[which] <= high
    ]


def along(line):
    """Points in pixels that lie close to each other on a line, where it is seen."""
    corners = line.get_transform().transform(line.get_xydata())
    if line.get_linestyle() == "None":
        return corners
    place = np.linspace(0, len(corners) - 1, 30 * len(corners))
    return np.stack([np.interp(place, range(len(corners)), x) for x in corners.T], -1)


def test_every_axis_that_counts_has_a_label(figures):
    for name, figure in figures.items():
        for ax in figure.get_axes():
            for axis in (ax.xaxis, ax.yaxis):
                if (
                    ax.axison
                    and tick_boxes(axis)
                    and axis.get_ticks_position() != "none"
                ):
                    assert axis.get_label_text(), f"{name}: {axis.axis_name} of {ax}"


def test_no_tick_lies_on_another(figures):
    for name, figure in figures.items():
        for ax in figure.get_axes():
            boxes = tick_boxes(ax.xaxis), tick_boxes(ax.yaxis)
            for each in boxes:
                assert overlap(each) is None, f"{name}: {overlap(each)}"
            assert overlap(boxes[0] + boxes[1]) is None, f"{name}: at the corner"


def test_no_text_is_cut_off_by_the_edge(figures):
    for name, figure in figures.items():
        inches = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert min(inches.x0, inches.y0) > -0.03, name
        assert inches.x1 < width + 0.03, name
        assert inches.y1 < height + 0.03, name


def test_no_name_lies_on_another(figures):
    for name, figure in figures.items():
        for ax in figure.get_axes():
            texts = [text for text in ax.texts if text.get_text()]
            boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
            assert overlap(boxes) is None, f"{name}: {overlap(boxes)}"


def test_no_legend_lies_on_a_line(figures):
    for name, figure in figures.items():
        legends = [*figure.legends, *(ax.get_legend() for ax in figure.get_axes())]
        boxes = [each.get_window_extent() for each in legends if each is not None]
        for ax in figure.get_axes():
            for line in ax.get_lines():
                seen = [xy for xy in along(line) if ax.bbox.contains(*xy)]
                covered = any(box.contains(*xy) for box in boxes for xy in seen)
                assert not covered, f"{name}: {line.get_label()}"


def test_series_of_one_picture_are_told_apart_in_grey(figures):
    for name, figure in figures.items():
        for ax in figure.get_axes():
            lines = [line for line in ax.get_lines() if line.get_label()[0] != "_"]
            for one, other in combinations(lines, 2):
                pair = f"{name}: {one.get_label()} and {other.get_label()}"
                dashes = one._dash_pattern != other._dash_pattern
                assert dashes or one.get_marker() != other.get_marker(), pair
                step = lightness(one.get_color()) - lightness(other.get_color())
                # A star on its line, and the known answer, which is thin and dotted.
                given = {"*", looks.INK} & {one.get_marker(), one.get_color()}
                given |= {"*", looks.INK} & {other.get_marker(), other.get_color()}
                assert abs(step) >= LEAST_STEP or given, pair


def test_each_colour_has_its_own_lightness_dash_and_marker():
    greys = sorted(map(lightness, looks.COLOURS))
    assert min(np.diff(greys)) >= LEAST_STEP
    main = sorted(map(lightness, (*looks.COLOURS[:4], looks.GREY)))
    assert min(np.diff(main)) >= 2 * LEAST_STEP
    assert len(set(looks.DASHES)) == len(set(looks.MARKERS)) == len(looks.COLOURS)
    many = [str(looks.look(i, marked=True)) for i in range(3 * len(looks.COLOURS))]
    assert len(set(many)) == len(many)


def test_what_is_out_of_reach_is_shaded_to_the_edges():
    short = FRONTIER[:20]  # ends before the path does
    ax = run_plots.run_figure(short, PATH, OPTIMUM, 0.07, 0.9).axes[0]
    (shade,) = ax.collections
    box = shade.get_datalim(ax.transData)
    assert (box.x0, box.x1) == ax.get_xlim()
    assert box.y1 >= ax.get_ylim()[1]


@pytest.mark.parametrize("kl_weight", [0.2, 1.0])
def test_the_optimum_of_a_beta_is_where_a_line_of_slope_beta_touches_the_frontier(
    kl_weight,
):
    """1.7 (1 - exp(-0.8 kl)) has the slope beta at kl = log(1.36 / beta) / 0.8."""
    kl = np.log(1.7 * 0.8 / kl_weight) / 0.8
    learned = 1.7 * (1 - np.exp(-0.8 * kl))
    best = Value(learned, learned, kl, learned - kl_weight * kl)
    words = {"bad": (0.7, 0.1), "good": (0.3, 0.9)}
    figure = run_plots.optimum_figure(FRONTIER, best, kl_weight, words)
    left, right = figure.axes
    _, tangent, star = left.lines
    assert np.ravel(star.get_xydata()).tolist() == [kl, learned]
    (slope,) = np.diff(tangent.get_ydata()) / np.diff(tangent.get_xdata())
    assert abs(slope - kl_weight) < 1e-12
    assert abs(np.interp(kl, *tangent.get_xydata().T) - learned) < 1e-12
    assert [line.get_xdata().tolist() for line in right.lines] == [
        [0.7, 0.3],
        [0.1, 0.9],
    ]
