"""Losses of RLHF as libraries write them: one function, and what each setting climbs.

Each published variant is a setting of `LossDials`. What its expected update is follows
from two facts, with log pi differentiated and everything else held still:

    E[ c(y) sum_t grad log pi_t ]  =  grad E[c]      if c does not depend on theta
    E[ c sum_t grad log pi_t ]     =  0              if c does not depend on y

`KNOWN` says for each what follows; the tests compare it with the enumeration.

Source: Schulman (2020), "Approximating KL divergence", for k1, k2 and k3; Shao et al.
(2024), eqs. 3-4; Ahmadian et al. (2024), section 3; Yu et al. (2025), section 3.3; Liu
et al. (2025), "Understanding R1-Zero-like training", section 3; "A comedy of
estimators" (2025), arXiv 2512.21852.
Shapes: G completions in a group, T tokens.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from lm_bandit.alternatives.grpo import completion_weights, group_advantages
from lm_bandit.losses.expected import SIZE, Sampler, Update, by_jax
from lm_bandit.losses.tiny import FIFTEEN, TinyBandit
from policy_gradient.objectives import KLEstimates, clipped_surrogate_loss, kl_estimates

Group = Float[Array, "G T"]
BETA = 0.1  # of all variants with a leash
NEVER = -1e9  # logit of a token that is never drawn


@dataclass(frozen=True)
class LossDials:
    """Settings in which published losses of a group differ."""

    # What a reward is compared with: nothing, the mean of the others, the group's mean
    # with the completion itself, or that mean in units of the group's deviation.
    baseline: Literal["none", "others", "group", "standardized"] = "others"
    # Weight of a token: 1, 1 / the number of tokens in the group (token_mean) or in its
    # completion (sequence_mean), or 1 / T (constant).
    over_tokens: Literal["sum", "token_mean", "sequence_mean", "constant"] = "sum"
    # Estimator of the KL to the reference.
    kl: Literal["none", "k1", "k2", "k3"] = "none"
    # Where it is charged: as a term of the loss, which is differentiated, or as a part
    # of the reward, which is not.
    kl_in: Literal["loss", "reward"] = "reward"
    # Whether the estimator takes the ratio of each token, or of the whole completion.
    kl_of: Literal["token", "completion"] = "token"
    # beta.
    kl_weight: float = BETA
    # eps of the clip; without it the ratio is not clipped.
    clip: float | None = None
    # Weight completions by pi / sampler, at most this; by default they have weight 1.
    truncation: float | None = None


class Known(NamedTuple):
    """A published variant, and what it climbs."""

    dials: LossDials
    climbs: dict[str, float] | None  # weights of its terms; None if it is no such sum
    why: str  # the derivation, in a sentence
    sampler: Sampler = jax.nn.log_softmax
    old_is_policy: bool = True

    def terms(self, size: int) -> dict[str, float] | None:
        """Return the weight of each term for groups of `size` completions.

        r - mean of all G is (G - 1) / G of r - mean of the others.
        """
        if self.climbs is None or self.dials.baseline != "group":
            return self.climbs
        return {**self.climbs, "E[r]": self.climbs["E[r]"] * (size - 1) / size}

    def update(
        self, size: int = SIZE, kl_weight: float = BETA, bandit: TinyBandit = FIFTEEN
    ) -> Update:
        """Return the expected update, with groups of `size` and this beta."""
        dials = replace(self.dials, kl_weight=kl_weight)
        slopes = by_jax(partial(group_loss, dials=dials))
        return Update(slopes, self.sampler, size, self.old_is_policy, bandit)


def group_loss(
    log_probs: Group,
    old_log_probs: Group,
    reference_log_probs: Group,
    mask: Group,
    rewards: Float[Array, "G"],
    dials: LossDials,
) -> Float[Array, ""]:
    """Return the loss of one group of completions, to be minimised."""
    weights = completion_weights(mask, dials.over_tokens)
    divergence = estimated_kl(log_probs, reference_log_probs, dials)
    if dials.kl_in == "reward":
        rewards = rewards - dials.kl_weight * stop_gradient(divergence.sum(1))
    advantages = compared(rewards, dials.baseline)
    if dials.truncation is not None:
        ratios = jnp.exp(jnp.sum(stop_gradient(log_probs) - old_log_probs, axis=1))
        advantages *= jnp.minimum(ratios, dials.truncation)
    advantages = advantages[:, None] * mask
    if dials.clip is None:
        loss = -jnp.sum(weights * advantages * log_probs) / len(mask)
    else:
        loss = clipped_surrogate_loss(
            log_probs, old_log_probs, advantages, weights, dials.clip
        )
    if dials.kl_in == "loss":
        if dials.kl_of == "token":
            divergence *= weights
        loss += dials.kl_weight * jnp.mean(divergence.sum(1))
    return loss


def estimated_kl(
    log_probs: Group, reference_log_probs: Group, dials: LossDials
) -> Float[Array, "G n"]:
    """Return the estimator of the KL of each token, or of each completion (n = 1)."""
    if dials.kl == "none":
        return jnp.zeros_like(log_probs)
    if dials.kl_of == "completion":
        log_probs = log_probs.sum(1, keepdims=True)
        reference_log_probs = reference_log_probs.sum(1, keepdims=True)
    # `vectorize` forgets names where an axis has one place.
    every = KLEstimates(*jnp.vectorize(kl_estimates)(log_probs, reference_log_probs))
    return getattr(every, dials.kl)


def compared(rewards: Float[Array, "G"], baseline: str) -> Float[Array, "G"]:
    """Return the advantages of a group."""
    if baseline == "none":
        return rewards
    return group_advantages(
        rewards,
        divide_by_deviation=baseline == "standardized",
        leave_out_own=baseline == "others",
    )


def top_k(logits: Float[Array, "N V"]) -> Float[Array, "N V"]:
    """Return log-probabilities of sampling among the two likeliest tokens."""
    least = jnp.sort(logits, axis=1)[:, -2:-1]
    return jax.nn.log_softmax(jnp.where(logits >= least, logits, NEVER))


def top_p(logits: Float[Array, "N V"]) -> Float[Array, "N V"]:
    """Return log-probabilities of sampling among the likeliest tokens, 80% together.

    Source: Holtzman et al. (2020), section 3.1, nucleus sampling.
    """
    probs = jax.nn.softmax(logits)
    likelier = jnp.where(probs[:, None, :] > probs[:, :, None], probs[:, None, :], 0.0)
    inside = likelier.sum(2) < 0.8
    return jax.nn.log_softmax(jnp.where(inside, logits, NEVER))


def other_engine(logits: Float[Array, "N V"]) -> Float[Array, "N V"]:
    """Return log-probabilities of an engine whose logits differ by 0.2 or so."""
    rows, columns = logits.shape
    noise = jnp.sin(12.9898 * jnp.arange(1, 1 + rows * columns)).reshape(logits.shape)
    return jax.nn.log_softmax(logits + 0.3 * noise)


LENGTH = FIFTEEN.tokens.shape[1]
LEASH, BACK, STILL = "KL(pi || ref)", "KL(ref || pi)", ", prefixes still"

# Published variants, and the algorithms that are made of them.
KNOWN = {
    "sum": Known(
        LossDials(baseline="none"),
        {"E[r]": 1.0},
        "E[r grad log pi] = grad E[r]: rewards do not depend on theta.",
    ),
    "leave-one-out": Known(
        LossDials(),
        {"E[r]": 1.0},
        "The mean of the others does not depend on y: E[mean grad log pi] = 0.",
    ),
    "group-mean": Known(
        LossDials(baseline="group"),
        {"E[r]": 1.0},
        "r - mean of all G is (G - 1) / G of r - mean of the others.",
    ),
    "deviation": Known(
        LossDials(baseline="standardized"),
        None,
        "1 / sd of the group depends on the completion itself.",
    ),
    "sequence-mean": Known(
        LossDials(over_tokens="sequence_mean"),
        {"E[(r - mean) / length], mean still": 1.0},
        "c = (r - mean of the others) / length: short completions count for more.",
    ),
    "token-mean": Known(
        LossDials(over_tokens="token_mean"),
        None,
        "The number of tokens in the group depends on every completion.",
    ),
    "constant-length": Known(
        LossDials(over_tokens="constant"),
        {"E[r]": 1.0 / LENGTH},
        "A constant changes the step size only.",
    ),
    "clipped": Known(
        LossDials(clip=0.2),
        {"E[r]": 1.0},
        "At the policy that wrote the data every ratio is 1: nothing is clipped.",
    ),
    "k1-in-reward": Known(
        LossDials(kl="k1"),
        {"E[r]": 1.0, LEASH: -BETA},
        "E[k1 grad log pi] = grad KL(pi || ref), since E[grad k1] = 0.",
    ),
    "k2-in-reward": Known(
        LossDials(kl="k2"),
        {"E[r]": 1.0, "E[k2 of tokens]": -BETA, LEASH + STILL: BETA},
        "E[k2 grad log pi] = grad E[k2] - E[grad k2]: k2 is held still.",
    ),
    "k3-in-reward": Known(
        LossDials(kl="k3"),
        {"E[r]": 1.0, LEASH: -BETA, BACK + STILL: BETA},
        "k3 = k1 + (ratio - 1), and the second part pulls the other way: near the "
        "reference both are equal, and nothing is left.",
    ),
    "k1-in-loss": Known(
        LossDials(kl="k1", kl_in="loss"),
        {"E[r]": 1.0},
        "E[grad k1] = E[grad log pi] = 0: there is no leash at all.",
    ),
    "k2-in-loss": Known(
        LossDials(kl="k2", kl_in="loss"),
        {"E[r]": 1.0, LEASH + STILL: -BETA},
        "E[grad k2] = E[k1 grad log pi], token by token.",
    ),
    "k3-in-loss": Known(
        LossDials(kl="k3", kl_in="loss"),
        {"E[r]": 1.0, BACK + STILL: -BETA},
        "E[grad k3] = -E[(pi_ref / pi) grad log pi], token by token.",
    ),
    "k2-of-completions-in-loss": Known(
        LossDials(kl="k2", kl_in="loss", kl_of="completion"),
        {"E[r]": 1.0, LEASH: -BETA},
        "E[grad k2] = E[k1 grad log pi] = grad KL(pi || ref).",
    ),
    "k3-of-completions-in-loss": Known(
        LossDials(kl="k3", kl_in="loss", kl_of="completion"),
        {"E[r]": 1.0, BACK: -BETA},
        "E[grad k3] = -sum of pi_ref grad log pi = grad KL(ref || pi).",
    ),
    "k3-of-completions-in-reward": Known(
        LossDials(kl="k3", kl_of="completion"),
        {"E[r]": 1.0, LEASH: -BETA, BACK: BETA},
        "E[k3 grad log pi] = grad KL(pi || ref) - grad KL(ref || pi).",
    ),
    "top-k": Known(
        LossDials(),
        None,
        "Drawn from the two likeliest tokens, and scored with all three.",
        top_k,
    ),
    "top-p": Known(
        LossDials(),
        None,
        "Drawn from the likeliest tokens, 80% together, and scored with all three.",
        top_p,
    ),
    "truncated-weights": Known(
        LossDials(truncation=1.05),
        None,
        "Another engine draws; weights of pi / engine are exact if not cut off.",
        other_engine,
        old_is_policy=False,
    ),
    "grpo": Known(
        LossDials("standardized", "sequence_mean", "k3", "loss", clip=0.2),
        None,
        "The deviation and the length of each completion.",
    ),
    "dr-grpo": Known(
        LossDials("group", "constant", "k3", "loss", clip=0.2),
        {"E[r]": 1.0 / LENGTH, BACK + STILL: -BETA / LENGTH},
        "As k3-in-loss; the group's mean multiplies beta by G / (G - 1).",
    ),
    "dapo": Known(
        LossDials("standardized", "token_mean", clip=0.2),
        None,
        "The deviation and the number of tokens in the group.",
    ),
    "rloo": Known(
        LossDials(kl="k1", kl_of="completion"),
        {"E[r]": 1.0, LEASH: -BETA},
        "As k1-in-reward.",
    ),
    "ppo": Known(
        LossDials(kl="k1", clip=0.13),
        {"E[r]": 1.0, LEASH: -BETA},
        "As k1-in-reward; the clip acts from the second gradient step on.",
    ),
}
