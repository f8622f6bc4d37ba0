"""Inputs of the exercises that assemble a whole update, and views of their answers.

See policy_gradient.py for what a case and a view are.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from policy_gradient.config import ImproveConfig, ReinforceConfig
from policy_gradient.improvement import Improvement
from policy_gradient.policies import TabularParams, tabular_softmax
from policy_gradient.rollout import to_jax
from policy_gradient.training import State
from tests.exercises.cases import inputs_named
from tests.mdp import inputs as of_worlds
from tests.policy_gradient.episodes import remembered_episodes
from tests.policy_gradient.inputs import (
    array,
    batch_of_rows,
    loss_of_rows,
    params_of_rows,
)


def worlds_to_climb_in(_):
    """Few short episodes: one update with sgd, two with Adam, one with a critic.

    They are the same for every seed, and of one shape, because an update takes long.
    """
    rng = np.random.default_rng(0)
    case = inputs_named("seeds mdp preferences values config")
    small, zeros = (
        of_worlds.small_world(),
        (array(np.zeros((3, 2))), array(np.zeros(3))),
    )
    config = ReinforceConfig(
        num_episodes=3, time_limit=3, optimizer="sgd", step_size=0.5
    )
    yield case((1,), small, *zeros, config)
    params = array(rng.normal(size=(3, 2))), array(rng.normal(-2.0, 3.0, 3))
    config = replace(config, baseline="value")
    yield case((1, 2), small, *params, replace(config, optimizer="adam"))
    yield case((2,), small, *params, config)


def rows_to_improve_on(_):
    """Few steps each, so that trying them is quick; equal for every seed.

    One step; the KL limit; a step size of Adam; two epochs, and a further loss.
    """
    rng = np.random.default_rng(0)
    case = inputs_named("advantages value_targets config optimizer with_further_loss")
    config = partial(ImproveConfig, epochs=1, minibatches=1, clip=0.25)
    yield case(array(1.0, -2.0), array(4.0, 0.0), config(), "sgd", False)
    limited = config(epochs=3, clip=9.0, kl_limit=0.05)
    yield case(array([2.0]), array([3.0]), limited, "sgd", False)
    yield case(array(0.5, -1.0), array(4.0, 1.0), config(epochs=2), "adam", False)
    advantages, targets = rng.normal(0.0, 2.0, 8), rng.normal(1.0, 3.0, 8)
    advantages[:2] = 6.0, -6.0
    rows = array(advantages), array(targets)
    yield case(*rows, config(epochs=2, minibatches=2), "sgd", True)


def updates_of_a_table(function: Callable, inputs: dict) -> dict:
    """The parameters and the optimiser's memory after each update."""
    seeds, world, preferences, values, config = inputs.values()
    optimizer, policy = config.make_optimizer(), tabular_softmax(world)
    params, table = TabularParams(preferences, values), to_jax(world)
    state = State(params, optimizer.init(params), jnp.array(0), ())

    parts: dict[str, Any] = {}
    for number, seed in enumerate(seeds, start=1):
        key, after = jax.random.key(seed), f"after update {number}"
        with remembered_episodes():
            answer = function(state, key, table, policy, optimizer, config)
        if not (isinstance(answer, tuple) and isinstance(answer[0], State)):
            return {"kind of the first result": type(answer).__name__}
        state, history = answer
        parts |= {
            "kind of the first result": "State",
            f"preferences {after}": state.params.preferences,
            f"values {after}": state.params.values,
            f"steps {after}": int(state.steps),
            f"history's steps {after}": int(history.steps),
            f"memory of the optimiser {after}": optax.tree.norm(state.optimizer_state),
        }
    return parts


def steps_on_rows(function: Callable, inputs: dict) -> dict:
    """The results of an update that do not depend on how the rows were shuffled."""
    advantages, targets, config, name, further = inputs.values()
    seen: list[np.ndarray] = []
    keys: set[tuple] = set()

    def further_loss(params, batch, key):
        keys.add(tuple(jax.random.key_data(key).tolist()))
        return 0.5 * (params["other"] - 5.0) ** 2

    step_size = optax.constant_schedule(0.25)
    optimizer = {"sgd": optax.sgd, "adam": optax.adam}[name](step_size)
    params = params_of_rows(len(targets))
    with jax.disable_jit():  # sooner done, and the rows are known
        answer = function(
            params,
            optimizer.init(params),
            jax.random.key(5),
            batch_of_rows(advantages, targets),
            loss_of_rows(config.clip, seen),
            optimizer,
            config,
            further_loss if further else None,
        )
    if not isinstance(answer, Improvement):
        return {"kind of result": type(answer).__name__}
    remembered = jax.tree.leaves(answer.optimizer_state)
    counts = [x for x in remembered if jnp.issubdtype(x.dtype, jnp.integer)]
    parts = {
        "kind of result": "Improvement",
        "steps that the optimiser remembers": int(max(counts)),
        **{f"parameters {n}": x for n, x in answer.params.items()},
    }
    if config.kl_limit < 1.0:  # a solution may measure anything after the last step
        return parts
    parts |= {
        "mean loss": np.asarray(answer.diagnostics.loss),
        "first ratio": np.asarray(answer.diagnostics.first_ratio),
        "different keys of the further loss": len(keys),
    }
    return parts | _shuffles(seen, len(targets), config.epochs)


def _shuffles(seen: list[np.ndarray], size: int, epochs: int) -> dict:
    """Facts on the minibatches that hold however they were shuffled."""
    # A solution may compute the loss and its gradient one after the other: then a
    # minibatch comes twice.
    again = [np.array_equal(*pair) for pair in pairwise(seen)]
    steps = [x for x, twice in zip(seen, [False, *again], strict=True) if not twice]
    in_order = tuple(range(size))
    if size < 3:  # too few for a shuffle
        return {}
    rows = np.concatenate(steps)
    orders = [tuple(x) for x in rows.reshape(-1, size)] if rows.size % size == 0 else []
    return {
        "samples of a step": sorted({len(step) for step in steps}),
        "epochs that use every sample once": sum(
            tuple(sorted(order)) == in_order for order in orders
        ),
        "shuffled orders": len({*orders} - {in_order}),
    }
