"""Inputs of the exercises on policy gradients, and views of their answers.

The inputs of an exercise come smallest first. The first can be checked by hand, and
the last leave nothing out. Where a case is a pair, its second entry is how far two
right answers may differ.

A view takes a function and its inputs, by name, and returns what is compared: the
answer, or parts that are derived from it, each with a name.
"""

import contextlib
import io
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.exercises.cases import inputs_named
from tests.exercises.same import shape_of
from tests.mdp import inputs as of_worlds
from tests.policy_gradient import inputs
from tests.policy_gradient.inputs import (
    array,
)

OF_AVAILABLE = "log-probabilities of available actions"


def preferences(seed):
    rng = np.random.default_rng(seed)
    yield {"preferences": array(0.0, 0.0), "available": jnp.array([True, True])}
    yield {"preferences": array(1.0, -1.0), "available": jnp.array([True, True])}
    for _ in range(2):
        yield inputs.preferences(rng)
    # What exp makes of this is too large for seven digits.
    available = jnp.array([True, True, True, False])
    yield {"preferences": array(100.0, 99.0, 98.0, 0.0), "available": available}


def preferences_and_actions(seed):
    rng = np.random.default_rng(seed)
    even = {"preferences": array(0.0, 0.0), "available": jnp.array([True, True])}
    yield even | {"action": jnp.array(1)}
    for _ in range(3):
        case = inputs.preferences(rng)
        possible = np.flatnonzero(case["available"])
        yield case | {"action": jnp.array(int(rng.choice(possible)))}


def worlds_and_policies(seed):
    rng = np.random.default_rng(seed)
    # From 0 to 1 or to the end: two decisions, of which the second comes less often.
    small = of_worlds.small_world()._replace(start=np.array([1.0, 0.0, 0.0]))
    half = np.array([[0.5, 0.5], [0.0, 1.0], [0.5, 0.5]])
    yield {"mdp": small, "policy": half}
    for size in ((3, 2, 3), (6, 3, 4)):
        world = of_worlds.world(rng, *size)
        yield {"mdp": world, "policy": of_worlds.policy(rng, world)}


def trajectories(seed):
    rng = np.random.default_rng(seed)
    yield {"trajectory": inputs.trajectory([3.0], [0.5], [1.0], [2.0])}
    # It ends; it is cut off; and then both, in the middle.
    for discounts, continues in (([0.5, 0.0], [1, 0]), ([0.5, 0.5], [0, 1])):
        both = inputs.trajectory([2.0, -4.0], discounts, continues, [1, 6])
        yield {"trajectory": both}
    yield {"trajectory": inputs.random_trajectory(rng)}


def trajectories_and_traces(seed):
    traces = (0.5, 0.5, 0.5, 0.8)
    for case, trace_decay in zip(trajectories(seed), traces, strict=True):
        yield case | {"trace_decay": trace_decay}


def episodes(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("log_probs advantages weights")
    yield case(array([[-1.0, -2.0]]), array([[3.0, -1.0]]), array([[1.0, 1.0]]))
    for _ in range(2):
        yield inputs.episodes(rng)


def returns_of_episodes(seed):
    rng = np.random.default_rng(seed)
    # The second episode is one step long; the 9 behind it is padding.
    case = inputs_named("returns mask")
    yield case(array([[4.0, 2.0], [-3.0, 9.0]]), array([[1.0, 1.0], [1.0, 0.0]]))
    for _ in range(2):
        mask = inputs.mask(rng)
        yield case(array(rng.normal(2.0, 3.0, mask.shape)), array(mask))


def returns_and_a_constant(seed):
    for case, baseline in zip(returns_of_episodes(seed), (1.0, -2.5, 3.5), strict=True):
        returns, mask = case.values()
        yield {"returns": returns, "baseline": array(baseline), "mask": mask}


def values_and_targets(seed):
    rng = np.random.default_rng(seed)
    yield {"value": array(5.0), "target": array(2.0)}
    for value, target in ((1.0, 3.0), *rng.normal(0.0, 3.0, (2, 2))):
        yield {"value": array(value), "target": array(target)}


def log_probs_then_and_now(seed):
    for case in ratios_and_advantages(seed):
        yield {name: case[name] for name in ("log_prob", "old_log_prob")}


def ratios_and_advantages_unclipped(seed):
    for case in ratios_and_advantages(seed):
        yield {name: value for name, value in case.items() if name != "clip"}


def ratios_and_advantages(seed):
    """Ratios beyond the clip range and within it, with advantages of both signs."""
    rng = np.random.default_rng(seed)
    yield _at_ratio(2.0, 0.25, 2.0, 0.25)
    yield _at_ratio(2.0, 0.25, -2.0, 0.25)
    yield _at_ratio(0.5, 0.5, 2.0, 0.25)
    yield _at_ratio(0.5, 0.5, -2.0, 0.25)
    for ratio, sign in ((1.1, 1.0), (0.9, -1.0), (1.6, -1.0), (0.6, 1.0)):
        near = ratio * rng.uniform(0.97, 1.03)
        advantage = sign * rng.uniform(0.5, 3.0)
        yield _at_ratio(near, rng.uniform(0.1, 0.5), advantage, 0.2)


def rows_of_actions(seed):
    """Texts as one action each, and token by token."""
    rng = np.random.default_rng(seed)
    case = inputs_named("log_probs old_log_probs advantages weights clip")
    for ratio, advantage in ((2.0, 1.0), (2.0, -1.0), (0.5, 1.0), (0.5, -1.0)):
        now, old = array([[np.log(0.25 * ratio)]]), array([[np.log(0.25)]])
        yield case(now, old, array([[advantage]]), array([[1.0]]), 0.25)
    # Two tokens that go opposite ways: together they are as likely as before.
    now, old = array([np.log([0.5, 0.25])]), array([np.log([0.25, 0.5])])
    yield case(now, old, array([[3.0, 3.0]]), array([[1.0, 1.0]]), 0.25)
    for _ in range(2):
        yield inputs.rows_then_and_now(rng) | {"clip": 0.2}


def batches_of_advantages(seed):
    rng = np.random.default_rng(seed)
    # An answer with the small number in another place is right as well.
    yield {"advantages": array(-1.0, 3.0)}, 1e-4
    yield {"advantages": array(rng.normal(2.0, 3.0, (3, 4)))}, 1e-4
    yield {"advantages": array(rng.normal(-9.0, 0.2, (3, 4)))}, 1e-4
    yield {"advantages": array(2.0, 2.0)}, 1e-4


def shuffles(seed):
    case = inputs_named("key size epochs minibatches")
    for size, epochs, minibatches in ((24, 2, 4), (24, 3, 2), (600, 3, 5)):
        yield case(jax.random.key(seed), size, epochs, minibatches)


def log_policies(seed):
    rng = np.random.default_rng(seed)
    yield {"log_probs": array(np.log([0.5, 0.5]))}
    yield {"log_probs": array(np.log([0.25, 0.75]))}
    yield {"log_probs": inputs.log_policy(rng)}
    # An action that is never taken, as policies write it.
    yield {"log_probs": array(0.0, -1e9)}


def log_probs_and_references(seed):
    rng = np.random.default_rng(seed)
    yield {"log_prob": array(-1.0), "reference_log_prob": array(-2.0)}
    yield {"log_prob": array(-2.0), "reference_log_prob": array(-1.0)}
    for log_prob, reference in -rng.uniform(0.2, 3.0, (3, 2)):
        yield {"log_prob": array(log_prob), "reference_log_prob": array(reference)}


def _at_ratio(ratio, old, advantage, clip):
    case = inputs_named("log_prob old_log_prob advantage clip")
    return case(array(np.log(ratio * old)), array(np.log(old)), array(advantage), clip)


def uncompiled(function: Callable, inputs: dict) -> Any:
    """The answer, with every loop of jax run step by step, which is faster here."""
    with jax.disable_jit():
        return function(*inputs.values())


def answer_and_gradient_by_preferences(function: Callable, inputs: dict) -> dict:
    """The answer, and its gradient by preferences: log-probabilities are not free."""

    def of_preferences(preferences: jax.Array) -> Any:
        return function(jax.nn.log_softmax(preferences))

    return with_gradients(of_preferences, {"preferences": inputs["log_probs"]}, 1)


def answer_and_gradients(function: Callable, inputs: dict) -> dict:
    """The answer, and its gradient by the first two arrays: one learns, one is data.

    There is no gradient by an old log-probability: the policy that acted is fixed.
    """
    return with_gradients(function, inputs, 2)


def log_policy(function: Callable, inputs: dict) -> dict:
    """Log-probabilities of available actions; those of others need only be finite."""
    answer = function(*inputs.values())
    if shape_of(answer) != np.shape(inputs["preferences"]):
        return {OF_AVAILABLE: answer}
    there, answer = np.asarray(inputs["available"]), np.asarray(answer)
    finite = np.where(np.isfinite(answer), answer, np.nan)
    return {
        OF_AVAILABLE: np.where(there, finite, np.float32(0.0)),
        "probability of unavailable actions": np.asarray(np.exp(answer[~there]).sum()),
        "all log-probabilities are finite": bool(np.isfinite(answer).all()),
    }


def shuffle_properties(function: Callable, inputs: dict) -> dict:
    """Facts that hold for every good shuffle, whatever the random numbers are."""
    key, size, epochs, minibatches = inputs.values()
    answer, again, other = (
        np.asarray(function(a_key, size, epochs, minibatches))
        for a_key in (key, key, jax.random.key(99))
    )
    parts = {"shape of the answer": answer.shape}
    if answer.shape != (epochs * minibatches, size // minibatches):
        return parts
    parts["the indices are whole numbers"] = answer.dtype.kind == "i"
    rows = answer.reshape(epochs, size)
    _, counts = np.unique(rows, return_counts=True)
    parts |= {
        "every sample comes once an epoch": bool(
            (np.sort(rows) == np.arange(size)).all()
        ),
        "every sample comes as often as any other": len(set(counts)) == 1,
    }
    if all(parts[name] for name in list(parts)[1:3]):
        parts |= _mixture(rows.astype(int), minibatches)
    return parts | {
        "the same key gives the same order": bool((again == answer).all()),
        "another key gives another order": bool((other != answer).any()),
    }


def _mixture(rows: np.ndarray, minibatches: int) -> dict:
    """Facts on how well the rows, which are orders of the samples, are mixed."""
    epochs, size = rows.shape
    # Each order as seen from the batch, and from every epoch before it.
    orders = [np.arange(size), *rows]
    pairs = itertools.combinations(range(epochs + 1), 2)
    moves = [np.argsort(orders[i])[orders[j]] for i, j in pairs]
    return {
        "number of epochs left as they were": int((rows == orders[0]).all(1).sum()),
        "number of different orders": len({tuple(row) for row in rows}),
        "no epoch is the batch, or another epoch, only moved along, turned round or "
        "read in equal steps": not any(map(_has_a_pattern, moves)),
        "other samples are together in every epoch": not any(
            _stay_together(move, minibatches) for move in moves
        ),
    }


def _has_a_pattern(order: np.ndarray) -> bool:
    """Whether one distance between neighbours comes more often than chance allows."""
    steps = np.diff(order) % len(order)
    return bool(np.bincount(steps).max() > 12)


def _stay_together(order: np.ndarray, minibatches: int) -> bool:
    """Whether the samples of a minibatch met before, by Pearson's chi-squared test."""
    size = len(order) // minibatches
    before, after = order // size, np.arange(len(order)) // size
    met = np.zeros((minibatches, minibatches))
    np.add.at(met, (before, after), 1)
    expected = size / minibatches
    degrees = (minibatches - 1) ** 2
    statistic = ((met - expected) ** 2 / expected).sum()
    return bool(statistic > degrees + 8 * np.sqrt(2 * degrees) + 10)


def with_gradients(function: Callable, inputs: dict, most: int) -> dict:
    """The answer, and its gradients by the first `most` arrays that are not old."""
    parts = {"answer": function(*inputs.values())}
    if shape_of(parts["answer"]) != ():
        return parts
    arrays = [name for name, value in inputs.items() if isinstance(value, jax.Array)]
    names = [name for name in arrays if not name.startswith("old_")][:most]

    def answer(*values):
        return function(*(inputs | dict(zip(names, values, strict=True))).values())

    values = [inputs[name] for name in names]
    # The first call has already printed what the function prints.
    with contextlib.redirect_stdout(io.StringIO()):
        gradients = jax.grad(answer, range(len(names)))(*values)
    for name, gradient in zip(names, gradients, strict=True):
        parts[f"gradient by {name}"] = gradient
    return parts
