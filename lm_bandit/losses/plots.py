"""A picture of a loss: its expected update as arrows on the triangle of all policies.

    loss_figure    the field of arrows, with pi*, pi_ref and where the update leads
    field          the same as numbers

A policy on three completions is a point of a triangle; each corner is one completion.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm_bandit.losses.expected import Update, follow
from lm_bandit.losses.tiny import THREE, Point
from mdp.looks import BLUE, GREEN, INK, INSIDE, ORANGE, dots

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
REFERENCE = np.array([0.5, 0.2, 0.3])
REWARDS = np.array([0.0, 0.3, 0.2])
PER_SIDE = 13  # arrows


class Field(NamedTuple):
    """The expected update at many policies on three completions, and where it leads."""

    policies: Float[np.ndarray, "n 3"]
    moves: Float[np.ndarray, "n 3"]  # changes of the policies; the longest has length 1
    optimum: Float[np.ndarray, "3"]  # pi*
    end: Float[np.ndarray, "3"]  # of the way from the reference along the update


def loss_figure(update: Update, kl_weight: float, title: str) -> Figure:
    """Draw where a loss leads to, on a bandit of three completions."""
    small = Update(
        update.slopes, update.sampler, update.size, update.old_is_policy, THREE
    )
    figure = Figure(figsize=(6.2, 5.4), layout="constrained")
    axes = figure.add_subplot()
    draw_field(axes, small, kl_weight)
    axes.set_title(title, wrap=True, fontsize=9, loc="left")
    return figure


def draw_field(axes: Axes, update: Update, kl_weight: float) -> Axes:
    """Draw the arrows, the reference, the optimum and the end on given axes."""
    found = field(update, kl_weight)
    places, arrows = found.policies @ CORNERS, found.moves @ CORNERS
    lengths = np.linalg.norm(arrows, axis=1, keepdims=True)
    arrows *= lengths**-0.5 if lengths.min() > 0 else 1.0  # short ones stay visible
    axes.plot(*CORNERS[[0, 1, 2, 0]].T, color=INK, lw=1)
    axes.quiver(*places.T, *arrows.T, color=INK, alpha=0.6, width=0.0035, scale=14)
    marks = {
        r"$\pi_{ref}$": (REFERENCE, ORANGE),
        r"$\pi^*$": (found.optimum, GREEN),
        "where it leads": (found.end, BLUE),
    }
    for name, (policy, colour) in marks.items():
        style = {**dots(colour), "ms": 10, "zorder": 5}
        axes.plot(*(policy @ CORNERS), label=name, **style)
    for name, corner, reward, below in zip(
        THREE.names, CORNERS, REWARDS, (True, True, False), strict=True
    ):
        shift = -0.03 if below else 0.03
        text = f"{name}\nreward {reward:g}"
        axes.text(
            corner[0],
            corner[1] + shift,
            text,
            ha="center",
            va="top" if below else "bottom",
        )
    axes.legend(loc="upper right", **INSIDE)
    axes.set_aspect("equal")
    axes.set(xlim=(-0.12, 1.12), ylim=(-0.18, 1.02))
    axes.axis("off")
    return axes


def field(update: Update, kl_weight: float) -> Field:
    """Return the arrows of an update, for REFERENCE and REWARDS."""
    reference = _logits(REFERENCE)
    point = Point(reference, reference, jnp.asarray(REWARDS))
    policies = _grid()
    moves = np.array([_move(update, point, policy) for policy in policies])
    moves /= np.linalg.norm(moves, axis=1, keepdims=True).max() + 1e-300
    best = REFERENCE * np.exp(REWARDS / kl_weight)
    end = follow(update, point, kl_weight).policy
    return Field(policies, moves, best / best.sum(), end)


def _grid() -> Float[np.ndarray, "n 3"]:
    """Return policies inside the triangle, evenly spread."""
    sides = np.arange(1, PER_SIDE) / PER_SIDE
    return np.array([(1 - a - b, a, b) for a in sides for b in sides if a + b < 0.99])


def _logits(policy: Float[np.ndarray, "3"]) -> Float[jax.Array, "2 2"]:
    """Return the logits of a policy on the three completions."""
    end, *more = policy
    rest = max(sum(more), 1e-12)
    probs = np.array([[end, rest], [more[0] / rest, more[1] / rest]])
    return jnp.log(jnp.asarray(probs))


def _move(
    update: Update, point: Point, policy: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "3"]:
    """Return the change of the three probabilities by a small step of the update."""
    logits = _logits(policy)
    step = update(point._replace(logits=logits)).reshape(logits.shape)
    return np.asarray(_pushed(logits, jnp.asarray(step)))


@jax.jit
def _pushed(
    logits: Float[jax.Array, "2 2"], step: Float[jax.Array, "2 2"]
) -> Float[jax.Array, "3"]:
    """Return the change of the three probabilities by a small step of the logits."""
    return jax.jvp(THREE.probabilities, (logits,), (step,))[1]
