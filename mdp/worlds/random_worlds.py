"""Random worlds: as many as you like, to test what holds for all of them."""

import numpy as np

from mdp.checks import checked_discount
from mdp.model import MDP, validate
from mdp.worlds.world import World


def garnet(
    num_states: int = 20,
    num_actions: int = 4,
    branching: int = 3,
    seed: int = 0,
    discount: float = 0.9,
) -> MDP:
    """A random MDP: every pair leads to a few states, drawn without replacement.

        next states      `branching` different ones, equally likely to be chosen
        probabilities    the pieces of [0, 1], cut at `branching` - 1 random places
        rewards          normal, mean 0 and variance 1, one for each pair

    Equal arguments give equal worlds. Episodes never end, and start in any state.

    Source: Bhatnagar et al. (2009), "Natural actor-critic algorithms", section 7.
    Exact: the linear solve gives its values.

    Raises:
        ValueError: `branching` is larger than `num_states`.
    """
    if not 1 <= branching <= num_states:
        raise ValueError(f"branching must be in 1..{num_states}, got {branching}")
    rng = np.random.default_rng(seed)
    pairs = (num_states, num_actions)
    # The first few of a random order: equally likely, and all different.
    next_states = rng.random((*pairs, num_states)).argsort(-1)[..., :branching]
    cuts = np.sort(rng.random((*pairs, branching - 1)), axis=-1)
    probs = np.diff(cuts, axis=-1, prepend=0.0, append=1.0)
    rewards = np.broadcast_to(rng.normal(size=pairs)[..., None], probs.shape)
    return validate(
        MDP(
            probs=probs,
            next_states=next_states,
            rewards=rewards,
            discounts=np.full(probs.shape, checked_discount(discount)),
            available=np.full(pairs, True),
            start=np.full(num_states, 1 / num_states),
        )
    )


WORLDS = (World(garnet, "0123"),)
