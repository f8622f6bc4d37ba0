"""Pictures of a run. Arrays in, `Axes` out; nothing is shown or saved here."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_bandit.exact import Value

# Okabe & Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"


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
    axes.set(xlabel=_KL, ylabel="learned reward (deviations of the reference)")
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
    axes.set(
        xlabel=_KL, ylabel="gold reward (sum of the raters' means)", xlim=(-0.1, None)
    )
    axes.legend(loc="lower center", frameon=False)
    return axes


def run(
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


_KL = r"KL$(\pi\,||\,\pi_{ref})$, nats per completion"


def _path(axes, path, name):
    kl, reward = _columns([value for _, value in path], "kl", name)
    axes.plot(
        kl, reward, "o-", color=BLUE, ms=5, lw=1.2, label="PPO, exact at each dot"
    )
    axes.plot(kl[0], reward[0], "o", color=ORANGE, ms=9, label=r"SFT, $\pi_{ref}$")
    for (update, _), x, y in zip(path, kl, reward, strict=True):
        if update > 0:
            axes.annotate(
                f"{update}", (x, y), (6, -11), textcoords="offset points", color=BLUE
            )


def _columns(values, *names):
    return (np.array([getattr(value, name) for value in values]) for name in names)
