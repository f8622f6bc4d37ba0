"""Invariants that every run must keep, and the numbers to watch while it learns.

Four things hold in every sound run, whatever the policy learns. Each update checks them
on one completion of each prompt, and a run that breaks one is stopped:

    sampler = scorer       log pi(y|x) while writing y equals log pi(y|x) of reading it
    first ratio = 1        before the first gradient step pi is pi_old
    the end is the end     what stands after it changes no log-probability, no score
    KL = KL                the sampled KL is the exact one, where that is known

They break when temperature is used to sample but not to score, when padding counts, or
when log-probabilities are recomputed or off by one token. Other symptoms and causes:

    KL rises, reward does not      beta is too low, or the policy exploits the reward
                                   model's errors
    entropy falls to 0 at once     step size or epochs too large
    completions get ever shorter   or longer: the reward model likes the length
    few distinct completions       the policy has collapsed onto one answer

Source: Schulman (2020), "Approximating KL divergence"; Huang et al. (2024), "The N
implementation details of RLHF with PPO".
Shapes: k prompts, n completions of each, C tokens of a completion.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Scalar

from lm_bandit.bandit import Pulls, Scored
from lm_bandit.generate import completion_mask, has_ended, token_log_probs
from lm_bandit.reward_table import Reward, score_texts
from lm_bandit.transformer import Transformer
from lm_bandit.world import END
from policy_gradient.diagnostics import Diagnostics
from policy_gradient.training import BrokenRun
from policy_gradient.trajectory import masked_mean

# Log-probabilities in float32, added up over a completion, agree to this many nats.
TOLERANCE = 1e-3
# The sampled KL lies within so many of its standard errors of the exact one.
STANDARD_ERRORS = 6.0


class History(NamedTuple):
    """Numbers of each update, means over the completions of its batch."""

    score: Float[Array, "..."]  # learned reward, penalties included
    score_error: Float[Array, "..."]  # standard error of `score`
    kl: Float[Array, "..."]  # k1: KL(pi || pi_ref), in nats per completion
    kl_error: Float[Array, "..."]  # standard error of `kl`
    objective: Float[Array, "..."]  # score - beta KL
    reward: Float[Array, "..."]  # that the policy learned from: the objective, scaled
    ended: Float[Array, "..."]  # share of completions that end within the limit
    length: Float[Array, "..."]  # tokens, the end of text included
    distinct: Float[Array, "..."]  # share of the batch that is not a repetition
    sampler_gap: Float[Array, "..."]  # largest |sampled - scored| log-probability: 0
    padding_gap: Float[Array, "..."]  # largest change when the padding is changed: 0
    value_gap: Float[Array, "..."]  # between critic's values of one prompt: 0
    score_gap: Float[Array, "..."]  # largest |score - reward model's reading|: 0
    length_bonus: Float[Array, "..."]  # of (score - reading), for each token: 0
    kl_weight: Float[Array, "..."]  # beta, in this update
    fingerprint: Float[Array, "..."]  # of the random key: another one in each update
    improvement: Diagnostics  # entropy, ratio, clip fraction, gradient norm ...


def named_curves(history: History) -> dict[str, Float[np.ndarray, "..."]]:
    """Return every curve of a history by its name, those of `improvement` included."""
    curves = history._asdict()
    curves |= curves.pop("improvement")._asdict()
    return {name: np.asarray(curve) for name, curve in curves.items()}


def measure_pulls(
    policy: Transformer,
    scorer: Reward,
    pulls: Pulls,
    scored: Scored,
    earned: Float[Array, "k n"],
    kl_weight: Scalar,
    temperature: float | Scalar,
) -> History:
    """Return the numbers of a batch, in which each completion `earned` its reward.

    `improvement` and `fingerprint` are 0: they are known only after the update.
    Source: Schulman (2020) for k1, the estimate of the KL.
    """
    completions = pulls.completions
    # On the padding both log-probabilities are 0.
    k1 = jnp.sum(pulls.log_probs - scored.references, axis=-1)
    gaps = _gaps(policy, scorer, pulls, scored.scores, temperature)
    before_first_token = scored.values[..., 0]
    return History(
        score=scored.scores.mean(),
        score_error=scored.scores.std() / k1.size**0.5,
        kl=k1.mean(),
        kl_error=k1.std() / k1.size**0.5,
        objective=jnp.mean(scored.scores - kl_weight * k1),
        reward=earned.mean(),
        ended=has_ended(completions).mean(),
        length=completion_mask(completions).sum(-1).mean(),
        distinct=share_distinct(completions),
        value_gap=jnp.ptp(before_first_token, axis=1).max(),
        **gaps._asdict(),
        kl_weight=kl_weight,
        fingerprint=jnp.zeros(()),
        improvement=Diagnostics(*[jnp.zeros(())] * len(Diagnostics._fields)),
    )


def key_fingerprint(key: Key[Array, ""]) -> Scalar:
    """Return a number from 0 to 1 that tells one random key from another."""
    return jax.random.key_data(key)[-1].astype(float) / 2.0**32


def share_distinct(completions: Int[Array, "k n C"]) -> Scalar:
    """Number of different answers divided by that of all; 1 where none comes twice.

    Two completions are equal where a 32-bit hash of their tokens and prompt is equal.
    Source: Knuth (1998), section 6.4, for the multiplier.
    """
    k, n, length = completions.shape
    codes = jnp.broadcast_to(jnp.arange(k, dtype=jnp.uint32)[:, None], (k, n))
    for t in range(length):  # a number to the base of Knuth's multiplier, modulo 2^32
        codes = codes * jnp.uint32(2654435761) + completions[..., t].astype(jnp.uint32)
    in_order = jnp.sort(codes.ravel())
    return (1 + jnp.sum(in_order[1:] != in_order[:-1])) / codes.size


class Gaps(NamedTuple):
    """Numbers that are 0 in a sound run, of one completion of each prompt."""

    sampler_gap: Scalar
    padding_gap: Scalar
    score_gap: Scalar
    length_bonus: Scalar


def _gaps(
    policy: Transformer,
    scorer: Reward,
    pulls: Pulls,
    scored: Float[Array, "k n"],
    temperature: float | Scalar,
) -> Gaps:
    """Read one completion of each prompt once more, with other padding, too."""
    prompts, completions, sampled = (x[:, 0] for x in pulls)
    mask = completion_mask(completions)
    changed = jnp.where(mask > 0, completions, END + 1)
    both = jnp.stack([completions, changed])
    prompts = jnp.broadcast_to(prompts, (2, *prompts.shape))
    log_probs = token_log_probs(policy, prompts, both, temperature)
    scores = score_texts(scorer, prompts, both)
    effect = jnp.abs(log_probs[1] - log_probs[0]).max(-1)
    effect += jnp.abs(scores[1] - scores[0])
    ended = has_ended(completions)  # one that was cut off has neither end nor score
    more = jnp.where(ended, scored[:, 0] - scores[0], 0.0)
    lengths = mask.sum(-1)
    longer = (lengths - masked_mean(lengths, ended.astype(float))) * ended
    return Gaps(
        sampler_gap=jnp.abs(log_probs[0] - sampled).max(),
        padding_gap=jnp.max(jnp.where(ended, effect, 0.0)),
        score_gap=jnp.abs(more).max(),
        length_bonus=jnp.sum(longer * more) / jnp.maximum(jnp.sum(longer**2), 1e-6),
    )


def require_sound(
    done: int, snapshots: PyTree, history: History, before: PyTree
) -> None:
    """Raise `BrokenRun` at the first update that broke an invariant.

    Args:
        done: number of updates so far; `history` has the last of them.
        snapshots: the policy's parameters after each update of `history`.
        history: one row per update.
        before: the parameters before the first of these updates.
    """
    history = jax.tree.map(np.asarray, history)
    improvement = history.improvement
    finite = _rows_finite(history) & _rows_finite(snapshots)
    ratio_gap = np.abs(improvement.first_ratio - 1.0)
    sound = {
        "expected finite numbers, got nan or inf": finite,
        "the sampler and the scorer must agree on log pi(y|x)": (
            history.sampler_gap < TOLERANCE
        ),
        "nothing after the end of a text may count": history.padding_gap < TOLERANCE,
        "the ratio pi / pi_old must be 1 before the first gradient step": (
            ratio_gap < TOLERANCE
        ),
    }
    for message, kept in sound.items():
        if not kept.all():
            i = int(np.argmin(kept))
            numbers = (
                f"loss {improvement.loss[i]:.3g}, "
                f"sampler gap {history.sampler_gap[i]:.2g}, "
                f"padding gap {history.padding_gap[i]:.2g}, "
                f"first ratio {improvement.first_ratio[i]:.6g}"
            )
            last_good = before if i == 0 else row(snapshots, i - 1)
            update = done - len(history.score) + i + 1
            raise BrokenRun(update, f"{message} ({numbers})", last_good)


def require_exact_kl(
    made: int, history: History, exact_kl: float, policy: Transformer | None = None
) -> None:
    """Raise `BrokenRun` where the sampled KL is far from the exact one.

    `exact_kl` is of the policy after `made` updates, which writes the next batch.
    """
    kl, error = float(history.kl[made]), float(history.kl_error[made])
    if not abs(kl - exact_kl) <= STANDARD_ERRORS * error + TOLERANCE:
        raise BrokenRun(
            made + 1,
            f"the sampled KL must be the exact {exact_kl:.4f} within "
            f"{STANDARD_ERRORS:g} standard errors of {error:.2g}, got {kl:.4f}",
            policy,
        )


def _rows_finite(tree: PyTree) -> Bool[np.ndarray, "rows"]:
    """Return whether each row of all leaves is finite."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    finite = [np.isfinite(leaf).reshape(len(leaf), -1).all(-1) for leaf in leaves]
    return np.all(finite, axis=0)


def row(tree: PyTree, i: int) -> PyTree:
    """Return row i of every leaf: one update of a history, or one snapshot."""
    return jax.tree.map(lambda x: x[i], tree)
