"""Episodes that are sampled once: many candidates for an update ask for the same."""

import contextlib
from collections.abc import Iterator
from unittest import mock

import jax
import numpy as np

from policy_gradient import reinforce
from policy_gradient.rollout import Rollout, whole_episodes


@contextlib.contextmanager
def remembered_episodes() -> Iterator[None]:
    """Let REINFORCE sample the episodes of the same policy and key only once."""
    with mock.patch.object(reinforce, "whole_episodes", _sampled):
        yield


def _sampled(tables, key, mdp, num_episodes, time_limit):
    """Return what `whole_episodes` returns; it is compiled for every new policy."""
    numbers = jax.tree.leaves((tables, mdp, jax.random.key_data(key)))
    place = num_episodes, time_limit, *(np.asarray(x).tobytes() for x in numbers)
    if place not in _SAMPLED:
        _SAMPLED[place] = whole_episodes(tables, key, mdp, num_episodes, time_limit)
    return _SAMPLED[place]


_SAMPLED: dict[tuple, Rollout] = {}
