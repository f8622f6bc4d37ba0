"""What is compared where two functions may answer alike and learn differently.

A view takes a function and its inputs, by name, and returns parts, each with a name.
"""

import contextlib
import io
from collections.abc import Callable

import jax
import jax.numpy as jnp


def answer_and_gradient(function: Callable, inputs: dict) -> dict:
    """The answer, and its gradient by the first input: by what is learned."""
    return _answer_and_gradients(function, inputs, list(inputs)[:1])


def answer_and_gradients(function: Callable, inputs: dict) -> dict:
    """The answer, and its gradient by the first two inputs: the other one is data."""
    return _answer_and_gradients(function, inputs, list(inputs)[:2])


def _answer_and_gradients(function, inputs, names) -> dict:
    parts = {"answer": function(*inputs.values())}
    if jnp.shape(parts["answer"]) != ():
        return parts

    def answer(*learned):
        return function(*(inputs | dict(zip(names, learned, strict=True))).values())

    learned = [inputs[name] for name in names]
    # What is printed on the way has been printed once.
    with contextlib.redirect_stdout(io.StringIO()):
        gradients = jax.grad(answer, range(len(names)))(*learned)
    for name, gradient in zip(names, gradients, strict=True):
        parts[f"gradient by {name}"] = gradient
    return parts
