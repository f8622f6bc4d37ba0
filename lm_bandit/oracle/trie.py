"""The trie: every completion of every prompt, each prefix read once.

    log pi(y | x) = sum_t log pi(y_t | x, y_<t)

A prefix of a completion is a node, and a token leads from it to END or to a longer
prefix. The nodes are numbered level by level, short prefixes first, so that word w of W
(1 .. W) leads from node i to node W i + w, as in a heap. Nodes 0 .. E - 1 can end. Each
is read once, from the cache of the prefix that it extends; longer prefixes were cut
off. The cost is that of the E prefixes, and not of the E + M completions.

The model computes in float32. Its logits are normalised and summed in float64.

Source: Fredkin (1960), "Trie memory".
Shapes: k prompts, E completions that end, M that are cut off, W words, C tokens.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import log_softmax

from lm_bandit import reward_model
from lm_bandit.generate import read_prompts
from lm_bandit.reward_model import RewardModel
from lm_bandit.reward_table import Reward, RewardFunction, RewardTable
from lm_bandit.transformer import Cache, Transformer, forward
from lm_bandit.world import END, World
from mdp.checks import shown

LIMIT = 20_000_000  # completions; more need too much memory and time


class LogProbs(NamedTuple):
    """log pi(y|x) of every completion y of every prompt x; float64."""

    ended: Float[np.ndarray, "k E"]  # in the order of `ended_completions`
    cut_off: Float[np.ndarray, "k M"]


def policy_log_probs(
    params: Transformer, world: World, temperature: float = 1.0
) -> LogProbs:
    """Return the log-probability of every completion, by a language model."""
    return completion_log_probs(node_log_probs(params, world, temperature))


def node_log_probs(
    params: Transformer, world: World, temperature: float = 1.0
) -> Float[np.ndarray, "k E V"]:
    """Return log pi(token | prompt and prefix) at every node, in float64."""
    require_enumerable(world)
    logits = node_logits(params, jnp.asarray(world.prompts), world.completion_length)
    return log_softmax(np.asarray(logits, np.float64) / temperature, axis=-1)


def completion_log_probs(tokens: Float[np.ndarray, "k E V"]) -> LogProbs:
    """Return the sums of the nodes' log-probabilities along every path of the trie."""
    before = np.zeros((len(tokens), 1))  # log-probability of each prefix of one level
    ended, first = [], 0
    while first < tokens.shape[1]:
        level = tokens[:, first : first + before.shape[1]]
        ended.append(before + level[..., END])
        first += before.shape[1]
        before = (before[..., None] + level[..., END + 1 :]).reshape(len(tokens), -1)
    return LogProbs(np.concatenate(ended, axis=1), before)


def learned_scores(model: Reward, world: World) -> Float[np.ndarray, "k E"]:
    """Return the score of every completion that ends, by a reward model or a table."""
    require_enumerable(world)
    if isinstance(model, RewardTable):
        return np.asarray(model.scores, np.float64)
    scores = _learned_scores(model, jnp.asarray(world.prompts), world.completion_length)
    return np.asarray(scores, np.float64)


def reward_table(world: World, reward: RewardFunction) -> RewardTable:
    """Return the values of your function of a prompt and a completion, as a table.

    It is called once for every completion that ends, of every prompt. Raises ValueError
    where it returns anything but a finite number.
    """
    completions = [world.decode(tokens) for tokens in ended_completions(world)]
    prompts = [" ".join(world.vocabulary[i] for i in row) for row in world.prompts]
    scores = np.zeros((len(prompts), len(completions)), np.float32)
    for i, prompt in enumerate(prompts):
        for j, completion in enumerate(completions):
            score = reward(prompt, completion)
            number = np.asarray(score)
            is_number = number.shape == () and number.dtype.kind in "biuf"
            if not (is_number and abs(number) <= np.finfo(np.float32).max):
                raise ValueError(
                    f"reward({prompt!r}, {completion!r}) must be a finite number, got "
                    f"{shown(score)}"
                )
            scores[i, j] = number
    num_words = jnp.asarray(len(world.vocabulary) - 1)
    return RewardTable(jnp.asarray(world.prompts), jnp.asarray(scores), num_words)


def ended_completions(world: World) -> Int[np.ndarray, "E C"]:
    """Return every completion that ends, padded with `END`, short ones first."""
    require_enumerable(world)
    words = np.arange(1, len(world.vocabulary))
    rows = []
    prefixes = np.zeros((1, 0), int)
    for depth in range(world.completion_length):
        padding = np.full((len(prefixes), world.completion_length - depth), END)
        rows.append(np.hstack([prefixes, padding]))
        longer = np.repeat(prefixes, len(words), axis=0)
        prefixes = np.column_stack([longer, np.tile(words, len(prefixes))])
    return np.concatenate(rows)


def require_enumerable(world: World) -> None:
    """Raise ValueError where the world has more completions than LIMIT."""
    words, length = len(world.vocabulary) - 1, world.completion_length
    count = world.num_prompts * sum(words**n for n in range(length + 1))
    if count > LIMIT:
        raise ValueError(
            f"world must have at most {LIMIT:,} completions to be enumerated, got "
            f"{count:,}: estimate from samples instead (lm_bandit.oracle.estimates)"
        )


@jax.jit(static_argnums=2)
def node_logits(
    params: Transformer, prompts: Int[Array, "k P"], length: int
) -> Float[Array, "k E V"]:
    """Return the logits at every node of every prompt's trie, in float32."""
    return jax.lax.map(lambda prompt: prompt_logits(params, prompt, length), prompts)


def prompt_logits(
    params: Transformer, prompt: Int[Array, "P"], length: int
) -> Float[Array, "E V"]:
    """Return the logits at every node of one prompt's trie, in float32."""
    hidden = jnp.concatenate([rows for rows, _ in _levels(params, prompt, length)])
    return hidden @ params.wte.T


@jax.jit(static_argnums=2)
def _learned_scores(
    model: RewardModel, prompts: Int[Array, "k P"], length: int
) -> Float[Array, "k E"]:
    def prompt_scores(prompt: Int[Array, "P"]) -> Float[Array, "E"]:
        hidden = jnp.concatenate(list(_ends(model.trunk, prompt, length)))
        return reward_model.apply_head(model, hidden)

    return jax.lax.map(prompt_scores, prompts)


def _levels(
    params: Transformer, prompt: Int[Array, "P"], length: int
) -> Iterator[tuple[Float[Array, "N D"], Cache]]:
    """Yield, level by level, the hidden state and the cache of every prefix."""
    words = jnp.arange(END + 1, params.wte.shape[0])
    hidden, cache = read_prompts(params, prompt[None], length)
    yield hidden, cache
    for depth in range(length - 1):
        hidden, cache = _extend(params, cache, words, prompt.shape[0] + depth)
        yield hidden, cache


def _ends(
    params: Transformer, prompt: Int[Array, "P"], length: int
) -> Iterator[Float[Array, "N D"]]:
    """Yield, level by level, the hidden state at the `END` after every prefix."""
    end = jnp.array([END])
    for depth, (_, cache) in enumerate(_levels(params, prompt, length)):
        yield _extend(params, cache, end, prompt.shape[0] + depth)[0]


def _extend(
    params: Transformer, cache: Cache, tokens: Int[Array, "choices"], position: int
) -> tuple[Float[Array, "M D"], Cache]:
    """Extend every prefix by every token: M = prefixes times tokens."""
    prefixes, choices = len(cache.keys[0]), len(tokens)
    caches = jax.tree.map(lambda x: jnp.repeat(x, choices, axis=0), cache)
    extensions = jnp.tile(tokens, prefixes)[:, None]
    hidden, caches = forward(params, extensions, caches, position)
    return hidden[:, 0], caches
