"""The lecture's setting: k prompts, and one pull of an arm writes one completion.

    prompt = state,   completion = action,   no episodic structure

In Sutton & Barto's terms (2018, section 2.9) this is an associative, or contextual,
bandit: k contexts, and an arm for every completion. The lecture counts its k arms as
the prompts, and so do we from here on.

The gold reward of a completion is the mean rating of each word it uses, added up, each
word counted once, with the sign that the prompt asks for. A completion that does not
end within the limit gets a fixed penalty *instead of* any score, gold or learned
(Ziegler et al. 2019, section 2.2, on fixed scores for what no human should judge).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Scalar

from lm_bandit.generate import gather_contexts, read_prompts, sample
from lm_bandit.transformer import Transformer
from lm_bandit.world import World


class Pulls(NamedTuple):
    """n pulls of each of the k prompts, by one policy."""

    prompts: Int[Array, "k n P"]
    completions: Int[Array, "k n C"]
    log_probs: Float[Array, "k n C"]  # of each token, by the policy that wrote it


def pull(
    params: Transformer,
    key: Key[Array, ""],
    prompts: Int[Array, "k P"],
    count: int,
    length: int,
    temperature: float | Scalar = 1.0,
) -> Pulls:
    """`count` completions of every prompt, of at most `length` tokens."""
    k, size = prompts.shape
    context = gather_contexts(
        read_prompts(params, prompts, length), jnp.repeat(jnp.arange(k), count)
    )
    written = sample(params, key, context, length, temperature)
    completions, log_probs = (x.reshape(k, count, length) for x in written)
    repeated = jnp.broadcast_to(prompts[:, None], (k, count, size))
    return Pulls(repeated, completions, log_probs)


pull_all = jax.jit(pull, static_argnames=("count", "length"))


def gold_scores(
    world: World, completions: Int[np.ndarray, "n C"]
) -> Float[np.ndarray, "k n"]:
    """What the raters think of each completion as an answer to each prompt.

    Of completions that end; one that was cut off has no score, only the penalty.
    """
    return world.signs[:, None] * summed_ratings(completions, world.ratings.mean(-1))


def summed_ratings(
    completions: Int[np.ndarray, "n C"], ratings: Float[np.ndarray, "V"]
) -> Float[np.ndarray, "n"]:
    """The sum of the ratings of the words in each completion, each counted once."""
    used = np.zeros((len(completions), len(ratings)), bool)
    np.put_along_axis(used, completions, True, axis=1)
    return used @ ratings


def in_format(world: World, completions: Int[np.ndarray, "n C"]) -> np.ndarray:
    """Whether each completion is "<word>" or "<word> and <word>", bool [n].

    That is what demonstrations look like: the words are rated ones, and the text ends
    within the limit.
    """
    (and_,) = world.encode("and")
    kind = np.full(len(world.vocabulary), "?")  # of each token
    kind[0], kind[and_], kind[world.rated] = ".", "&", "w"
    written = ["".join(row) for row in kind[completions]]
    return np.array([text in ("w...", "w&w.") for text in written])
