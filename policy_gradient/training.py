"""The training loop: a Python loop over compiled chunks of a `scan` over updates.

The key of update i is folded from i itself, so the size of a chunk changes nothing.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree


def loop(
    key: Key[Array, ""],
    state: PyTree,
    update: Callable[[PyTree, Key[Array, ""]], tuple[PyTree, Any]],
    num_updates: int,
    report: Callable[[int, Any], None] | None = None,
    chunk: int = 20,
) -> tuple[PyTree, Any]:
    """Apply `update` `num_updates` times; returns the last state and all metrics.

    `report(done, metrics)` is called after each chunk with that chunk's metrics.
    """

    @jax.jit
    def run(state, key, iterations):
        def body(state, iteration):
            return update(state, jax.random.fold_in(key, iteration))

        return jax.lax.scan(body, state, iterations)

    if report is None:  # one compiled whole, which `vmap` can map over seeds
        return run(state, key, jnp.arange(num_updates))
    history = []
    for start in range(0, num_updates, chunk):
        iterations = jnp.arange(start, min(start + chunk, num_updates))
        state, metrics = jax.block_until_ready(run(state, key, iterations))
        report(start + len(iterations), metrics)
        history.append(metrics)
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *history)
