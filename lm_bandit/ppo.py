"""The third step of RLHF: PPO against the reward model, on a leash.

    J(pi) = E_{x, y ~ pi}[ r(x, y) - beta log(pi(y|x) / pi_ref(y|x)) ]
          = E[r] - beta KL(pi || pi_ref)

The reward of a completion is what the reward model says of it, less beta times how
much likelier the policy makes it than the frozen reference, the SFT model, does. Three
policies are about: the one that is learned, the *old* one that wrote the batch (for the
ratio), and the *reference* (for the price).

By default a completion is one action, and the baseline is the mean reward of the
*other* completions of the same prompt: unbiased, with nothing to learn. Everything else
that RLHF is known to use is a field of `RLHFConfig`. The improvement step is that of
`policy_gradient.improvement`.

Source: Ziegler et al. (2019), eq. 2; Stiennon et al. (2020), section 3.4; Ouyang et al.
(2022), eq. 2 with gamma = 0; Schulman et al. (2017).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key, Scalar

from lm_bandit import diagnostics, reward_model, rewards, sft, views
from lm_bandit.bandit import Pulls, pull
from lm_bandit.diagnostics import History
from lm_bandit.generate import (
    all_log_probs,
    completion_mask,
    has_ended,
    token_log_probs,
)
from lm_bandit.reward_model import RewardModel
from lm_bandit.rlhf_config import RLHFConfig
from lm_bandit.sft import Texts
from lm_bandit.transformer import Transformer
from policy_gradient import configs, objectives, training
from policy_gradient.improvement import Batch, improve
from policy_gradient.policies import Evaluation


class Fixed(NamedTuple):
    """What PPO does not change."""

    prompts: Int[Array, "k P"]
    reference: Transformer  # pi_ref, the SFT model
    reward_model: RewardModel
    texts: Texts | None = None  # of pretraining, for its share of the gradient


class ActorCritic(NamedTuple):
    """All that PPO changes."""

    policy: Transformer
    critic: RewardModel | None  # v of prefixes, where the baseline is a learned value


class State(NamedTuple):
    """The state of training, between two updates."""

    params: ActorCritic
    optimizer_state: optax.OptState
    kl_weight: Scalar  # beta, which a target may adapt


def train(
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: RLHFConfig,
    report: Callable[[int, History], None] | None = None,
    another: Callable | None = None,
) -> tuple[Transformer, History]:
    """PPO, or `another` update, from the reference on; at most `length` tokens each.

    Returns the policy's parameters after every update (a leading axis) and the history.
    Pure without a `report`; with one, invariants that break stop the run: see
    `diagnostics.require_sound`.
    """
    with_critic = config.baseline == "value"
    params = ActorCritic(fixed.reference, fixed.reward_model if with_critic else None)
    optimizer = config.optimizer()
    state = State(params, optimizer.init(params), jnp.asarray(config.kl_weight, float))

    def advance(state_and_fixed, key):
        state, fixed = state_and_fixed
        step = another or update
        state, history = step(state, key, fixed, length, optimizer, config)
        return (state, fixed), (state.params.policy, history)

    good = fixed.reference

    def watch(done, rows):
        nonlocal good
        snapshots, history = rows
        diagnostics.require_sound(done, snapshots, history, good)
        good = diagnostics.row(snapshots, -1)
        report(done, history)

    _, (snapshots, history) = training.loop(
        key, (state, fixed), advance, config.num_updates, report and watch
    )
    return snapshots, history


def update(state, key, fixed, length, optimizer, config) -> tuple[State, History]:
    """One iteration: pull, reward, compare with the baseline, improve."""
    params, optimizer_state, kl_weight = state
    pull_key, text_key, improve_key = jax.random.split(key, 3)
    how = config.pulls, length, config.temperature
    pulls = pull(params.policy, pull_key, fixed.prompts, *how)
    batch, history = estimate(params, pulls, fixed, kl_weight, config)
    params, optimizer_state, improvement = improve(
        (params, optimizer_state),
        improve_key,
        batch,
        partial(evaluate, config=config),
        optimizer,
        without_errors_of_no_critic(config),
        pretraining_loss(text_key, fixed.texts, config),
    )
    if config.kl_target is not None:
        kl_weight = rewards.adapted_kl_weight(
            kl_weight, history.kl, config.kl_target, config.kl_gain
        )
    state = State(params, optimizer_state, kl_weight)
    return state, history._replace(improvement=improvement)


def estimate(
    params: ActorCritic,
    pulls: Pulls,
    fixed: Fixed,
    kl_weight: Scalar,
    config: RLHFConfig,
) -> tuple[Batch, History]:
    """What the pulls earned, and how much better that is than the baseline."""

    def of_one(prompt, completion, log_probs):
        ended = has_ended(completion)
        score = reward_model.score(fixed.reward_model, prompt, completion)
        score = jnp.where(ended, score, config.penalty)
        references = token_log_probs(
            fixed.reference, prompt, completion, config.temperature
        )
        mask = completion_mask(completion)
        earned = rewards.token_rewards(
            score, log_probs - references, mask, kl_weight, config.kl_at == "end"
        )
        values = jnp.zeros_like(log_probs)
        if params.critic is not None:
            values = reward_model.prefix_values(params.critic, prompt, completion)
        tokens = views.as_tokens(prompt, completion, log_probs, earned, values)
        return tokens, references, score

    tokens, references, scores = jax.vmap(jax.vmap(of_one))(*pulls)
    kls = jax.vmap(jax.vmap(jax.vmap(objectives.kl_estimates)))(
        tokens.log_probs, references
    )
    history = diagnostics.of_pulls(
        params.policy,
        fixed.reward_model,
        pulls,
        scores,
        kls,
        kl_weight,
        config.temperature,
    )
    trajectories = tokens
    if config.view == "completion":
        trajectories = jax.vmap(jax.vmap(views.as_bandit))(tokens)
    trajectories = trajectories._replace(
        rewards=rewards.scaled(
            trajectories.rewards, trajectories.mask, config.reward_scaling
        )
    )
    trajectories, advantages = rewards.compare(trajectories, config)
    targets = advantages + trajectories.values
    if config.normalize_advantages:
        advantages = rewards.scaled(advantages, trajectories.mask, "whiten")
    rows = jax.tree.map(
        lambda x: x.reshape(-1, *x.shape[2:]),
        (trajectories.log_probs, trajectories.values, advantages, targets),
    )
    mask = trajectories.mask.reshape(-1, trajectories.mask.shape[-1])
    flat = (x.reshape(-1, x.shape[-1]) for x in (pulls.prompts, pulls.completions))
    weights = views.weights(mask, config.over_tokens)
    return Batch(*flat, *rows, weights), history


def evaluate(
    params: ActorCritic,
    prompts: Int[Array, "rows P"],
    completions: Int[Array, "rows C"],
    config: RLHFConfig,
) -> Evaluation:
    """Log-probability, entropy and value of each token, or of each completion.

    The entropies of the tokens' distributions add up to an estimate of the completion's
    (the chain rule), as their log-probabilities do to its own.
    """

    def of_one(prompt, completion):
        log_probs = all_log_probs(params.policy, prompt, completion, config.temperature)
        mask = completion_mask(completion)
        taken = jnp.take_along_axis(log_probs, completion[:, None], axis=1)[:, 0]
        values = jnp.zeros_like(taken)
        if params.critic is not None:
            values = reward_model.prefix_values(params.critic, prompt, completion)
        entropies = jax.vmap(objectives.entropy)(log_probs)
        tokens = Evaluation(taken * mask, entropies * mask, values * mask)
        if config.view == "token":
            return tokens
        log_prob, entropy, _ = (jnp.sum(x, keepdims=True) for x in tokens)
        return Evaluation(log_prob, entropy, values[:1])

    return jax.vmap(of_one)(prompts, completions)


def pretraining_loss(
    key: Key[Array, ""], texts: Texts | None, config: RLHFConfig
) -> Callable[[ActorCritic, Batch], Scalar] | None:
    """Gamma times the loss on as many pretraining texts as a minibatch has rows.

    Source: Ouyang et al. (2022), eq. 2: the last term of obj(phi), so that the model
    forgets less of the language at large.
    """
    if config.pretraining_weight == 0.0:
        return None
    if texts is None:
        raise ValueError("pretraining_weight is above 0, but there are no texts")

    def loss(params, minibatch):
        rows = jax.random.randint(key, minibatch.weights[:, 0].shape, 0, len(texts[0]))
        some = jax.tree.map(lambda x: x[rows], texts)
        return config.pretraining_weight * sft.loss(params.policy, some)

    return loss


def without_errors_of_no_critic(config: RLHFConfig) -> RLHFConfig:
    """Without a critic, the errors of its values are not part of the loss."""
    if config.baseline == "value":
        return config
    return configs.altered(config, "value_weight", 0.0)
