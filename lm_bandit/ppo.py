"""The third step of RLHF: PPO against the reward model, on a leash.

    J(pi) = E_{x, y ~ pi}[ r(x, y) - beta log(pi(y|x) / pi_ref(y|x)) ]
          = E[r] - beta KL(pi || pi_ref)

The reward of a completion is what the reward model says of it, less beta times how
much likelier the policy makes it than the frozen SFT reference does. The baseline is
the mean reward of the *other* completions of the same prompt: there is nothing to learn
for it, and it is unbiased. The improvement step is the one of `policy_gradient.ppo`, to
which a prompt is an observation and a whole completion is an action.

Source: Ziegler et al. (2019), eq. 2; Stiennon et al. (2020), section 3.4; Ouyang et al.
(2022), eq. 2 with gamma = 0; Schulman et al. (2017).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from lm_bandit import reward_model
from lm_bandit.bandit import Pulls, pull
from lm_bandit.generate import completion_log_prob, has_ended
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from policy_gradient import training
from policy_gradient.baselines import leave_one_out_mean
from policy_gradient.configs import require_divisor, require_positive, sweepable
from policy_gradient.diagnostics import Diagnostics
from policy_gradient.policies import Evaluation
from policy_gradient.ppo import Batch, ImproveConfig, improve


@sweepable
@dataclass(frozen=True)
class RLHFConfig(ImproveConfig):
    """PPO on the prompts, by Adam with a step size that warms up and anneals to 0."""

    num_updates: int = 120  # batches
    pulls: int = 64  # completions of each prompt in a batch
    step_size: float = 3e-3  # peak, after a tenth of the updates
    max_gradient_norm: float = 0.5  # longer ones are cut to it: rare words jolt
    epochs: int = 3
    clip: float = 0.05  # small: the ratio is that of a whole completion
    minibatches: int = 2
    value_weight: float = 0.0  # the baseline is a mean: there is no critic
    kl_weight: float = 0.07  # beta, in deviations of the reference's score per nat
    penalty: float = -4.0  # instead of the score where a completion does not end

    def __post_init__(self):
        super().__post_init__()
        require_positive(
            self, "num_updates", "step_size", "max_gradient_norm", "kl_weight"
        )
        if self.pulls < 2:
            raise ValueError(f"pulls must be at least 2, got {self.pulls}")
        require_divisor("minibatches", self.minibatches, "pulls", self.pulls)


class Metrics(NamedTuple):
    """One row per update, sampled."""

    score: Float[Array, "..."]  # mean learned score, penalties included
    kl: Float[Array, "..."]  # mean of log pi - log pi_ref: KL(pi || pi_ref), in nats
    objective: Float[Array, "..."]  # score - beta KL
    ended: Float[Array, "..."]  # share of completions that end within the limit
    improvement: Diagnostics


class Fixed(NamedTuple):
    """What PPO does not change."""

    prompts: Int[Array, "k P"]
    reference: Transformer  # pi_ref, the SFT model
    reward_model: RewardModel


def train(
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: RLHFConfig,
    report: Callable[[int, Metrics], None] | None = None,
) -> tuple[Transformer, Metrics]:
    """PPO from the reference on; completions have at most `length` tokens.

    Returns the policy's parameters after every update (a leading axis) and the history.
    """
    steps = config.num_updates * config.epochs * config.minibatches
    step_size = optax.warmup_cosine_decay_schedule(
        0.0, config.step_size, steps // 10, steps
    )
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.max_gradient_norm),
        optax.adam(step_size),
    )

    def update(state, key):
        params, optimizer_state, fixed = state
        pull_key, improve_key = jax.random.split(key)
        pulls = pull(params, pull_key, fixed.prompts, config.pulls, length)
        batch, metrics = estimate(pulls, fixed, config)
        params, optimizer_state, improvement = improve(
            (params, optimizer_state),
            improve_key,
            batch,
            jax.vmap(evaluate, (None, 0, 0)),
            optimizer,
            config,
        )
        history = metrics._replace(improvement=improvement)
        return (params, optimizer_state, fixed), (params, history)

    reference = fixed.reference
    state = (reference, optimizer.init(reference), fixed)
    watch = report and (lambda done, row: report(done, row[1]))
    _, (snapshots, history) = training.loop(
        key, state, update, config.num_updates, watch
    )
    return snapshots, history


def estimate(pulls: Pulls, fixed: Fixed, config: RLHFConfig) -> tuple[Batch, Metrics]:
    """Compound rewards and leave-one-out advantages, as one flat batch."""

    def of_pulls(f):
        return jax.vmap(jax.vmap(f, (None, 0, 0)), (None, 0, 0))

    scores = of_pulls(reward_model.score)(
        fixed.reward_model, pulls.prompts, pulls.completions
    )
    ended = jax.vmap(jax.vmap(has_ended))(pulls.completions)
    scores = jnp.where(ended, scores, config.penalty)
    references = of_pulls(completion_log_prob)(
        fixed.reference, pulls.prompts, pulls.completions
    )
    log_ratios = pulls.log_probs - references
    rewards = scores - config.kl_weight * log_ratios
    advantages = rewards - jax.vmap(leave_one_out_mean)(rewards)
    batch = Batch(*pulls, jnp.zeros_like(rewards), advantages, value_targets=rewards)
    metrics = Metrics(
        scores.mean(), log_ratios.mean(), rewards.mean(), ended.mean(), improvement=None
    )
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch), metrics


def evaluate(
    params: Transformer, prompt: Int[Array, "P"], completion: Int[Array, "C"]
) -> Evaluation:
    """Log pi(completion | prompt): the whole completion is one action."""
    log_prob = completion_log_prob(params, prompt, completion)
    return Evaluation(log_prob, entropy=-log_prob, value=jnp.zeros(()))
