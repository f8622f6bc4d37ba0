"""Exact values of worlds too large to hold: each sum is taken while the trie is read.

    v(s)     = pi(END|s) r(s) + sum_w pi(w|s) v(s w)
    KL(s)    = sum_a pi(a|s) log(pi(a|s) / pi_ref(a|s)) + sum_w pi(w|s) KL(s w)
    log Z(s) = log( pi_ref(END|s) e^(r(s) / beta) + sum_w pi_ref(w|s) Z(s w) )

The values of a prefix s follow from those of its extensions s w, as in a Bellman
backup (`text_mdp.py`). So no list of completions is needed. A stem is a prefix short
enough that the trie below it fits into the processor's cache. The trie below each stem
is read, backed up to one number for each sum, and forgotten. The numbers of the stems
are then backed up to the prompt.

Stems are independent: any executor, on one machine or on many, can share them out.
`exact.py` holds every completion, and gives the same values. It is still needed for
best-of-n, which sorts all completions of a prompt by their reward.

Source: Ziegler et al. (2019), eq. 2; Levine (2018), section 2, for the soft backup;
Cover & Thomas (2006), theorem 2.5.3, for the chain rule of KL.
Shapes: V tokens, of which W are words; N prefixes of one length; B values of beta.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Scalar

from lm_bandit import reward_model
from lm_bandit.config import TuningConfig
from lm_bandit.oracle import trie
from lm_bandit.oracle.exact import Value
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer, next_token_log_probs
from lm_bandit.world import END, World
from mdp.interface.compilation import NUM_THREADS

BLOCK = 8192  # prefixes of one length below a stem; more do not fit into the cache
LIMIT = 200_000_000_000  # completions; more take hours


class StreamedValue(NamedTuple):
    """The exact values of a policy and of the optimum; means over the prompts."""

    value: Value  # of the policy
    reverse_kl: float  # KL(pi_ref || pi), in nats per completion
    entropy: float  # of the policy, in nats per completion
    optimum: Value  # of pi*; its objective is J*
    frontier: list[Value]  # of the optimum for each further beta
    completions: int


class Models(NamedTuple):
    """The models that the values depend on."""

    policy: Transformer
    reference: Transformer
    scorer: RewardModel


class Setting(NamedTuple):
    """The numbers that the values of one prompt depend on."""

    prompt: Int[Array, "P"]
    ratings: Float[Array, "V"]  # gold reward of each word, for this prompt
    kl_weights: Float[Array, "B"]
    penalty: float
    temperature: float


class Level(NamedTuple):
    """All prefixes of one length: A columns, `END` and what goes on.

    Those that may not go on have one column for all words: the penalty is the same.
    """

    policy: Float[Array, "N A"]  # log pi of `END`, and of each word
    reference: Float[Array, "N A"]
    learned: Float[Array, "N"]  # reward of the completion that ends here
    gold: Float[Array, "N"]
    next_kl: Float[Array, "N"]  # KL(pi || pi_ref) of the next token
    next_reverse_kl: Float[Array, "N"]
    next_entropy: Float[Array, "N"]


class Moments(NamedTuple):
    """Expectations over all that may follow a prefix, under one policy."""

    learned: Float[Array, "*N"]
    gold: Float[Array, "*N"]
    kl: Float[Array, "*N"]  # to the reference


class Below(NamedTuple):
    """The values of what may follow each prefix, backed up."""

    policy: Moments
    reverse_kl: Float[Array, "N"]
    entropy: Float[Array, "N"]
    log_z: Float[Array, "B N"]
    optimum: Moments  # [B N]


def evaluate(
    models: Models,
    world: World,
    config: TuningConfig,
    kl_weights: Sequence[float] = (),
    executor: Executor | None = None,
    report: Callable[[int, int], None] | None = None,
) -> StreamedValue:
    """Return the exact value of a policy, and that of the optimum.

    Source: Ziegler et al. (2019), eq. 2.

    Args:
        models: the policy, the reference and the reward model.
        world: its prompts, and the ratings behind the gold reward.
        config: has beta, the temperature of the policy and of the reference, and the
            penalty that replaces either score where a completion does not end.
        kl_weights: further values of beta, for points of the frontier.
        executor: shares out the work; by default, two threads.
        report: is told the number of parts that are done, and of all parts.

    Raises ValueError for another kind of reward, a beta that is not positive and
    finite, and a world with more than LIMIT completions.
    """
    if not isinstance(models.scorer, RewardModel):
        raise ValueError(
            "models.scorer must be a RewardModel, which scores any completion, got "
            f"{type(models.scorer).__name__}"
        )
    if not all(0.0 < beta < np.inf for beta in kl_weights):
        raise ValueError(f"kl_weights must be positive and finite, got {kl_weights}")
    count = require_summable(world)
    betas = [config.kl_weight, *kl_weights]
    settings = prompt_settings(world, config, betas)
    words, length = len(world.vocabulary) - 1, world.completion_length
    size = stem_length(words, length)
    groups = stem_groups(words, size)
    below = partial(values_below, models, length - size)
    parts = list(product(settings, groups))
    backed_up = []
    with nullcontext(executor) if executor else ThreadPoolExecutor(NUM_THREADS) as pool:
        for values in pool.map(below, *zip(*parts, strict=True)):
            backed_up.append(values)
            if report is not None:
                report(len(backed_up), len(parts))
    of_prompts = []
    for i, setting in enumerate(settings):
        mine = backed_up[i * len(groups) : (i + 1) * len(groups)]
        joined = jax.tree.map(lambda *x: np.concatenate(x, axis=-1), *mine)
        of_prompts.append(_values_of_prompt(models, size, setting, joined))
    return _means(of_prompts, betas, count)


def require_summable(world: World) -> int:
    """Return the number of completions; raise ValueError where it exceeds LIMIT."""
    if (count := trie.num_completions(world)) > LIMIT:
        raise ValueError(
            f"world must have at most {LIMIT:,} completions to be summed, got "
            f"{count:.2g}: estimate from samples instead (lm_bandit.oracle.estimates)"
        )
    return count


def prompt_settings(
    world: World, config: TuningConfig, kl_weights: Sequence[float]
) -> list[Setting]:
    """Return the setting of each prompt."""
    betas, ratings = jnp.array(kl_weights, jnp.float32), world.ratings.mean(-1)
    return [
        Setting(
            jnp.asarray(prompt, jnp.int32),
            jnp.asarray(sign * ratings, jnp.float32),
            betas,
            config.penalty,
            config.temperature,
        )
        for prompt, sign in zip(world.prompts, world.signs, strict=True)
    ]


def stem_length(words: int, length: int) -> int:
    """Return the least length of a stem with at most BLOCK prefixes of one length."""
    size = 0
    while words ** (length - size - 1) > BLOCK:
        size += 1
    return size


def stem_groups(words: int, size: int) -> list[Int[np.ndarray, "G size"]]:
    """Return all stems, in the order of the trie; a group differs in the last word."""
    stems = list(product(range(END + 1, END + 1 + words), repeat=size))
    return np.split(np.array(stems, np.int32), max(1, len(stems) // words))


def values_below(
    models: Models, length: int, setting: Setting, stems: Int[np.ndarray, "G size"]
) -> Below:
    """Return the values below each stem, which at most `length` tokens follow."""
    below = _values_below(models, length, setting, stems)
    return jax.tree.map(np.asarray, below)


def read_levels(
    models: Models, setting: Setting, stem: Int[Array, "size"], length: int, last: bool
) -> Iterator[Level]:
    """Yield all prefixes that begin with a stem, level by level.

    With `last`, a word after the longest of them is cut off, and nothing follows it.
    """
    text = jnp.concatenate([setting.prompt, stem])
    path, gold = stem[None], _summed_once(stem, setting.ratings)[None]
    words = jnp.arange(END + 1, len(setting.ratings))
    readers = (
        trie.levels(models.policy, text, length),
        trie.levels(models.reference, text, length),
        trie.ends(models.scorer.trunk, text, length),
    )
    for depth, ((policy, _), (reference, _), end) in enumerate(
        zip(*readers, strict=True)
    ):
        log_probs = next_token_log_probs(models.policy, policy, setting.temperature)
        others = next_token_log_probs(models.reference, reference, setting.temperature)
        learned = reward_model.apply_head(models.scorer, end)
        yield _level(log_probs, others, learned, gold, last and depth == length - 1)
        new = (path[:, :, None] != words).all(1)  # each word counts once
        gold = (gold[:, None] + new * setting.ratings[words]).reshape(-1)
        path = _paths(path, words)


def back_up(level: Level, below: Below, kl_weights: Float[Array, "B"]) -> Below:
    """Return the values of prefixes from those of their extensions.

    Source: Sutton & Barto (2018), eq. 4.4; Levine (2018), section 2, for the optimum.
    """
    nothing = jnp.zeros_like(level.learned)

    def moments(
        log_probs: Float[Array, "N A"], next_kl: Float[Array, "N"], after: Moments
    ) -> Moments:
        return Moments(
            _expected(log_probs, level.learned, after.learned),
            _expected(log_probs, level.gold, after.gold),
            next_kl + _expected(log_probs, nothing, after.kl),
        )

    def optimum(
        kl_weight: Scalar, log_z: Float[Array, "M"], after: Moments
    ) -> tuple[Float[Array, "N"], Moments]:
        gains = _columns(level.learned / kl_weight, log_z)
        log_z = jax.nn.logsumexp(level.reference + gains, axis=-1)
        gains -= log_z[:, None]  # log(pi* / pi_ref) of the next token
        log_probs = level.reference + gains
        next_kl = (jnp.exp(log_probs) * gains).sum(-1)
        return log_z, moments(log_probs, next_kl, after)

    log_z, best = jax.vmap(optimum)(kl_weights, below.log_z, below.optimum)
    reverse_kl = _expected(level.reference, nothing, below.reverse_kl)
    entropy = _expected(level.policy, nothing, below.entropy)
    return Below(
        moments(level.policy, level.next_kl, below.policy),
        level.next_reverse_kl + reverse_kl,
        level.next_entropy + entropy,
        log_z,
        best,
    )


def cut_off(setting: Setting, count: int) -> Below:
    """Return the values of prefixes that are cut off: the penalty, and nothing more."""
    nothing = jnp.zeros(count)
    earned = Moments(nothing + setting.penalty, nothing + setting.penalty, nothing)
    betas = setting.kl_weights[:, None]
    best = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(betas), count)), earned)
    return Below(earned, nothing, nothing, setting.penalty / betas + nothing, best)


@partial(jax.jit, static_argnums=1)
def _values_below(
    models: Models, length: int, setting: Setting, stems: Int[Array, "G size"]
) -> Below:
    """Return the values below each stem, one stem after the other."""

    def below_stem(stem: Int[Array, "size"]) -> Below:
        levels = list(read_levels(models, setting, stem, length, last=True))
        below = cut_off(setting, len(levels[-1].learned))
        for level in reversed(levels):
            below = back_up(level, below, setting.kl_weights)
        return jax.tree.map(lambda x: x[..., 0], below)

    return jax.tree.map(
        lambda x: jnp.moveaxis(x, 0, -1), jax.lax.map(below_stem, stems)
    )


@partial(jax.jit, static_argnums=1)
def _values_of_prompt(
    models: Models, size: int, setting: Setting, below: Below
) -> Below:
    """Back up the values of all stems of `size` tokens to those of the prompt."""
    empty = jnp.zeros(0, jnp.int32)
    levels = list(read_levels(models, setting, empty, size, last=False)) if size else []
    for level in reversed(levels):
        below = back_up(level, below, setting.kl_weights)
    return jax.tree.map(lambda x: x[..., 0], below)


def _columns(
    at_end: Float[Array, "N"], after: Float[Array, "M"]
) -> Float[Array, "N A"]:
    """Return one row for each prefix: its value if it ends, and those after words."""
    return jnp.concatenate([at_end[:, None], after.reshape(len(at_end), -1)], axis=1)


def _expected(
    log_probs: Float[Array, "N A"], at_end: Float[Array, "N"], after: Float[Array, "M"]
) -> Float[Array, "N"]:
    """Return the mean over the next token, under a policy."""
    return (jnp.exp(log_probs) * _columns(at_end, after)).sum(-1)


def _level(
    policy: Float[Array, "N V"],
    reference: Float[Array, "N V"],
    learned: Float[Array, "N"],
    gold: Float[Array, "N"],
    is_last: bool,
) -> Level:
    """Return a level; at the last one, all words share a column."""
    probs, others = jnp.exp(policy), jnp.exp(reference)
    next_kl = (probs * (policy - reference)).sum(-1)
    next_reverse_kl = (others * (reference - policy)).sum(-1)
    next_entropy = -(probs * policy).sum(-1)
    if is_last:
        policy, reference = _merge_words(policy), _merge_words(reference)
    return Level(
        policy, reference, learned, gold, next_kl, next_reverse_kl, next_entropy
    )


def _merge_words(log_probs: Float[Array, "N V"]) -> Float[Array, "N 2"]:
    """Return log pi of `END`, and of any word."""
    end = log_probs[:, END]
    return jnp.stack([end, jnp.log1p(-jnp.exp(end))], axis=1)


def _paths(
    path: Int[Array, "N depth"], words: Int[Array, "W"]
) -> Int[Array, "M longer"]:
    """Return the tokens of every prefix with every word after it."""
    longer = jnp.repeat(path, len(words), axis=0)
    return jnp.column_stack([longer, jnp.tile(words, len(path))])


def _summed_once(stem: Int[Array, "size"], ratings: Float[Array, "V"]) -> Scalar:
    """Return the sum of the ratings of the words in a stem, each word counted once."""
    return jnp.zeros(len(ratings)).at[stem].set(1.0) @ ratings


def _means(
    of_prompts: Sequence[Below], kl_weights: Sequence[float], count: int
) -> StreamedValue:
    """Return the means over the prompts, in float64."""
    stacked = jax.tree.map(lambda *x: np.asarray(x, np.float64), *of_prompts)
    below = jax.tree.map(lambda x: x.mean(0), stacked)

    def value(moments: Moments, kl_weight: float) -> Value:
        learned, gold, kl = map(float, moments)
        return Value(gold, learned, kl, learned - kl_weight * kl)

    best = [
        value(jax.tree.map(lambda x, i=i: x[i], below.optimum), beta)
        for i, beta in enumerate(kl_weights)
    ]
    return StreamedValue(
        value(below.policy, kl_weights[0]),
        float(below.reverse_kl),
        float(below.entropy),
        best[0],
        best[1:],
        count,
    )
