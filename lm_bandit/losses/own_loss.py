"""A loss of your own: `mine.py:my_loss`, written in jax, in torch or in numpy.

    def my_loss(log_probs, old_log_probs, reference_log_probs, mask, rewards):
        ...                       # [G, T] each, rewards [G]; return one number

A loss in jax or torch is differentiated by its library. One in numpy is differentiated
by differences, one log-probability after the other.
"""

import numbers
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from lm_bandit.losses.expected import Slopes, Update, by_jax
from lm_bandit.losses.tiny import FIFTEEN
from policy_gradient.comparison.own_code import call_own, own_function

STEP = 1e-6  # of a log-probability, for differences
SMALL = 2  # completions of a group where a group takes long
NAMES = ("log_probs", "old_log_probs", "reference_log_probs", "mask", "rewards")


def own_update(given: str, size: int) -> tuple[str, Update]:
    """Return the name and the expected update of a loss in a file of the user's.

    Any error in it is a ValueError of one line. Groups of a loss in numpy are small.
    """
    name, function = own_function("loss", given)
    group = _example(size)
    kind = _library(name, function, group)
    if kind == "jax":
        slopes = by_jax(function)
    else:
        by = _torch_slopes if kind == "torch" else _numpy_slopes
        slopes = _from_outside(lambda *groups: by(name, function, *groups))
        size = min(size, SMALL) if kind == "numpy" else size
    update = Update(slopes, size=size)
    if not all(np.all(np.isfinite(update(point))) for point in FIFTEEN.points()):
        raise ValueError(f"{name}: its gradient must be finite, got nan or infinity")
    return name, update


def _example(size: int) -> tuple[np.ndarray, ...]:
    """Return one group of completions."""
    point = FIFTEEN.points()[0]
    tables = [FIFTEEN.token_log_probs(x) for x in (point.logits, point.logits)]
    reference = FIFTEEN.token_log_probs(point.reference)
    rows = np.arange(1, size + 1)
    return tuple(
        np.array(x)[rows] for x in (*tables, reference, FIFTEEN.mask, point.rewards)
    )


def _library(
    name: str, function: Callable[..., Any], group: tuple[np.ndarray, ...]
) -> str:
    """Return the library in which a loss is written; raise ValueError if it fails."""
    try:
        shape = jax.eval_shape(function, *group)
        if isinstance(shape, jax.ShapeDtypeStruct):
            _require_number(name, shape.shape)
            return "jax"
    except ValueError:
        raise
    except Exception:  # it is not written in jax, or it is wrong
        pass
    if "torch" in sys.modules:
        import torch

        tensors = [torch.from_numpy(x.copy()) for x in group]
        try:
            value = function(*tensors)
        except TypeError:
            value = None
        if isinstance(value, torch.Tensor):
            _require_number(name, tuple(value.shape))
            return "torch"
    copies = [x.copy() for x in group]
    value = call_own(name, function, *copies)
    _require_number(name, np.shape(value))
    if not isinstance(value, numbers.Real):
        got = type(value).__name__
        raise ValueError(f"{name} must return one number, got a {got}")
    for argument, before, after in zip(NAMES, group, copies, strict=True):
        if not np.array_equal(before, after):
            raise ValueError(
                f"{name} must not change its arguments, it changes {argument}"
            )
    return "numpy"


def _require_number(name: str, shape: tuple[int, ...]) -> None:
    if shape:
        raise ValueError(
            f"{name} must return one number, got an array of shape {shape}"
        )


def _from_outside(slopes: Callable[..., np.ndarray]) -> Slopes:
    """Return slopes that jax asks another library for."""

    def ask(*groups: Float[Array, "..."]) -> Float[Array, "n G T"]:
        shape = jax.ShapeDtypeStruct(groups[0].shape, groups[0].dtype)
        return jax.pure_callback(slopes, shape, *groups)

    return ask


def _torch_slopes(
    name: str, function: Callable[..., Any], *groups: Float[Array, "..."]
) -> np.ndarray:
    """Return the gradients of a loss in torch, group by group."""
    import torch

    log_probs, *rest = (torch.tensor(np.asarray(x)) for x in groups)
    log_probs.requires_grad_()
    total = sum(
        call_own(name, function, *(x[i] for x in (log_probs, *rest)))
        for i in range(len(log_probs))
    )
    if not (isinstance(total, torch.Tensor) and total.requires_grad):
        raise ValueError(f"{name} must depend on log_probs, got a constant")
    return torch.autograd.grad(total, log_probs)[0].numpy()


def _numpy_slopes(
    name: str, function: Callable[..., Any], *groups: Float[Array, "..."]
) -> np.ndarray:
    """Return the gradients of a loss in numpy, by central differences."""
    log_probs, *rest = (np.array(x) for x in groups)
    found = np.zeros_like(log_probs)
    for place in np.ndindex(log_probs.shape[1:]):
        for sign in (1.0, -1.0):
            moved = log_probs.copy()
            moved[(slice(None), *place)] += sign * STEP
            for i in range(len(moved)):
                value = call_own(name, function, moved[i], *(x[i].copy() for x in rest))
                found[(i, *place)] += sign * float(value) / (2 * STEP)
    return found
