"""A bandit over prompts: k prompts, and one pull of an arm writes one completion.

    prompt = state,   completion = action,   no episodic structure

In Sutton & Barto's terms (2018, section 2.9) this is an associative, or contextual,
bandit: k contexts, and an arm for every completion. This package counts the prompts as
its k arms.

The gold reward of a completion is the sum of the mean ratings of its words, each word
counted once, with the sign that the prompt asks for. A completion that does not end
within the limit gets a fixed penalty *instead of* any score, gold or learned, as in
Ziegler et al. (2019).

Shapes: k prompts of P tokens, n pulls of each, completions of C tokens, R raters.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, Scalar

from lm_bandit.generate import read_prompts, sample
from lm_bandit.transformer import Transformer
from lm_bandit.world import END, World
from policy_gradient.devices import split


class Pulls(NamedTuple):
    """n pulls of each of the k prompts, by one policy."""

    prompts: Int[Array, "k n P"]
    completions: Int[Array, "k n C"]
    log_probs: Float[Array, "k n C"]  # of each token, by the policy that wrote it


class Scored(NamedTuple):
    """Numbers that the frozen models and the critic give to a batch of pulls."""

    references: Float[Array, "k n C"]  # log pi_ref of each token
    scores: Float[Array, "k n"]  # learned reward, or the penalty where cut off
    values: Float[Array, "k n C"]  # of the prefix before each token; 0 without a critic


def pull(
    params: Transformer,
    key: Key[Array, ""],
    prompts: Int[Array, "k P"],
    count: int,
    length: int,
    temperature: float | Scalar = 1.0,
) -> Pulls:
    """Sample `count` completions of every prompt, of at most `length` tokens each."""
    k, size = prompts.shape
    which = split(jnp.repeat(jnp.arange(k), count))
    context = read_prompts(params, prompts, length).rows(which)
    completions, log_probs = sample(params, key, context, length, temperature)
    return Pulls(
        prompts=jnp.broadcast_to(prompts[:, None], (k, count, size)),
        completions=completions.reshape(k, count, length),
        log_probs=log_probs.reshape(k, count, length),
    )


pull_all = jax.jit(pull, static_argnames=("count", "length"))


def gold_scores(
    world: World, completions: Int[np.ndarray, "n C"]
) -> Float[np.ndarray, "k n"]:
    """Gold reward of each completion as an answer to each prompt: sign x mean rating.

    It holds for completions that end; one that was cut off gets only the penalty.
    """
    return world.signs[:, None] * summed_ratings(completions, world.ratings.mean(-1))


def summed_ratings(
    completions: Int[np.ndarray, "n C"], ratings: Float[np.ndarray, "V"]
) -> Float[np.ndarray, "n"]:
    """Sum of the ratings of the words in each completion, each word counted once."""
    used = np.zeros((len(completions), len(ratings)), bool)
    np.put_along_axis(used, completions, True, axis=1)
    return used @ ratings


def in_format(
    world: World, completions: Int[np.ndarray, "n C"]
) -> Bool[np.ndarray, "n"]:
    """True where a completion is "<word>" or "<word> and <word>", with rated words.

    That is the format of the demonstrations: the text ends within the limit.
    """
    (and_,) = world.encode("and")
    kind = np.full(len(world.vocabulary), "?")  # of each token
    kind[END], kind[and_], kind[world.rated] = ".", "&", "w"
    written = ["".join(row) for row in kind[completions]]
    return np.array([text in ("w...", "w&w.") for text in written])
