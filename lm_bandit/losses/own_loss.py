"""A loss of your own: `mine.py:my_loss`, written in jax, in torch or in numpy.

    def my_loss(log_probs, old_log_probs, reference_log_probs, mask, rewards):
        ...                       # [G, T] each, rewards [G]; return one number

A loss in jax or torch is differentiated by its library. One in numpy is differentiated
by differences, one log-probability after the other. That, and a loss in torch that asks
for the values of its tensors, is called once for each group, so its groups are small.
"""

import numbers
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lm_bandit.losses.expected import Slopes, Update, by_jax
from lm_bandit.losses.tiny import FIFTEEN
from policy_gradient.comparison.own_code import call_own, own_function

STEP = 1e-6  # of a log-probability, for differences
SMALL = 2  # completions of a group, at most, where each group takes a call
NAMES = ("log_probs", "old_log_probs", "reference_log_probs", "mask", "rewards")


def own_update(given: str, size: int) -> tuple[str, Update]:
    """Return the name and the expected update of a loss in a file of the user's.

    Any error in it is a ValueError of one line. A loss that is called group by group
    gets small groups.
    """
    name, function = own_function("loss", given)
    group = _example(size)
    kind = _library(name, function, group)
    if kind == "jax":
        slopes = by_jax(function)
    elif kind == "torch" and _torch_maps(function, group):
        slopes = _from_outside(partial(_torch_slopes_at_once, function))
    else:
        size = min(size, SMALL)
        by = _torch_slopes if kind == "torch" else _numpy_slopes
        slopes = _from_outside(partial(by, name, function))
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
            _require_finite(name, float(function(*group)))
            return "jax"
    except ValueError:
        raise
    except Exception:  # it is not written in jax, or it is wrong
        pass
    # A loss in torch has imported it by now.
    if "torch" in sys.modules and _is_torch(name, function, group):
        return "torch"
    copies = [x.copy() for x in group]
    value = call_own(name, function, *copies)
    _require_number(name, np.shape(value))
    if not isinstance(value, numbers.Real):
        got = type(value).__name__
        raise ValueError(f"{name} must return one number, got a {got}")
    _require_finite(name, float(value))
    _require_unchanged(name, group, copies)
    return "numpy"


def _is_torch(
    name: str, function: Callable[..., Any], group: tuple[np.ndarray, ...]
) -> bool:
    """Return whether a loss is written in torch; raise ValueError if it is wrong."""
    import torch

    tensors = [torch.tensor(x) for x in group]
    tensors[0].requires_grad_()
    try:
        value = call_own(name, function, *tensors)
        if not isinstance(value, torch.Tensor):
            got = type(value).__name__
            raise ValueError(
                f"{name} must return a tensor, so that torch can differentiate it, "
                f"got a {got}"
            )
    except ValueError:
        if _takes_numpy(function, group):
            return False
        raise
    _require_number(name, tuple(value.shape))
    _require_unchanged(name, group, [x.detach().numpy() for x in tensors])
    if not value.is_floating_point():
        raise ValueError(f"{name} must return a float, got one of {value.dtype}")
    _require_finite(name, value.item())
    if not value.requires_grad:
        raise ValueError(
            f"{name} must be differentiable by log_probs, got a tensor without a "
            "gradient: it is a constant, or it was detached"
        )
    return True


def _takes_numpy(function: Callable[..., Any], group: tuple[np.ndarray, ...]) -> bool:
    """Return whether a loss works with arrays of numpy."""
    try:
        function(*(x.copy() for x in group))
    except Exception:
        return False
    return True


def _require_finite(name: str, value: float) -> None:
    if not np.isfinite(value):
        raise ValueError(f"{name} must return a finite number, got {value}")


def _require_unchanged(
    name: str, group: tuple[np.ndarray, ...], used: list[np.ndarray]
) -> None:
    """Raise ValueError if a loss has changed one of its arguments."""
    for argument, before, after in zip(NAMES, group, used, strict=True):
        if not np.array_equal(before, after):
            raise ValueError(
                f"{name} must not change its arguments, it changes {argument}"
            )


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


def _torch_maps(function: Callable[..., Any], group: tuple[np.ndarray, ...]) -> bool:
    """Return whether torch can map a loss over groups, which is a hundred times faster.

    It cannot if the loss asks a tensor for its value, as `if` and `item` do.
    """
    try:
        _torch_slopes_at_once(function, *(jnp.stack([x, x]) for x in group))
    except Exception:
        return False
    return True


def _torch_slopes_at_once(
    function: Callable[..., Any], *groups: Float[Array, "..."]
) -> np.ndarray:
    """Return the gradients of a loss in torch, of all groups in one call."""
    import torch

    tensors = (torch.tensor(np.asarray(x)) for x in groups)
    return torch.func.vmap(torch.func.grad(function))(*tensors).numpy()


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
