"""The picture of a run on sums: pass@k, and the way to the optimum.

Curves are exact. A line is the mean over the seeds, and a band holds them all.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_bandit.sums.pass_at_k import pass_at_k
from mdp.looks import BELOW, GREY, INK, Look, look

TRIES = np.unique(np.geomspace(1, 4096, 60).astype(int))  # values of k

# The looks of what is known before any tuning: base, reference and optimum.
KNOWN: tuple[Look, ...] = (
    {"color": GREY, "ls": "-", "lw": 3.0},
    {"color": INK, "ls": "-", "lw": 2.2},
    {"color": INK, "ls": ":", "lw": 1.6},
)

Success = Mapping[str, Float[np.ndarray, "seeds k"]]


def sums_figure(
    known: Mapping[str, Float[np.ndarray, "k"]],
    success: Success,
    shares: Mapping[str, Float[np.ndarray, "seeds updates"]],
) -> Figure:
    """Draw the unsolved share after k tries, and J along the updates of each method.

    `known` has the base, the reference and the optimum, `success` the methods.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_unsolved(left, known, success)
    draw_ways(right, shares)
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, ncols=5, **BELOW)
    return figure


def draw_unsolved(
    axes: Axes, known: Mapping[str, Float[np.ndarray, "k"]], success: Success
) -> Axes:
    """Draw 1 - pass@k against k, both in powers of ten; lower is better."""
    for (name, probs), style in zip(known.items(), KNOWN, strict=True):
        axes.plot(TRIES, 1.0 - pass_at_k(probs, TRIES), label=name, **style)
    for i, (name, runs) in enumerate(success.items()):
        curves = [1.0 - pass_at_k(probs, TRIES) for probs in runs]
        axes.plot(TRIES, np.mean(curves, axis=0), label=name, **look(i))
    axes.set(xscale="log", yscale="log", ylim=(1e-5, 1.0), xlim=(1, TRIES[-1]))
    axes.set(xlabel="tries, k", ylabel="prompts unsolved after k tries, 1 - pass@k")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def draw_ways(
    axes: Axes, shares: Mapping[str, Float[np.ndarray, "seeds updates"]]
) -> Axes:
    """Draw how much of the way from J_ref to J* is left after each update."""
    for i, rows in enumerate(shares.values()):
        line, left = look(i), 1.0 - rows
        updates = np.arange(1, left.shape[1] + 1)
        axes.plot(updates, left.mean(0), **line)
        axes.fill_between(
            updates, left.min(0), left.max(0), color=line["color"], alpha=0.12, lw=0
        )
    axes.axhline(0.01, color=INK, lw=0.8)
    axes.text(1, 0.0105, "99% of the way", va="bottom", color=INK)
    axes.set(yscale="log", ylim=(3e-3, 1.5), xlabel="update")
    axes.set_ylabel("share of the way to J* that is left")
    axes.spines[["top", "right"]].set_visible(False)
    return axes
