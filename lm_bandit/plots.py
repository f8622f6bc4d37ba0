"""Pictures of a run. Values in, `Axes` out; nothing is shown or saved here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_bandit.oracle.exact import Value

# Okabe & Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
INK = "#333333"
KL_LABEL = r"KL$(\pi\,||\,\pi_{ref})$, nats per completion"
LEARNED_LABEL = "learned reward (deviations of the reference)"
GOLD_LABEL = "gold reward (sum of the raters' means)"
REFERENCE_LABEL = r"SFT, $\pi_{ref}$"

Values = Sequence[Value]
Course = Sequence[tuple[int, Value]]  # the value after each of some updates of PPO


def run_figure(
    frontier: Values, path: Course, optimum: Value, kl_weight: float, share: float
) -> Figure:
    """Draw a run: the learned reward that PPO raises, and the gold reward.

    Args:
        frontier: the optimum for each of many values of beta.
        path: the policy's value after some updates of PPO, the first after 0.
        optimum: for the beta of the run.
        kl_weight: beta.
        share: (J - J_ref) / (J* - J_ref) at the end of the path.
    """
    figure, (left, right) = _two_panels()
    reward_kl(left, frontier, path, optimum, kl_weight)
    gold_kl(right, frontier, path, optimum)
    left.set_title(f"What PPO raises: {share:.1%} of the way to the optimum")
    right.set_title("What people wanted")
    return figure


def reward_kl(
    axes: Axes, frontier: Values, path: Course, optimum: Value, kl_weight: float
) -> Axes:
    """Draw PPO's path in the plane of KL and learned reward, under the frontier.

    No policy lies above the frontier. The optimum for this beta is where a line of
    slope beta, along which J is constant, touches it.
    Source: Gao et al. (2022) for the plane; Ziegler et al. (2019), eq. 2, for J.
    """
    kl, best = _columns(frontier, "kl", "learned")
    low = min(value.learned for _, value in path)
    axes.plot(kl, best, color=GREY, lw=2, label="exact frontier", zorder=1)
    axes.fill_between(kl, best, best.max() + 1, color=GREY, alpha=0.12, lw=0)
    _draw_path(axes, path, "learned")
    near = np.array([max(optimum.kl - 1.2, 0.0), optimum.kl + 1.2])
    tangent = optimum.objective + kl_weight * near
    label = rf"$J = J^*$ (slope $\beta$ = {kl_weight:g})"
    axes.plot(near, tangent, color=GREEN, lw=1, ls="--", label=label)
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
    axes.set(xlabel=KL_LABEL, ylabel=LEARNED_LABEL)
    axes.legend(loc="lower right", frameon=False)
    return axes


def gold_kl(axes: Axes, frontier: Values, path: Course, optimum: Value) -> Axes:
    """Draw the same policies in the plane of KL and gold reward."""
    kl, gold = _columns(frontier, "kl", "gold")
    axes.plot(kl, gold, color=GREY, lw=2, label="policies of the frontier", zorder=1)
    _draw_path(axes, path, "gold")
    axes.plot(optimum.kl, optimum.gold, "*", color=GREEN, ms=15, label=r"$\pi^*$")
    axes.set(xlabel=KL_LABEL, ylabel=GOLD_LABEL, xlim=(-0.1, None))
    axes.legend(loc="best", frameon=False)
    return axes


def estimated_run_figure(
    updates: Sequence[int],
    means: Float[np.ndarray, "n 3"],
    errors: Float[np.ndarray, "n 3"],
) -> Figure:
    """Draw a run that was only sampled, with error bars.

    Args:
        updates: of PPO, before each of n estimates.
        means: KL by k1, learned and gold reward.
        errors: the standard errors of the means.
    """
    figure, panels = _two_panels()
    figure.suptitle("Estimates from samples, ± 2 standard errors: no frontier is known")
    look: dict[str, Any] = {"color": BLUE, "ms": 5, "lw": 1.2, "capsize": 2}
    kl = means[:, 0]
    for i, name in enumerate((LEARNED_LABEL, GOLD_LABEL), start=1):
        axes, reward = panels[i - 1], means[:, i]
        label = "PPO, estimated at each dot"
        x_error, y_error = 2 * errors[:, 0], 2 * errors[:, i]
        axes.errorbar(kl, reward, y_error, x_error, "o-", label=label, **look)
        axes.plot(kl[0], reward[0], "o", color=ORANGE, ms=9, label=REFERENCE_LABEL)
        _number_dots(axes, updates, kl, reward)
        axes.set(xlabel=KL_LABEL, ylabel=name)
        axes.legend(loc="lower right", frameon=False)
    return figure


def _two_panels() -> tuple[Figure, tuple[Axes, Axes]]:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure, (left, right)


def _draw_path(axes: Axes, path: Course, name: str) -> None:
    kl, reward = _columns([value for _, value in path], "kl", name)
    label = "PPO, exact at each dot"
    axes.plot(kl, reward, "o-", color=BLUE, ms=5, lw=1.2, label=label)
    axes.plot(kl[0], reward[0], "o", color=ORANGE, ms=9, label=REFERENCE_LABEL)
    _number_dots(axes, [update for update, _ in path], kl, reward)


def _number_dots(
    axes: Axes,
    updates: Sequence[int],
    kl: Float[np.ndarray, "n"],
    reward: Float[np.ndarray, "n"],
) -> None:
    """Write the number of updates beside each dot, but for the reference."""
    for update, x, y in zip(updates, kl, reward, strict=True):
        if update > 0:
            axes.annotate(
                f"{update}", (x, y), (6, -11), textcoords="offset points", color=BLUE
            )


def _columns(values: Values, *names: str) -> tuple[Float[np.ndarray, "n"], ...]:
    """Return one array for each of these fields of the values."""
    return tuple(np.array([getattr(value, name) for value in values]) for name in names)
