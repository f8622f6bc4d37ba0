"""The training run of the diagnoses: PPO on the cliff.

The world is discounted: walking in circles without end has J = -1 / (1 - gamma) = -20,
and the shortest path has J = -9.7. There is one seed, so that the sick run and the
healthy one meet the same random numbers. A healthy run finds the path from two seeds in
three only; from this seed, it does so however the last digits are rounded.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

import mdp
from mdp.interface import configs
from policy_gradient import ppo, training
from policy_gradient.config import PPOConfig
from policy_gradient.exact import performances
from policy_gradient.policies import tabulate

SEED = 17


@configs.sweepable
@dataclass(frozen=True)
class LessExploration(PPOConfig):
    """PPO whose entropy bonus falls faster, by a further share of the updates left."""

    def entropy_weight_at(self, steps: Int[Array, ""]) -> Float[Array, ""]:
        total = self.num_updates * self.num_environments * self.num_steps
        return super().entropy_weight_at(steps) * (1.0 - steps / total)


CONFIG = LessExploration(
    num_updates=80,
    num_environments=32,
    num_steps=32,
    time_limit=100,
    epochs=8,
    entropy_weight=0.3,
)


def cliff() -> dict[str, list[float]]:
    """The curves by name: J, exactly, of the policy after each update; diagnostics."""
    world = mdp.worlds.cliff_walking(discount=0.95)
    learner = ppo.learner(world, CONFIG)

    def update(state, key):
        state, history = learner.update(state, key)
        tables = tabulate(learner.policy, state.params, world.num_states)
        return state, (history, jnp.exp(tables.log_probs))

    start_key, loop_key = jax.random.split(jax.random.key(SEED))
    start = learner.start(start_key)
    _, (history, policies) = training.loop(loop_key, start, update, CONFIG.num_updates)
    policies = np.asarray(policies, np.float64)
    policies /= policies.sum(-1, keepdims=True)
    shown = {
        "exact performance J": performances(world, policies, CONFIG.time_limit),
        "entropy": history.entropy,
        "approx_kl": history.approx_kl,
        "clip_fraction": history.clip_fraction,
        "first_ratio": history.first_ratio,
        "explained_variance": history.explained_variance,
        "gradient_norm": history.gradient_norm,
    }
    return {name: np.asarray(curve).tolist() for name, curve in shown.items()}
