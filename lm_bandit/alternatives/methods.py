"""Beside PPO, on the same bandit: other roads to the same optimum.

    PPO, RLOO, REINFORCE    a sampled gradient of J, with and without clip and baseline
    GRPO                    scores compared within the prompt; the KL is a loss
    expert iteration        pull n, keep the best, fine-tune on it; again
    DPO                     no reward, no baseline: a classifier of pairs

All start at the reference, see the same learned reward and pull as many completions.
REINFORCE and RLOO are PPO with other dials. The others differ in the batch that they
make of their pulls, or in the loss that they add to PPO's improvement step.

Do they end at pi*? J is stationary where r - beta log(pi / pi_ref) is the same for all
completions, which is pi*. PPO, RLOO and REINFORCE follow the gradient of J; expert
iteration ranks by just that number, so at pi* it is left with nothing to prefer; and
pi* minimises DPO's loss. GRPO is another matter: see `grpo`.

Source: Williams (1992); Ahmadian et al. (2024); Shao et al. (2024), "DeepSeekMath";
Rafailov et al. (2023); Guo et al. (2024); Anthony et al. (2017); Dong et al. (2023).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Scalar

from lm_bandit import ppo
from lm_bandit.bandit import pull
from lm_bandit.config import RLHFConfig
from lm_bandit.diagnostics import History
from lm_bandit.ppo import ActorCritic, Fixed, State
from lm_bandit.transformer import Transformer
from mdp.interface.configs import require_divisor, sweepable
from policy_gradient.improvement import improve
from policy_gradient.objectives import kl_estimates
from policy_gradient.trajectory import Batch

# On-policy and one gradient step per batch: the ratio is 1, and the clip never acts.
REINFORCE = RLHFConfig(epochs=1, minibatches=1, baseline="none")
RLOO = RLHFConfig(epochs=1, minibatches=1, baseline="leave_one_out")
GRPO = RLHFConfig(
    view="token", over_tokens="sequence_mean", baseline="average", clip=0.2
)


@sweepable
@dataclass(frozen=True)
class ExpertConfig(RLHFConfig):
    """Expert iteration: which pulls are worth learning by heart."""

    best_of: int = 4  # pulls, of which one is kept; 32 in Dong et al. (2023)

    def __post_init__(self):
        super().__post_init__()
        require_divisor("best_of", self.best_of, "pulls", self.pulls)
        kept = self.pulls // self.best_of
        require_divisor("minibatches", self.minibatches, "pulls / best_of", kept)


@sweepable
@dataclass(frozen=True)
class DPOConfig(RLHFConfig):
    """DPO: who writes the pairs."""

    writer: Literal["reference", "policy"] = "reference"  # the policy: online DPO

    def __post_init__(self):
        super().__post_init__()
        require_divisor("2", 2, "pulls", self.pulls)
        require_divisor("minibatches", self.minibatches, "pulls / 2", self.pulls // 2)


def grpo(
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: RLHFConfig,
    report: Callable[[int, History], None] | None = None,
) -> tuple[Transformer, History]:
    """Group relative policy optimization.

        A = (r - mean) / std  over the pulls of the same prompt
        L = mean_y 1/|y| sum_t [ clipped surrogate - beta k3 ]

    k3 estimates KL(pi || pi_ref), but as a loss it is differentiated with the pulls
    held still, and then its mean gradient is that of KL(pi_ref || pi): it is charged
    for another divergence. And to divide by the deviation of a prompt's scores is to
    multiply beta by it. So its fixed point is not pi*.

    Source: Shao et al. (2024), eqs. 3-4 and section 4.1.2, outcome supervision.
    """
    return _train(key, fixed, length, config, report, _update_grpo)


def expert_iteration(
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: ExpertConfig,
    report: Callable[[int, History], None] | None = None,
) -> tuple[Transformer, History]:
    """Rejection sampling and supervised fine-tuning, round after round.

    Of every `best_of` pulls of a prompt the one with the highest r - beta log(pi /
    pi_ref) is kept, and the policy is fine-tuned on the kept ones: loss -log pi(y|x).

    Source: Anthony et al. (2017); Dong et al. (2023), algorithm 1, with their reward
    that pays for the KL.
    """
    return _train(key, fixed, length, config, report, _update_expert)


def dpo(
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: DPOConfig,
    report: Callable[[int, History], None] | None = None,
) -> tuple[Transformer, History]:
    """Direct preference optimization, on a stream of pairs: see `dpo_loss`.

    The pairs are written by the reference, as in the paper, or by the policy itself.
    Each is used in one batch only, so that at every update DPO has pulled as many
    completions as the others.

    Source: Rafailov et al. (2023), eq. 7; Guo et al. (2024), for pairs of the policy.
    """
    return _train(key, fixed, length, config, report, _update_dpo)


def dpo_loss(
    log_probs: Float[Array, "2"],
    reference: Float[Array, "2"],
    preference: Scalar,
    kl_weight: float | Scalar,
) -> Scalar:
    """-p log sigmoid(m) - (1 - p) log sigmoid(-m),  m = h(first) - h(second).

    h(y) = beta log(pi(y|x) / pi_ref(y|x)) is the implicit reward. Where p, the
    probability that the first is preferred, is sigmoid(r(first) - r(second)), the loss
    is least at h = r + const: that is pi*. With p = 1 it is Rafailov et al.'s eq. 7;
    the probability itself, and no coin, tells DPO as much of the reward as others see.
    """
    first, second = kl_weight * (log_probs - reference)
    wins, loses = map(jax.nn.log_sigmoid, (first - second, second - first))
    return -(preference * wins + (1.0 - preference) * loses)


def group_standardized(rewards: Float[Array, "n"]) -> Float[Array, "n"]:
    """(r - mean) / std over the pulls of one prompt. Source: Shao et al. (2024)."""
    # A group of equals has nothing to learn from: 0 / 1e-4, not rounding / 0.
    return (rewards - rewards.mean()) / (rewards.std() + 1e-4)


def _train(key, fixed, length, config, report, update):
    for name in ("kl_target", "pretraining_weight"):
        if (value := getattr(config, name)) is not None:
            raise ValueError(f"{name} is a dial of PPO's, expected None, got {value}")
    return ppo.train(key, fixed, length, config, report, update)


def _update_grpo(state, key, fixed, length, optimizer, config):
    pull_key, improve_key = jax.random.split(key)
    beta, reference = state.kl_weight, ActorCritic(fixed.reference, None)
    batch, history = _pull(state.params, pull_key, fixed, length, beta, config, 0.0)
    scores = batch.value_targets[:, 0].reshape(-1, config.pulls)
    advantages = jax.vmap(group_standardized)(scores).reshape(-1, 1)
    batch = batch._replace(advantages=advantages * jnp.ones_like(batch.log_probs))
    evaluate = partial(ppo.evaluate_completions, prompts=fixed.prompts, config=config)

    def penalty(params, rows, _):
        now, then = (
            evaluate(each, rows.observations, rows.actions).log_prob
            for each in (params, reference)
        )
        k3 = jax.vmap(jax.vmap(kl_estimates))(now, then).k3
        return beta * jnp.sum(rows.weights * k3) / len(k3)

    taken = batch, evaluate, optimizer, config, penalty
    return _improved(state, improve_key, history, *taken)


def _update_expert(state, key, fixed, length, optimizer, config):
    pull_key, improve_key = jax.random.split(key)
    beta = state.kl_weight
    batch, history = _pull(state.params, pull_key, fixed, length, beta, config, 1.0)
    earned = batch.value_targets[:, 0].reshape(-1, config.best_of)
    kept = earned.argmax(1) + config.best_of * jnp.arange(len(earned))
    batch = jax.tree.map(lambda x: x[kept], batch)
    # PPO's surrogate is 0, and all the learning is in the further loss.
    batch = batch._replace(advantages=jnp.zeros_like(batch.advantages))
    evaluate = partial(ppo.evaluate_completions, prompts=fixed.prompts, config=config)

    def fine_tuning(params, rows, _):
        now = evaluate(params, rows.observations, rows.actions)
        return -now.log_prob.sum(1).mean()

    taken = batch, evaluate, optimizer, config, fine_tuning
    return _improved(state, improve_key, history, *taken)


def _update_dpo(state, key, fixed, length, optimizer, config):
    pull_key, improve_key = jax.random.split(key)
    beta, reference = state.kl_weight, ActorCritic(fixed.reference, None)
    writer = reference if config.writer == "reference" else state.params
    singles, history = _pull(writer, pull_key, fixed, length, beta, config, 0.0)
    which = singles.observations[::2]
    pairs = singles.actions.reshape(len(which), 2, length)
    scores = singles.value_targets.reshape(-1, 2)
    preferences = jax.nn.sigmoid(scores[:, 0] - scores[:, 1])

    def evaluate(params, observations, pairs):
        which, completions = jnp.repeat(observations[0], 2), pairs.reshape(-1, length)
        both = ppo.evaluate_completions(
            params, which, completions, fixed.prompts, config
        )
        return jax.tree.map(lambda x: x.reshape(-1, 2), both)

    references = evaluate(reference, (which,), pairs).log_prob
    before = evaluate(state.params, (which,), pairs).log_prob
    observations, zeros = (which, references, preferences), jnp.zeros_like(before)
    batch = Batch(observations, pairs, before, zeros, zeros, zeros, zeros + 1.0)

    def classification(params, rows, _):
        _, references, preferences = rows.observations
        now = evaluate(params, rows.observations, rows.actions).log_prob
        both = now, references, preferences, beta
        return jax.vmap(dpo_loss, (0, 0, 0, None))(*both).mean()

    taken = batch, evaluate, optimizer, config, classification
    return _improved(state, improve_key, history, *taken)


def _pull(writer, key, fixed, length, kl_weight, config, charged):
    """A batch by the writer; its value targets are the rewards, with KL if charged."""
    how = fixed.prompts, config.pulls, length, config.temperature
    pulls = pull(writer.policy, key, *how)
    batch, history = ppo.estimate(writer, pulls, fixed, charged * kl_weight, config)
    objective = history.score - kl_weight * history.kl
    return batch, history._replace(kl_weight=kl_weight, objective=objective)


def _improved(state, key, history, batch, evaluate, optimizer, config, further):
    """PPO's improvement step, with a further loss and without a critic."""
    params, optimizer_state, improvement = improve(
        state.params,
        state.optimizer_state,
        key,
        batch,
        ppo.clipped_loss(evaluate, config),
        optimizer,
        config,
        further,
    )
    history = history._replace(improvement=improvement)
    return State(params, optimizer_state, state.kl_weight), history
