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

from lm_bandit import diagnostics, generate, reward_model, rewards, sft, views
from lm_bandit.bandit import Pulls, pull
from lm_bandit.config import RLHFConfig
from lm_bandit.diagnostics import History
from lm_bandit.generate import completion_mask, has_ended
from lm_bandit.reward_model import RewardModel
from lm_bandit.sft import Texts
from lm_bandit.transformer import Transformer, next_token_log_probs
from policy_gradient import objectives, training
from policy_gradient import ppo as finite_ppo
from policy_gradient.diagnostics import Diagnostics
from policy_gradient.improvement import Loss, improve
from policy_gradient.policies import Evaluate, Evaluation
from policy_gradient.trajectory import Batch


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
    pull_key, improve_key = jax.random.split(key)
    how = config.pulls, length, config.temperature
    pulls = pull(params.policy, pull_key, fixed.prompts, *how)
    batch, history = estimate(params, pulls, fixed, kl_weight, config)
    params, optimizer_state, improvement = improve(
        params,
        optimizer_state,
        improve_key,
        batch,
        clipped_loss(
            partial(evaluate_completions, prompts=fixed.prompts, config=config), config
        ),
        optimizer,
        config,
        pretraining_loss(fixed.texts, config),
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
    k, n, length = pulls.completions.shape
    which = jnp.repeat(jnp.arange(k), n)
    completions = pulls.completions.reshape(k * n, length)

    def read(model):
        return generate.gather_contexts(
            generate.read_prompts(model, fixed.prompts, length), which
        )

    references = generate.log_probs_after(
        fixed.reference, read(fixed.reference), completions, config.temperature
    )
    scorer = fixed.reward_model
    scores = reward_model.score_after(scorer, read(scorer.trunk), completions)
    scores = jnp.where(has_ended(completions), scores, config.penalty)
    values = jnp.zeros_like(references)
    if params.critic is not None:
        context = read(params.critic.trunk)
        values = reward_model.prefix_values(params.critic, context, completions)

    def view(prompt, completion, log_probs, references, score, values):
        mask = completion_mask(completion)
        earned = rewards.token_rewards(
            score, log_probs - references, mask, kl_weight, config.kl_at == "end"
        )
        tokens = views.as_tokens(prompt, completion, log_probs, earned, values)
        return views.as_bandit(tokens) if config.view == "completion" else tokens

    references, scores, values = (
        x.reshape(k, n, *x.shape[1:]) for x in (references, scores, values)
    )
    x = jax.vmap(jax.vmap(view))(*pulls, references, scores, values)
    x = x._replace(rewards=rewards.scaled(x.rewards, x.mask, config.reward_scaling))
    x, advantages = rewards.compare_with_baseline(x, config)
    advantages, targets = rewards.advantages_and_targets(
        advantages, x.values, x.mask, config.normalize_advantages
    )
    of_steps = x.log_probs, x.values, advantages, targets, x.mask
    *of_steps, mask = (y.reshape(k * n, -1) for y in of_steps)
    weights = views.token_weights(mask, config.over_tokens)
    history = diagnostics.measure_pulls(
        params.policy, scorer, pulls, references, scores, kl_weight, config.temperature
    )
    return Batch(which, completions, *of_steps, weights), history


def evaluate_completions(
    params: ActorCritic,
    which: Int[Array, "rows"],
    completions: Int[Array, "rows C"],
    prompts: Int[Array, "k P"],
    config: RLHFConfig,
) -> Evaluation:
    """Log-probability, entropy and value of each token, or of each completion.

    Row i answers prompt number which[i]: each prompt is read once. The entropies of the
    tokens' distributions add up to an estimate of the completion's (the chain rule), as
    their log-probabilities do to its own.
    """

    def read(model):
        context = generate.read_prompts(model, prompts, completions.shape[1])
        return generate.gather_contexts(context, which)

    hidden = generate.prefix_states(params.policy, read(params.policy), completions)
    log_probs = next_token_log_probs(params.policy, hidden, config.temperature)
    mask = completion_mask(completions)
    taken = generate.at_tokens(log_probs, completions) * mask
    entropies = jax.vmap(jax.vmap(objectives.entropy))(log_probs) * mask
    values = jnp.zeros_like(taken)
    if params.critic is not None:
        context = read(params.critic.trunk)
        values = reward_model.prefix_values(params.critic, context, completions) * mask
    if config.view == "token":
        return Evaluation(taken, entropies, values)
    totals = (x.sum(1, keepdims=True) for x in (taken, entropies))
    return Evaluation(*totals, values[:, :1])


def pretraining_loss(
    texts: Texts | None, config: RLHFConfig
) -> Callable[[ActorCritic, Batch, Key[Array, ""]], Scalar] | None:
    """Gamma times the loss on as many pretraining texts as a minibatch has rows.

    Source: Ouyang et al. (2022), eq. 2: the last term of obj(phi), so that the model
    forgets less of the language at large.
    """
    if config.pretraining_weight is None:
        return None
    if texts is None:
        raise ValueError("pretraining_weight is given, but there are no texts")

    def loss(params, minibatch, key):
        rows = jax.random.randint(key, minibatch.weights[:, 0].shape, 0, len(texts[0]))
        some = jax.tree.map(lambda x: x[rows], texts)
        return config.pretraining_weight * sft.loss(params.policy, some)

    return loss


def clipped_loss(evaluate: Evaluate, config: RLHFConfig) -> Loss:
    """Return PPO's loss of a batch of completions.

    Source: Schulman et al. (2017), eqs. 7 and 9.
    """

    def loss(params: ActorCritic, batch: Batch) -> tuple[Scalar, Diagnostics]:
        if config.baseline != "value":
            # There is no critic, so that its errors are not part of the loss.
            batch = batch._replace(value_targets=batch.values)
        return finite_ppo.loss(params, batch, evaluate, config.entropy_weight, config)

    return loss
