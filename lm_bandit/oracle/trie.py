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

from lm_bandit import reward_model
from lm_bandit.generate import read_prompts
from lm_bandit.reward_model import RewardModel
from lm_bandit.reward_table import Reward, RewardFunction, RewardTable
from lm_bandit.transformer import (
    Cache,
    Layer,
    Transformer,
    layer_norm,
    linear,
    mlp,
    project,
    unstacked,
)
from lm_bandit.world import END, World
from mdp.checks import shown

LIMIT = 20_000_000  # completions; more need too much memory and time

# Keys and values: of prefixes, of prefixes with one more token, and of these tokens;
# in the first block, they are the same after every prefix.
Before = tuple[Float[Array, "N H C K"], Float[Array, "N H C K"]]
Longer = tuple[Float[Array, "M H longer K"], Float[Array, "M H longer K"]]
Own = tuple[Float[Array, "#N H choices K"], Float[Array, "#N H choices K"]]


class LogProbs(NamedTuple):
    """Log-probability log pi(y|x) of each completion y of each prompt x; float64."""

    ended: Float[np.ndarray, "k E"]  # in the order of `ended_completions`
    cut_off: Float[np.ndarray, "k M"]  # of the completions that do not end


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
    tempered = np.asarray(logits, np.float64) / temperature
    tempered -= tempered.max(-1, keepdims=True)
    return tempered - np.log(np.exp(tempered).sum(-1, keepdims=True))


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


def num_completions(world: World) -> int:
    """Return the number of completions of all prompts: those that end, and the others.

    A completion that ends is a prefix shorter than the limit; the others reach it.
    """
    words, length = len(world.vocabulary) - 1, world.completion_length
    return world.num_prompts * sum(words**n for n in range(length + 1))


def require_enumerable(world: World) -> None:
    """Raise ValueError where the world has more completions than LIMIT."""
    if (count := num_completions(world)) > LIMIT:
        raise ValueError(
            f"world must have at most {LIMIT:,} completions to be enumerated, got "
            f"{count:,}: estimate from samples instead (lm_bandit.oracle.estimates), "
            "or sum without a list (lm_bandit.oracle.streamed)"
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
    hidden = jnp.concatenate([rows for rows, _ in levels(params, prompt, length)])
    return hidden @ params.wte.T


@jax.jit(static_argnums=2)
def _learned_scores(
    model: RewardModel, prompts: Int[Array, "k P"], length: int
) -> Float[Array, "k E"]:
    def prompt_scores(prompt: Int[Array, "P"]) -> Float[Array, "E"]:
        hidden = jnp.concatenate(list(ends(model.trunk, prompt, length)))
        return reward_model.apply_head(model, hidden)

    return jax.lax.map(prompt_scores, prompts)


def levels(
    params: Transformer, prompt: Int[Array, "P"], length: int
) -> Iterator[tuple[Float[Array, "N D"], Cache]]:
    """Yield, level by level, the hidden state and the cache of every prefix."""
    words = jnp.arange(END + 1, params.wte.shape[0])
    hidden, cache = read_prompts(params, prompt[None], length=0)
    yield hidden, cache
    for _ in range(length - 1):
        hidden, cache = _extend(params, cache, words)
        yield hidden, cache


def ends(
    params: Transformer, prompt: Int[Array, "P"], length: int
) -> Iterator[Float[Array, "N D"]]:
    """Yield, level by level, the hidden state at the `END` after every prefix."""
    for _, cache in levels(params, prompt, length):
        yield _extend(params, cache, jnp.array([END]))[0]


def _extend(
    params: Transformer, cache: Cache, tokens: Int[Array, "choices"]
) -> tuple[Float[Array, "M D"], Cache]:
    """Extend every prefix by every token: M = prefixes times tokens.

    `transformer.forward` would need a copy of a prefix for each token. Here the tokens
    share it, and do not see each other. The first block's input is the same after
    every prefix: it is computed for one.
    """
    position = cache.room  # the cache is full
    x = (params.wte[tokens] + params.wpe[position])[None]
    memories = []
    for layer, memory in zip(
        unstacked(params.h), zip(*cache, strict=True), strict=True
    ):
        normed = layer_norm(layer.ln_1, x)
        own = project(layer.key, normed), project(layer.value, normed)
        x = x + _attention(layer, normed, memory, own)
        x = x + mlp(layer, layer_norm(layer.ln_2, x), params.activation)
        memories.append(_longer(memory, own))
    hidden = layer_norm(params.ln_f, x).reshape(-1, x.shape[-1])
    return hidden, Cache(*zip(*memories, strict=True))


def _attention(
    layer: Layer, x: Float[Array, "#N choices D"], before: Before, own: Own
) -> Float[Array, "N choices D"]:
    """Return each token's attention to the prefix before it, and to itself.

    Source: Vaswani et al. (2017), section 3.2.2; Miao et al. (2024), section 4, for
    attention in a tree.
    """
    (keys, values), (own_keys, own_values) = before, own
    queries = project(layer.query, x)
    to_own = (queries * own_keys).sum(-1, keepdims=True)
    queries, to_own = (
        jnp.broadcast_to(each, (len(keys), *each.shape[1:]))
        for each in (queries, to_own)
    )
    scores = jnp.concatenate([queries @ keys.mT, to_own], axis=-1)
    weights = jax.nn.softmax(scores / keys.shape[-1] ** 0.5)
    by_head = weights[..., :-1] @ values + weights[..., -1:] * own_values
    mixed = jnp.swapaxes(by_head, -3, -2).reshape(len(keys), *x.shape[1:])
    return linear(layer.attn_c_proj, mixed)


def _longer(before: Before, own: Own) -> Longer:
    """Return the keys and values of every prefix with one more token."""

    def extend(
        old: Float[Array, "N H C K"], new: Float[Array, "#N H choices K"]
    ) -> Float[Array, "M H longer K"]:
        N, H, _, K = old.shape
        choices = new.shape[2]
        last = jnp.broadcast_to(jnp.swapaxes(new, 1, 2), (N, choices, H, K))
        shared = jnp.repeat(old, choices, axis=0)
        return jnp.concatenate([shared, last.reshape(-1, H, 1, K)], axis=-2)

    return extend(before[0], own[0]), extend(before[1], own[1])
