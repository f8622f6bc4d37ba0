"""Pictures of a run. Arrays in, `Axes` out; nothing is shown or saved here."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_bandit.alternatives.comparison import MethodComparison
from lm_bandit.oracle.exact import Value

# Okabe & Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
COLOURS = (BLUE, "#E69F00", ORANGE, "#CC79A7", GREEN, "#56B4E9", "#8C6D31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK = "#333333"

Looks = dict[str, tuple[str, str]]  # of each method: colour and marker


def reward_kl(
    axes: Axes,
    frontier: Sequence[Value],
    path: Sequence[tuple[int, Value]],
    optimum: Value,
    kl_weight: float,
) -> Axes:
    """Where PPO went in the reward-KL plane, under the best that can be had.

    No policy lies above the frontier. The optimum for this beta is where a line of
    slope beta, along which J is constant, touches it.
    """
    kl, best = _columns(frontier, "kl", "learned")
    low = min(value.learned for _, value in path)
    axes.plot(kl, best, color=GREY, lw=2, label="exact frontier", zorder=1)
    axes.fill_between(kl, best, best.max() + 1, color=GREY, alpha=0.12, lw=0)
    _path(axes, path, "learned")
    near = np.array([max(optimum.kl - 1.2, 0.0), optimum.kl + 1.2])
    axes.plot(
        near,
        optimum.objective + kl_weight * near,
        color=GREEN,
        lw=1,
        ls="--",
        label=rf"$J = J^*$ (slope $\beta$ = {kl_weight:g})",
    )
    axes.plot(optimum.kl, optimum.learned, "*", color=GREEN, ms=15, label=r"$\pi^*$")
    axes.annotate(
        "out of reach",
        (0.04, 0.93),
        xycoords="axes fraction",
        color=GREY,
        style="italic",
    )
    span = best.max() - low
    axes.set(ylim=(low - 0.08 * span, best.max() + 0.12 * span), xlim=(-0.1, None))
    axes.set(xlabel=_KL, ylabel=_LEARNED)
    axes.legend(loc="lower right", frameon=False)
    return axes


def gold_kl(
    axes: Axes,
    frontier: Sequence[Value],
    path: Sequence[tuple[int, Value]],
    optimum: Value,
) -> Axes:
    """The same policies, by what the raters would say of them."""
    kl, gold = _columns(frontier, "kl", "gold")
    axes.plot(kl, gold, color=GREY, lw=2, label="policies of the frontier", zorder=1)
    _path(axes, path, "gold")
    axes.plot(optimum.kl, optimum.gold, "*", color=GREEN, ms=15, label=r"$\pi^*$")
    axes.set(xlabel=_KL, ylabel=_GOLD, xlim=(-0.1, None))
    axes.legend(loc="best", frameon=False)
    return axes


def run_figure(
    frontier: Sequence[Value],
    path: Sequence[tuple[int, Value]],
    optimum: Value,
    kl_weight: float,
    share: float,
) -> Figure:
    """The figure of a run: what PPO was told to raise, and what people wanted."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    reward_kl(left, frontier, path, optimum, kl_weight)
    gold_kl(right, frontier, path, optimum)
    left.set_title(f"What PPO raises: {share:.1%} of the way to the optimum")
    right.set_title("What people wanted")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def estimated_run_figure(
    updates: Sequence[int],
    means: Float[np.ndarray, "n 3"],
    errors: Float[np.ndarray, "n 3"],
) -> Figure:
    """A run's path where nothing is exact: KL by k1, learned and gold reward."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle("Estimates from samples, ± 2 standard errors: no frontier is known")
    for i, (axes, name) in enumerate(
        zip(figure.subplots(1, 2), (_LEARNED, _GOLD), strict=True), start=1
    ):
        axes.errorbar(
            means[:, 0],
            means[:, i],
            2 * errors[:, i],
            2 * errors[:, 0],
            "o-",
            color=BLUE,
            ms=5,
            lw=1.2,
            capsize=2,
            label="PPO, estimated at each dot",
        )
        axes.plot(*means[0, [0, i]], "o", color=ORANGE, ms=9, label=_SFT)
        _number(axes, updates, means[:, 0], means[:, i])
        axes.set(xlabel=_KL, ylabel=name)
        axes.legend(loc="lower right", frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def comparison(found: MethodComparison) -> Figure:
    """The paths of all methods under the frontier, and what is left to the optimum."""
    figure = Figure(figsize=(12.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    looks = dict(zip(found.runs, zip(COLOURS, MARKERS, strict=True), strict=False))
    paths(left, found, looks)
    regrets(right, found, looks)
    left.set_title("Every method's path, under the best that can be had", loc="left")
    right.set_title("What is left to the optimum", loc="left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def paths(axes: Axes, found: MethodComparison, looks: Looks) -> Axes:
    """The median path over the seeds, and that of each seed, thin; all exact."""
    start, optimum = found.reference, found.optimum
    kl, best = _columns(found.frontier, "kl", "learned")
    kl_n, best_n = _columns([value for _, value in found.best_of_n], "kl", "learned")
    points = {
        name: np.array(
            [[(v.kl, v.learned) for v in (start, *path)] for path in runs.values]
        )
        for name, runs in found.runs.items()
    }
    middles = {name: np.median(of_seeds, 0) for name, of_seeds in points.items()}
    right = 1.1 * max(optimum.kl, *(path[:, 0].max() for path in middles.values()))
    # No more than the best reward is to be had, whatever is spent.
    kl, best = [start.kl, *kl, kl[-1] + right], [start.learned, *best, best[-1]]
    span = best[-1] - start.learned
    top = best[-1] + 0.12 * span
    axes.plot(kl, best, color=INK, lw=2, zorder=1, label="exact frontier")
    axes.fill_between(kl, best, top, color=GREY, alpha=0.12, lw=0)
    axes.plot(kl_n, best_n, ".:", color=GREY, lw=1.5, zorder=2, label="best of n")
    for name, (colour, marker) in looks.items():
        for path in points[name]:
            axes.plot(*path.T, color=colour, lw=0.6, alpha=0.3, zorder=2)
        look = {"color": colour, "marker": marker, "ms": 5, "lw": 1.8}
        axes.plot(*middles[name].T, **look, zorder=4)
    axes.plot(optimum.kl, optimum.learned, "*", color="black", ms=15, zorder=6)
    axes.plot(start.kl, start.learned, "o", color="black", ms=7, zorder=5)
    beside = {"textcoords": "offset points", "color": INK, "zorder": 7}
    axes.annotate(r"$\pi^*$", (optimum.kl, optimum.learned), (-4, 10), **beside)
    axes.annotate("the reference", (start.kl, start.learned), (9, -4), **beside)
    axes.annotate("nothing lies here", (0.03 * right, top), (0, -14), **beside)
    axes.legend(loc="lower right")
    axes.set(xlim=(-0.03 * right, right), ylim=(start.learned - 0.08 * span, top))
    axes.set(xlabel=_KL, ylabel=_LEARNED)
    return axes


def regrets(axes: Axes, found: MethodComparison, looks: Looks) -> Axes:
    """J* - J over completions pulled: the median run, and the range of all."""
    top = found.optimum.objective
    ends = {}
    for name, (colour, marker) in looks.items():
        runs = found.runs[name]
        regret = top - np.array([[v.objective for v in path] for path in runs.values])
        middle = np.median(regret, 0)
        axes.fill_between(
            runs.completions, regret.min(0), regret.max(0), color=colour, alpha=0.1
        )
        axes.plot(runs.completions, middle, color=colour, marker=marker, ms=5, lw=1.8)
        ends[name] = runs.completions[-1], middle[-1]
    start = top - found.reference.objective
    axes.axhline(start, color=GREY, lw=1, ls="--")
    where = axes.get_yaxis_transform()  # x in axes, y in data
    axes.text(0.02, start, "the reference", va="bottom", color=INK, transform=where)
    axes.set(xscale="log", yscale="log")
    pulled = sorted({n for runs in found.runs.values() for n in runs.completions})
    axes.set_xticks(pulled, [f"{n:,}" for n in pulled])
    axes.minorticks_off()
    axes.set(xlabel="completions pulled", ylabel=r"regret $J^* - J(\pi)$")
    _label_ends(axes, ends, looks)
    return axes


def _label_ends(axes, ends, looks):
    """The name of each line to the right of its end, moved apart where they crowd."""
    axes.figure.draw_without_rendering()
    to_pixels = axes.transData.transform
    heights = {name: to_pixels(end)[1] for name, end in ends.items()}
    gap, last = axes.figure.dpi * 0.17, -np.inf
    for name in sorted(heights, key=heights.get):
        last = max(heights[name], last + gap)
        moved = (last - heights[name]) * 72 / axes.figure.dpi
        axes.annotate(
            name,
            ends[name],
            (9, moved),
            textcoords="offset points",
            color=looks[name][0],
            va="center",
            annotation_clip=False,
        )


_KL = r"KL$(\pi\,||\,\pi_{ref})$, nats per completion"
_LEARNED = "learned reward (deviations of the reference)"
_GOLD = "gold reward (sum of the raters' means)"
_SFT = r"SFT, $\pi_{ref}$"


def _path(axes, path, name):
    kl, reward = _columns([value for _, value in path], "kl", name)
    axes.plot(
        kl, reward, "o-", color=BLUE, ms=5, lw=1.2, label="PPO, exact at each dot"
    )
    axes.plot(kl[0], reward[0], "o", color=ORANGE, ms=9, label=_SFT)
    _number(axes, [update for update, _ in path], kl, reward)


def _number(axes, updates, kl, reward):
    for update, x, y in zip(updates, kl, reward, strict=True):
        if update > 0:
            axes.annotate(
                f"{update}", (x, y), (6, -11), textcoords="offset points", color=BLUE
            )


def _columns(values, *names):
    return (np.array([getattr(value, name) for value in values]) for name in names)
