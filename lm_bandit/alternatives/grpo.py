"""GRPO, group relative policy optimization: the other pulls are the critic.

    A   =  (r - mean) / std              over the pulls of the same prompt
    L   =  - mean_y 1/|y| sum_t [ min(rho_t A, clip(rho_t, 1 - eps, 1 + eps) A)
                                  - beta k3_t ]
    k3  =  pi_ref / pi - 1 - log(pi_ref / pi)

There is no critic, and the price of a nat is not a part of the reward but a term of the
loss. Two things follow. k3 estimates KL(pi || pi_ref), but it is differentiated with
the pulls held still, and then its mean gradient is that of KL(pi_ref || pi): the policy
pays for another divergence. And dividing by the deviation of a prompt's scores
multiplies beta by it. So the fixed point of GRPO is not pi*.

Source: Shao et al. (2024), "DeepSeekMath", eqs. 3-4 and section 4.1.2, outcome
supervision; Schulman (2020), "Approximating KL divergence", for k3.
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
from policy_gradient import objectives
from policy_gradient.trajectory import masked_mean


class GRPOBatch(NamedTuple):
    """Completions, and how much better each is than the others of its prompt."""

    pulls: ScoredPulls
    advantages: Float[Array, "rows"]


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
    advantages = jax.vmap(group_standardized)(groups).ravel()
    batch = GRPOBatch(pulls, advantages)
    batch_loss = partial(loss, fixed=fixed, config=config)
    return loop.descend(state, improve_key, batch, batch_loss, config, history)


def loss(
    policy: Transformer, batch: GRPOBatch, fixed: Fixed, config: GRPOConfig
) -> tuple[Scalar, Scalar]:
    """Return GRPO's loss on a minibatch, and the mean ratio pi / pi_old of its tokens.

    Source: Shao et al. (2024), eqs. 3-4.
    """
    pulls = batch.pulls
    log_probs = loop.written_log_probs(
        policy, pulls.which, pulls.completions, fixed, config
    )
    mask = completion_mask(pulls.completions)
    weights = views.token_weights(mask, "sequence_mean")
    advantages = batch.advantages[:, None] * jnp.ones_like(log_probs)
    surrogate_loss = objectives.clipped_surrogate_loss(
        log_probs, pulls.log_probs, advantages, weights, config.clip
    )
    k3 = jnp.vectorize(objectives.kl_estimates)(log_probs, pulls.references).k3
    penalty = jnp.sum(weights * k3) / len(k3)
    ratios = jnp.exp(log_probs - pulls.log_probs)
    return surrogate_loss + config.kl_weight * penalty, masked_mean(ratios, mask)


def group_standardized(rewards: Float[Array, "n"]) -> Float[Array, "n"]:
    """Return (r - mean) / (std + 1e-4) over the pulls of one prompt.

    The deviation divides by n, which the paper leaves open. TRL and verl divide by
    n - 1, so that their advantages are sqrt((n - 1) / n) of these: 0.87 for groups of
    4. TRL also adds 1e-4, verl 1e-6. Source: Shao et al. (2024), section 4.1.2.
    """
    # A group of equal rewards teaches nothing: 0 / 1e-4, and not rounding errors / 0.
    return (rewards - rewards.mean()) / (rewards.std() + 1e-4)
