"""A method of your own in a comparison: a function, or `mine.py:train`.

    train(key, fixed, length, config)  ->  (snapshots, history)

This is the form of `ppo.train`. The function starts at `fixed.reference`, and returns
the policy after each of `config.num_updates` updates, along a leading axis. The history
may be None: then nothing is checked but that all numbers are finite. A run is one
compiled program, so the function is written in jax. With `loop.train_on_loss` a loss is
all that a method needs.

A fair method pulls `config.pulls` completions of each prompt in an update, as those of
this book do: nobody counts them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from lm_bandit import reward_model, transformer
from lm_bandit.config import TuningConfig
from lm_bandit.diagnostics import History
from lm_bandit.ppo import Fixed
from lm_bandit.transformer import Transformer, TransformerConfig
from lm_bandit.world import World
from policy_gradient.comparison.own_code import call_own
from policy_gradient.diagnostics import Diagnostics


@dataclass(frozen=True)
class OwnMethod:
    """A function of the user's in the form of `ppo.train`.

    Any error in it, and anything else that it returns, is a ValueError of one line.
    """

    name: str
    function: Callable[..., Any]

    def __call__(
        self, key: Key[Array, ""], fixed: Fixed, length: int, config: TuningConfig
    ) -> tuple[Transformer, History]:
        """Call the function, and check what it returns."""
        returned = call_own(self.name, self.function, key, fixed, length, config)
        if type(returned) is not tuple or len(returned) != 2:
            got = type(returned).__name__
            raise ValueError(f"{self.name} must return (snapshots, history), got {got}")
        snapshots, history = returned
        self._require_snapshots(snapshots, fixed.reference, config.num_updates)
        if history is None:
            history = _without_measurements(config.num_updates)
        if not isinstance(history, History):
            got = type(history).__name__
            raise ValueError(
                f"{self.name}: history must be a History or None, got {got}"
            )
        return snapshots, history

    def rehearse(
        self, world: World, model: TransformerConfig, config: TuningConfig
    ) -> None:
        """Go through the function once without numbers; raise where that fails.

        A mistake in it shows before anything is trained.
        """

        def call(key: Key[Array, ""]) -> tuple[Transformer, History]:
            reference = transformer.init(
                key, len(world.vocabulary), world.context, model
            )
            scorer = reward_model.init(reference)
            fixed = Fixed(jnp.asarray(world.prompts), reference, scorer)
            return self(key, fixed, world.completion_length, config)

        jax.eval_shape(call, jax.random.key(0))

    def _require_snapshots(
        self, snapshots: Any, reference: Transformer, num_updates: int
    ) -> None:
        """Raise ValueError unless it is a policy after each update."""
        expected, got = (num_updates, *reference.wte.shape), type(snapshots).__name__
        if isinstance(snapshots, Transformer):
            shapes = jax.tree.map(lambda x: (num_updates, *x.shape), reference)
            if jax.tree.map(jnp.shape, snapshots) == shapes:
                return
            got = f"one with wte of shape {jnp.shape(snapshots.wte)}"
        raise ValueError(
            f"{self.name}: snapshots must be the policy after each of {num_updates} "
            f"updates, a Transformer with wte of shape {expected}, got {got}"
        )


def _without_measurements(num_updates: int) -> History:
    """Return a history in which nothing is wrong, as nothing was measured."""
    zeros = jnp.zeros(num_updates)
    blank = Diagnostics(*[zeros] * len(Diagnostics._fields))
    measured = [zeros] * (len(History._fields) - 1)
    return History._make([*measured, blank._replace(first_ratio=zeros + 1.0)])
