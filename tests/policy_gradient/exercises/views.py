"""What is compared where answers alone do not say enough.

A view takes a function and its inputs, by name, and returns what is compared: the
answer, or parts that are derived from it, each with a name.
"""

import contextlib
import io
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def uncompiled(function: Callable, inputs: dict) -> Any:
    """The answer, every loop of jax run step by step: that is sooner done."""
    with jax.disable_jit():
        return function(*inputs.values())


def answer_and_gradient(function: Callable, inputs: dict) -> dict:
    """The answer, and its gradient by the first array: by what learns."""
    return with_gradients(function, inputs, 1)


def answer_and_gradients(function: Callable, inputs: dict) -> dict:
    """The answer, and its gradient by the first two arrays: one learns, one is data.

    Nobody differentiates by what is old: the policy that acted is gone.
    """
    return with_gradients(function, inputs, 2)


def log_policy(function: Callable, inputs: dict) -> dict:
    """Log-probabilities where there are any; else any number will do, if finite."""
    answer = function(*inputs.values())
    if np.shape(answer) != np.shape(inputs["preferences"]):
        return {"log-probabilities": answer}
    there, answer = np.asarray(inputs["available"]), np.asarray(answer)
    finite = np.where(np.isfinite(answer), answer, np.nan)
    return {
        "log-probabilities": np.where(there, finite, np.float32(0.0)),
        "probability of what is not available": np.asarray(
            np.exp(answer[~there]).sum()
        ),
        "all finite": bool(np.isfinite(answer).all()),
    }


def shuffles(function: Callable, inputs: dict) -> dict:
    """What every good shuffle has in common; the numbers are up to chance."""
    key, size, epochs, minibatches = inputs.values()
    answer = function(key, size, epochs, minibatches)
    steps = (epochs * minibatches, size // minibatches)
    if np.shape(answer) != steps:
        return {"shape of the answer": np.shape(answer)}
    rows = np.asarray(answer).reshape(epochs, size)
    again, other = (
        np.asarray(function(a_key, size, epochs, minibatches))
        for a_key in (key, jax.random.key(99))
    )
    in_order = (rows == np.arange(size)).all(1)
    return {
        "shape of the answer": steps,
        "whole numbers": bool(rows.dtype.kind == "i"),
        "every sample once an epoch": bool((np.sort(rows) == np.arange(size)).all()),
        "every sample as often as any other": bool(
            len(set(np.bincount(rows.reshape(-1), minlength=size))) == 1
        ),
        "epochs left as they were": int(in_order.sum()),
        "different orders": len({tuple(row) for row in rows}),
        "the same key, the same order": bool((again == np.asarray(answer)).all()),
        "another key, another order": bool((other != np.asarray(answer)).any()),
    }


def with_gradients(function: Callable, inputs: dict, most: int) -> dict:
    """The answer, and its gradients by so many arrays, but not by what is old."""
    parts = {"answer": function(*inputs.values())}
    if np.shape(parts["answer"]) != ():
        return parts
    arrays = [name for name, value in inputs.items() if isinstance(value, jax.Array)]
    names = [name for name in arrays if not name.startswith("old_")][:most]

    def answer(*values):
        return function(*(inputs | dict(zip(names, values, strict=True))).values())

    values = [inputs[name] for name in names]
    # What is printed on the way has been printed once.
    with contextlib.redirect_stdout(io.StringIO()):
        gradients = jax.grad(answer, range(len(names)))(*values)
    for name, gradient in zip(names, gradients, strict=True):
        parts[f"gradient by {name}"] = gradient
    return parts
