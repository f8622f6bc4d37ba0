"""What a run must never do, and what to look at while it learns.

Four things hold in every sound run, whatever is learned. Each is checked in every
update, on one completion of each prompt, and a run that breaks one is stopped:

    sampler = scorer       log pi(y|x) while writing y equals log pi(y|x) read off it
    first ratio = 1        before the first gradient step pi is pi_old
    the end is the end     what stands after it changes no log-probability, no score
    KL = KL                the sampled KL is the exact one, where that is known

They break when temperature is used to sample but not to score, when padding counts,
when log-probabilities are recomputed or off by one token. What the rest means:

    KL rises, reward does not      beta is too low, or the reward model is being fooled
    entropy falls to 0 at once     step size or epochs too large
    completions get ever shorter   or longer: the reward model likes the length
    few distinct completions       the policy has collapsed onto one answer

Source: Schulman (2020), "Approximating KL divergence"; Huang et al. (2024), "The N
implementation details of RLHF with PPO".
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, Scalar

from lm_bandit import reward_model
from lm_bandit.bandit import Pulls
from lm_bandit.generate import completion_mask, has_ended, token_log_probs
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from lm_bandit.world import END
from policy_gradient.diagnostics import Diagnostics
from policy_gradient.objectives import kl_estimates

# Log-probabilities in float32, added up over a completion, agree to this many nats.
TOLERANCE = 1e-3
# The sampled KL lies within so many of its standard errors of the exact one.
STANDARD_ERRORS = 6.0


class History(NamedTuple):
    """One row per update, of its batch: means over completions, or as is said."""

    score: Float[Array, "..."]  # learned, penalties included
    kl: Float[Array, "..."]  # k1: KL(pi || pi_ref), in nats per completion
    kl_k2: Float[Array, "..."]  # summed over the tokens; biased
    kl_k3: Float[Array, "..."]
    kl_error: Float[Array, "..."]  # standard error of `kl`
    objective: Float[Array, "..."]  # score - beta KL
    ended: Float[Array, "..."]  # share of completions that end within the limit
    length: Float[Array, "..."]  # tokens, the end of text included
    distinct: Float[Array, "..."]  # share of the batch that is not a repetition
    sampler_gap: Float[Array, "..."]  # largest |sampled - scored| log-probability: 0
    padding_gap: Float[Array, "..."]  # largest change when padding is scribbled on: 0
    kl_weight: Float[Array, "..."]  # beta, as it was charged
    improvement: Diagnostics  # entropy, ratio, clip fraction, gradient norm ...


class BrokenRun(ArithmeticError):
    """A run that did what no run may do, and at which update (the first is 1).

    `last_good` are the parameters before it.
    """

    def __init__(self, update: int, message: str, last_good: PyTree | None = None):
        super().__init__(f"update {update}: {message}")
        self.update = update
        self.last_good = last_good


def measure_pulls(
    policy: Transformer,
    scorer: RewardModel,
    pulls: Pulls,
    references: Float[Array, "k n C"],
    scores: Float[Array, "k n"],
    kl_weight: Scalar,
    temperature: float | Scalar,
) -> History:
    """What a batch shows before it is used; `references` are log pi_ref of tokens."""
    completions = pulls.completions
    of_each = jax.vmap(jax.vmap(jax.vmap(kl_estimates)))
    # On the padding both log-probabilities are 0, and so is each estimate.
    k1, k2, k3 = (x.sum(-1) for x in of_each(pulls.log_probs, references))
    sampler_gap, padding_gap = _gaps(policy, scorer, pulls, temperature)
    return History(
        score=scores.mean(),
        kl=k1.mean(),
        kl_k2=k2.mean(),
        kl_k3=k3.mean(),
        kl_error=k1.std() / k1.size**0.5,
        objective=jnp.mean(scores - kl_weight * k1),
        ended=has_ended(completions).mean(),
        length=completion_mask(completions).sum(-1).mean(),
        distinct=share_distinct(completions),
        sampler_gap=sampler_gap,
        padding_gap=padding_gap,
        kl_weight=kl_weight,
        improvement=None,
    )


def share_distinct(completions: Int[Array, "k n C"]) -> Scalar:
    """The number of different answers, by that of all; 1 where none comes twice.

    Completions are told apart by a 32-bit hash of their tokens and their prompt.
    """
    k, n, length = completions.shape
    codes = jnp.broadcast_to(jnp.arange(k, dtype=jnp.uint32)[:, None], (k, n))
    for t in range(length):  # a number to the base of Knuth's multiplier, modulo 2^32
        codes = codes * jnp.uint32(2654435761) + completions[..., t].astype(jnp.uint32)
    in_order = jnp.sort(codes.ravel())
    return (1 + jnp.sum(in_order[1:] != in_order[:-1])) / codes.size


def _gaps(policy, scorer, pulls, temperature) -> tuple[Scalar, Scalar]:
    """|sampled - scored|, and what scribbling on the padding changes; the largest."""
    prompts, completions, sampled = (x[:, 0] for x in pulls)
    scribbled = jnp.where(completion_mask(completions) > 0, completions, END + 1)
    both = jnp.stack([completions, scribbled])
    prompts = jnp.broadcast_to(prompts, (2, *prompts.shape))
    log_probs = token_log_probs(policy, prompts, both, temperature)
    scores = reward_model.score(scorer, prompts, both)
    moved = jnp.abs(log_probs[1] - log_probs[0]).max(-1)
    moved += jnp.abs(scores[1] - scores[0])
    padded = has_ended(completions)  # one that was cut off has neither end nor score
    padding_gap = jnp.max(jnp.where(padded, moved, 0.0))
    return jnp.abs(log_probs[0] - sampled).max(), padding_gap


def require_sound(
    done: int, snapshots: Transformer, rows: History, before: Transformer
) -> None:
    """Raise `BrokenRun` at the first update that broke an invariant.

    Args:
        done: updates that have been made, `rows` being of the last of them.
        snapshots: the policy's parameters after each update of `rows`.
        rows: one row per update.
        before: the parameters before the first of these.
    """
    rows = jax.tree.map(np.asarray, rows)
    first = done - len(rows.score)
    finite = _rows_finite(rows) & _rows_finite(snapshots)
    promises = {
        "expected finite numbers, got nan or inf": ~finite,
        "the sampler and the scorer must agree on log pi(y|x)": ~(
            rows.sampler_gap < TOLERANCE
        ),
        "nothing after the end of a text may count": ~(rows.padding_gap < TOLERANCE),
        "the ratio pi / pi_old must be 1 before the first gradient step": ~(
            np.abs(rows.improvement.first_ratio - 1.0) < TOLERANCE
        ),
    }
    for promise, broken in promises.items():
        if broken.any():
            i = int(np.argmax(broken))
            numbers = (
                f"loss {rows.improvement.loss[i]:.3g}, "
                f"sampler gap {rows.sampler_gap[i]:.2g}, "
                f"padding gap {rows.padding_gap[i]:.2g}, "
                f"first ratio {rows.improvement.first_ratio[i]:.6g}"
            )
            good = before if i == 0 else row(snapshots, i - 1)
            raise BrokenRun(first + i + 1, f"{promise} ({numbers})", good)


def require_exact_kl(made: int, history: History, exact_kl: float) -> None:
    """Raise `BrokenRun` where the KL of a batch is not that of the policy it is from.

    `exact_kl` is of the policy after so many updates, which writes the next batch.
    """
    kl, error = float(history.kl[made]), float(history.kl_error[made])
    if not abs(kl - exact_kl) <= STANDARD_ERRORS * error + TOLERANCE:
        raise BrokenRun(
            made + 1,
            f"the sampled KL must be the exact {exact_kl:.4f} within "
            f"{STANDARD_ERRORS:g} standard errors of {error:.2g}, got {kl:.4f}",
        )


def _rows_finite(tree: PyTree) -> np.ndarray:
    """Whether each row of the leaves is finite, bool [rows]."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return np.all(
        [np.isfinite(leaf).reshape(len(leaf), -1).all(-1) for leaf in leaves], axis=0
    )


def row(tree: PyTree, i: int) -> PyTree:
    """One row of every leaf."""
    return jax.tree.map(lambda x: x[i], tree)
