"""The oracle: every completion of every prompt, so that nothing need be estimated.

    J(pi)  = E_x[ sum_y pi(y|x) ( r(x, y) - beta log(pi(y|x) / pi_ref(y|x)) ) ]
    pi*    = pi_ref(y|x) exp(r(x, y) / beta) / Z(x)
    J*     = E_x[ beta log Z(x) ],   Z(x) = sum_y pi_ref(y|x) exp(r(x, y) / beta)

The completions form a trie: each prefix is read once, from the cache of the prefix it
extends. Those that end are scored one by one; the others are cut off and share one
penalty. Prompts are equally likely. Sums are in float64.

Source: Ziegler et al. (2019), eq. 2; Korbak et al. (2022) and Rafailov et al. (2023),
eqs. 4-5, for the optimum.
Shapes: k prompts, E completions that end, M that are cut off, W words, C tokens.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lm_bandit import reward_model
from lm_bandit.reward_model import RewardModel
from lm_bandit.text import END, World
from lm_bandit.transformer import (
    Cache,
    Transformer,
    empty_cache,
    forward,
    next_token_log_probs,
)


class LogProbs(NamedTuple):
    """log pi(y|x) of every completion y of every prompt x; float64."""

    ended: Float[np.ndarray, "k E"]  # in the order of `ended_completions`
    cut_off: Float[np.ndarray, "k M"]


class Value(NamedTuple):
    """What a policy is worth, exactly; means over the prompts."""

    gold: float  # E[gold reward], the penalty where a completion does not end
    learned: float  # E[learned reward], likewise
    kl: float  # KL(pi || pi_ref), in nats per completion
    objective: float  # J = learned - beta kl


class Problem(NamedTuple):
    """Everything that the value of a policy depends on."""

    reference: LogProbs  # pi_ref
    gold: Float[np.ndarray, "k E"]
    learned: Float[np.ndarray, "k E"]
    kl_weight: float  # beta
    penalty: float  # instead of either score where a completion does not end


def evaluate(problem: Problem, policy: LogProbs) -> Value:
    """E[gold], E[learned], KL(pi || pi_ref) and J of a policy."""
    probs = LogProbs(*map(np.exp, policy))
    penalties = problem.penalty * probs.cut_off.sum(-1)
    gold = np.mean(np.sum(probs.ended * problem.gold, axis=-1) + penalties)
    learned = np.mean(np.sum(probs.ended * problem.learned, axis=-1) + penalties)
    terms = zip(probs, policy, problem.reference, strict=True)
    kl = np.mean(sum(np.sum(p * (log_p - log_q), axis=-1) for p, log_p, log_q in terms))
    objective = learned - problem.kl_weight * kl
    return Value(float(gold), float(learned), float(kl), float(objective))


def optimum(problem: Problem) -> LogProbs:
    """pi* = pi_ref exp(r / beta) / Z, the best policy there is for this objective."""
    log_z = log_partition(problem)[:, None]
    ended = problem.reference.ended + problem.learned / problem.kl_weight
    cut_off = problem.reference.cut_off + problem.penalty / problem.kl_weight
    return LogProbs(ended - log_z, cut_off - log_z)


def optimal_objective(problem: Problem) -> float:
    """J* = E_x[beta log Z(x)]."""
    return float(problem.kl_weight * log_partition(problem).mean())


def log_partition(problem: Problem) -> Float[np.ndarray, "k"]:
    """Log Z(x) = log sum_y pi_ref(y|x) exp(r(x, y) / beta)."""
    ended = problem.reference.ended + problem.learned / problem.kl_weight
    cut_off = problem.reference.cut_off + problem.penalty / problem.kl_weight
    return np.logaddexp(_log_sum_exp(ended), _log_sum_exp(cut_off))


def frontier(problem: Problem, kl_weights: Float[np.ndarray, "n"]) -> list[Value]:
    """The best that can be had: the value of the optimum for each beta."""
    merged = problem._replace(reference=merge_cut_off(problem.reference))
    problems = [merged._replace(kl_weight=float(beta)) for beta in kl_weights]
    return [evaluate(each, optimum(each)) for each in problems]


def merge_cut_off(policy: LogProbs) -> LogProbs:
    """All completions that are cut off as one, [k, 1]: they earn the same penalty.

    The optimum scales them all alike, so its value stays what it was.
    """
    return policy._replace(cut_off=_log_sum_exp(policy.cut_off)[:, None])


def _log_sum_exp(x):
    top = x.max(-1)
    return top + np.log(np.exp(x - top[:, None]).sum(-1))


def ended_completions(world: World) -> Int[np.ndarray, "E C"]:
    """Every completion that ends, padded with `END`: short ones first."""
    words = np.arange(1, len(world.vocabulary))
    rows = []
    prefixes = np.zeros((1, 0), int)
    for depth in range(world.completion_length):
        padding = np.full((len(prefixes), world.completion_length - depth), END)
        rows.append(np.hstack([prefixes, padding]))
        longer = np.repeat(prefixes, len(words), axis=0)
        prefixes = np.column_stack([longer, np.tile(words, len(prefixes))])
    return np.concatenate(rows)


def policy_log_probs(params: Transformer, world: World) -> LogProbs:
    """Enumerate a language model: the log-probability of everything it could say."""
    ended, cut_off = _policy_log_probs(
        params, jnp.asarray(world.prompts), world.completion_length
    )
    return LogProbs(np.asarray(ended, np.float64), np.asarray(cut_off, np.float64))


def learned_scores(model: RewardModel, world: World) -> Float[np.ndarray, "k E"]:
    """The reward model's score of every completion that ends."""
    scores = _learned_scores(model, jnp.asarray(world.prompts), world.completion_length)
    return np.asarray(scores, np.float64)


@jax.jit(static_argnums=2)
def _policy_log_probs(params, prompts, length):
    def of_prompt(prompt):
        before = jnp.zeros(1)  # log-probability of each prefix
        ended = []
        for hidden, _ in _levels(params, prompt, length):
            log_probs = before[:, None] + next_token_log_probs(params, hidden)
            ended.append(log_probs[:, END])
            before = log_probs[:, END + 1 :].reshape(-1)
        return jnp.concatenate(ended), before

    return jax.lax.map(of_prompt, prompts)


@jax.jit(static_argnums=2)
def _learned_scores(model, prompts, length):
    def of_prompt(prompt):
        scores = []
        for hidden in _ends(model.trunk, prompt, length):
            scores.append(reward_model.read(model, hidden))
        return jnp.concatenate(scores)

    return jax.lax.map(of_prompt, prompts)


def _levels(
    params: Transformer, prompt: Int[Array, "P"], length: int
) -> Iterator[tuple[Float[Array, "N D"], Cache]]:
    """The trie, level by level: the hidden state and the cache of every prefix."""
    words = jnp.arange(END + 1, params.wte.shape[0])
    start = prompt.shape[0]
    hidden, cache = forward(params, prompt, empty_cache(params, start + length))
    hidden, cache = hidden[-1:], jax.tree.map(lambda x: x[None], cache)
    yield hidden, cache
    for position in range(start, start + length - 1):
        hidden, cache = _merge(_read(params, cache, words, position))
        yield hidden, cache


def _ends(
    params: Transformer, prompt: Int[Array, "P"], length: int
) -> Iterator[Float[Array, "N D"]]:
    """The hidden state at the `END` after every prefix, level by level."""
    everything = jnp.arange(END, params.wte.shape[0])
    start = prompt.shape[0]
    _, cache = forward(params, prompt, empty_cache(params, start + length))
    cache = jax.tree.map(lambda x: x[None], cache)
    for position in range(start, start + length - 1):
        # `END` and the words that go on are read in one pass.
        hidden, caches = _read(params, cache, everything, position)
        yield hidden[:, END]
        cache = _merge(jax.tree.map(lambda x: x[:, END + 1 :], caches))
    hidden, _ = _read(params, cache, everything[:1], start + length - 1)
    yield hidden[:, END]


def _merge(tree):
    """[parents, children, ...] -> [prefixes, ...]."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)


def _read(params, cache, tokens, position):
    """Every prefix extended by every token: hidden [N, tokens, D] and cache."""

    def one(cache, token):
        hidden, cache = forward(params, token[None], cache, position)
        return hidden[0], cache

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(cache, tokens)
