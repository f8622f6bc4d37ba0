"""GRPO, group relative policy optimization: the other pulls are the critic.

    A   =  (r - mean) / std              over the pulls of the same prompt
    L   =  - mean_y 1/|y| sum_t [ min(rho_t A, clip(rho_t, 1 - eps, 1 + eps) A)
                                  - beta k3_t ]
    k3  =  pi_ref / pi - 1 - log(pi_ref / pi)

There is no critic, and the price of a nat is not a part of the reward but a term of the
loss. Two things follow. k3 estimates KL(pi || pi_ref), but it is differentiated with
the pulls held fixed, and then its mean gradient is that of KL(pi_ref || pi): the policy
pays for another divergence. And if the scores of a prompt are divided by their
deviation, its beta is in effect multiplied by that deviation. So the fixed point of
GRPO is not pi*: `oracle/prefixes.py` has it.

Dr. GRPO and DAPO are settings of `GRPOConfig`:

    Dr. GRPO   divide_by_deviation=False, over_tokens="constant"
    DAPO       over_tokens="token_mean", clip_higher=0.28, dynamic_sampling=True

Source: Shao et al. (2024), "DeepSeekMath", eqs. 3-4 and section 4.1.2, outcome
supervision; Schulman (2020), "Approximating KL divergence", for k3; Liu et al. (2025),
"Understanding R1-Zero-like training", for Dr. GRPO; Yu et al. (2025), "DAPO".
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Scalar

from lm_bandit import views
from lm_bandit.alternatives import loop
from lm_bandit.alternatives.config import GRPOConfig
from lm_bandit.alternatives.loop import ScoredPulls, TuningState
from lm_bandit.diagnostics import History
from lm_bandit.generate import completion_mask
from lm_bandit.ppo import Fixed
from lm_bandit.transformer import Transformer
from policy_gradient import baselines, objectives
from policy_gradient.trajectory import masked_mean


class GRPOBatch(NamedTuple):
    """Completions, and how much better each is than the others of its prompt."""

    pulls: ScoredPulls
    advantages: Float[Array, "rows"]
    weights: Float[Array, "rows"]  # of each completion in the loss; their mean is 1


def train(
    key: Key[Array, ""], fixed: Fixed, length: int, config: GRPOConfig
) -> tuple[Transformer, History]:
    """Tune the reference by GRPO, with completions of at most `length` tokens.

    Returns the policy after every update (along a leading axis) and the history.
    Source: Shao et al. (2024), algorithm 1, with one round and a fixed reference.
    """
    return loop.train_policy(key, fixed, length, config, update)


def update(
    state: TuningState,
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: GRPOConfig,
) -> tuple[TuningState, History]:
    """Pull completions, compare them within their prompt, and improve the policy."""
    pull_key, improve_key = jax.random.split(key)
    pulls, history = loop.pull_and_score(state.policy, pull_key, fixed, length, config)
    groups = pulls.scores.reshape(-1, config.pulls)
    compare = partial(
        group_advantages,
        divide_by_deviation=config.divide_by_deviation,
        leave_out_own=config.leave_out_own,
    )
    advantages = jax.vmap(compare)(groups).ravel()
    weights = jnp.ones_like(advantages)
    if config.dynamic_sampling:
        weights = jnp.repeat(informative_weights(groups), config.pulls)
    batch = GRPOBatch(pulls, advantages, weights)
    batch_loss = partial(loss, fixed=fixed, config=config)
    return loop.descend(state, improve_key, batch, batch_loss, config, history)


def loss(
    policy: Transformer, batch: GRPOBatch, fixed: Fixed, config: GRPOConfig
) -> tuple[Scalar, Scalar]:
    """Return GRPO's loss on a minibatch, and the mean ratio pi / pi_old of its tokens.

    Source: Shao et al. (2024), eqs. 3-4; Yu et al. (2025), eq. 8, for `clip_higher`.
    """
    pulls = batch.pulls
    log_probs = loop.written_log_probs(
        policy, pulls.which, pulls.completions, fixed, config
    )
    mask = completion_mask(pulls.completions)
    weights = batch.weights[:, None] * completion_weights(mask, config.over_tokens)
    advantages = batch.advantages[:, None] * jnp.ones_like(log_probs)
    upper = config.clip if config.clip_higher is None else config.clip_higher
    policy_loss = clip_higher_loss(
        log_probs, pulls.log_probs, advantages, weights, config.clip, upper
    )
    k3 = jnp.vectorize(objectives.kl_estimates)(log_probs, pulls.references).k3
    penalty = jnp.sum(weights * k3) / len(k3)
    ratios = jnp.exp(log_probs - pulls.log_probs)
    return policy_loss + config.kl_weight * penalty, masked_mean(ratios, mask)


def clip_higher_loss(
    log_probs: Float[Array, "rows C"],
    old_log_probs: Float[Array, "rows C"],
    advantages: Float[Array, "rows C"],
    weights: Float[Array, "rows C"],
    lower: float | Scalar,
    upper: float | Scalar,
) -> Scalar:
    """Minus the weighted sum of clipped surrogates of each row, as a mean over rows.

        min( rho A, clip(rho, 1 - lower, 1 + upper) A ),      rho = pi / pi_old

    The lower end of the range acts where A < 0 only, and the upper where A > 0 only. A
    larger upper end lets rare tokens rise faster, and keeps tokens from dying out.
    Source: Yu et al. (2025), section 3.1 and eq. 10, "clip-higher".
    """
    ratios = jnp.exp(log_probs - old_log_probs)
    clipped = jnp.clip(ratios, 1.0 - lower, 1.0 + upper)
    surrogates = jnp.minimum(ratios * advantages, clipped * advantages)
    return -jnp.sum(weights * surrogates) / len(weights)


def group_advantages(
    rewards: Float[Array, "n"],
    divide_by_deviation: bool = True,
    leave_out_own: bool = False,
) -> Float[Array, "n"]:
    """Return how much better each of n pulls is than the others of its prompt.

        divide_by_deviation    (r - mean) / (std + 1e-4)    GRPO
        else                    r - mean                    Dr. GRPO, in the unit of r
        leave_out_own          the mean is that of the n - 1 other pulls (RLOO)

    A mean that contains the pull itself makes the expected gradient (n - 1) / n of that
    of RLOO. The deviation is that of all n, and divides by n, which the paper leaves
    open. TRL and verl divide by n - 1, so that their advantages are sqrt((n - 1) / n)
    of these: 0.87 for groups of 4. TRL also adds 1e-4, verl 1e-6.
    Source: Shao et al. (2024), section 4.1.2; Liu et al. (2025), section 3.2.
    """
    expected = rewards.mean()
    if leave_out_own:
        expected = baselines.leave_one_out_mean(rewards)
    if not divide_by_deviation:
        return rewards - expected
    # A group of equal rewards teaches nothing: 0 / 1e-4, and not rounding errors / 0.
    return (rewards - expected) / (rewards.std() + 1e-4)


def completion_weights(
    mask: Float[Array, "rows C"], over_tokens: str
) -> Float[Array, "rows C"]:
    """Return the weight of each token: those of `views.token_weights`, and a constant.

    constant        1 / C, with the length limit C for every completion

    Source: Liu et al. (2025), section 3.2, for the constant; Yu et al. (2025), section
    3.3, for the mean over all tokens of a batch.
    """
    if over_tokens == "constant":
        return mask / mask.shape[1]
    return views.token_weights(mask, over_tokens)


def informative_weights(groups: Float[Array, "k n"]) -> Float[Array, "k"]:
    """Return weights of mean 1 of the prompts; 0 where all pulls have equal rewards.

    Such a group has advantages of 0: it teaches nothing, and yet counts in the mean. If
    no group is informative, all weights are 0. Yu et al. draw more prompts until the
    batch is full; here the budget is fixed, and the other groups count for more.
    Source: Yu et al. (2025), section 3.2.
    """
    is_informative = groups.max(1) > groups.min(1)
    return is_informative / jnp.maximum(is_informative.mean(), 1 / len(groups))
