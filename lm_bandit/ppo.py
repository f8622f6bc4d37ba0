"""The third step of RLHF: PPO against the reward model, with a penalty on the KL.

    J(pi) = E_{x, y ~ pi}[ r(x, y) - beta log(pi(y|x) / pi_ref(y|x)) ]
          = E[r] - beta KL(pi || pi_ref)

The reward of a completion is its score by the reward model, less beta times the log of
how much more likely it is under the policy than under the frozen reference, the SFT
model. There are three policies: the one that learns, the *old* one that wrote the batch
(for the ratio), and the *reference* (for the penalty).

By default a completion is one action, and the baseline is the mean reward of the
*other* completions of the same prompt: unbiased, with nothing to learn. Everything else
that RLHF is known to use is a field of `RLHFConfig`. The gradient steps are those of
`policy_gradient.improvement`.

Source: Ziegler et al. (2019), eq. 2; Stiennon et al. (2020), section 3.4; Ouyang et al.
(2022), eq. 2 with gamma = 0; Schulman et al. (2017).
Shapes: k prompts of P tokens, n pulls of each, completions of C tokens; a batch has
k n rows, each with T actions: C tokens, or one completion.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, Scalar

from lm_bandit import diagnostics, generate, reward_model, rewards, sft, views
from lm_bandit.bandit import Pulls, Scored, pull
from lm_bandit.config import RLHFConfig, TuningConfig
from lm_bandit.diagnostics import History
from lm_bandit.generate import at_tokens, completion_mask, has_ended, read_prompts
from lm_bandit.reward_model import RewardModel
from lm_bandit.reward_table import Reward, RewardTable, look_up
from lm_bandit.sft import Texts
from lm_bandit.transformer import Transformer, next_token_log_probs
from mdp.interface.progress import next_checkpoint
from policy_gradient import objectives, training
from policy_gradient import ppo as finite_ppo
from policy_gradient.devices import split
from policy_gradient.diagnostics import Diagnostics
from policy_gradient.improvement import improve
from policy_gradient.policies import Evaluation
from policy_gradient.trajectory import Batch, Trajectory


class Fixed(NamedTuple):
    """Everything that PPO does not change."""

    prompts: Int[Array, "k P"]
    reference: Transformer  # pi_ref, the SFT model
    reward_model: Reward  # or the table of a reward of your own
    texts: Texts | None = None  # of pretraining, for its share of the gradient


class ActorCritic(NamedTuple):
    """The parameters that PPO changes."""

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
) -> tuple[Transformer, History]:
    """Train by PPO from the reference on, with completions of at most `length` tokens.

    Returns the policy's parameters after every update (a leading axis) and the history.
    Pure without a `report`; with one, a run that breaks an invariant stops: see
    `diagnostics.require_sound`.
    Source: Schulman et al. (2017), algorithm 1; Ziegler et al. (2019), section 2.2.
    """
    critic = first_critic(fixed) if config.baseline == "value" else None
    params = ActorCritic(fixed.reference, critic)
    start = config.optimizer().init(params)
    state = State(params, start, jnp.asarray(config.kl_weight, float))

    def check(
        done: int,
        before: tuple[State, Fixed],
        after: tuple[State, Fixed],
        rows: tuple[Transformer, History],
    ) -> None:
        diagnostics.require_sound(done, *rows, before[0].params.policy)

    def tell(done: int, rows: tuple[Transformer, History]) -> None:
        if report is not None:
            report(done, rows[1])

    _, (snapshots, history) = training.loop(
        key,
        (state, fixed),
        _updates(length, config),
        config.num_updates,
        report if report is None or isinstance(report, training.Rehearsal) else tell,
        check,
        next_checkpoint(report),
    )
    return snapshots, history


@training.shared
def _updates(length: int, config: RLHFConfig) -> training.Program:
    """Return the updates as one program; it keeps the policy after each of them."""
    optimizer = config.optimizer()

    def advance(
        carry: tuple[State, Fixed], key: Key[Array, ""]
    ) -> tuple[tuple[State, Fixed], tuple[Transformer, History]]:
        state, fixed = carry
        state, history = update(state, key, fixed, length, optimizer, config)
        history = history._replace(fingerprint=diagnostics.key_fingerprint(key))
        return (state, fixed), (state.params.policy, history)

    return training.scanned(advance)


def update(
    state: State,
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    optimizer: optax.GradientTransformation,
    config: RLHFConfig,
) -> tuple[State, History]:
    """One iteration of RLHF: pull, score, reward, compare, improve.

        y  ~  pi_old(.|x)                               pull
        r(x, y), log pi_ref(y|x), and the critic's v    score_pulls
        R  =  r - beta log(pi_old / pi_ref)             reward_pulls
        A  =  R - baseline                              compare_pulls
        pi_old -> pi, by gradient steps on `loss`       improve

    The key is split in two: the first pulls, the second improves. `measure_pulls` makes
    the history, to which the improvement's diagnostics are added. Where a KL target is
    given, beta is adapted for the *next* iteration.
    Source: Ziegler et al. (2019), section 2.2; Schulman et al. (2017), algorithm 1.
    """
    params, optimizer_state, kl_weight = state
    pull_key, improve_key = jax.random.split(key)
    pulls = pull(
        params.policy, pull_key, fixed.prompts, config.pulls, length, config.temperature
    )
    scored = score_pulls(params.critic, pulls, fixed, config)
    trajectories = reward_pulls(pulls, scored, kl_weight, config)
    batch = compare_pulls(pulls.completions, trajectories, config)
    earned = trajectories.rewards.sum(-1)
    history = diagnostics.measure_pulls(
        params.policy,
        fixed.reward_model,
        pulls,
        scored,
        earned,
        kl_weight,
        config.temperature,
    )
    batch_loss = partial(loss, prompts=fixed.prompts, config=config)
    further_loss = pretraining_loss(fixed.texts, config)
    improved = improve(
        params,
        optimizer_state,
        improve_key,
        batch,
        batch_loss,
        optimizer,
        config,
        further_loss,
    )
    if config.kl_target is not None:
        kl_weight = rewards.adapted_kl_weight(
            kl_weight, history.kl, config.kl_target, config.kl_gain
        )
    state = State(improved.params, improved.optimizer_state, kl_weight)
    return state, history._replace(improvement=improved.diagnostics)


def score_pulls(
    critic: RewardModel | None, pulls: Pulls, fixed: Fixed, config: TuningConfig
) -> Scored:
    """Return log pi_ref, the learned reward and the critic's values of each pull.

    Source: Ziegler et al. (2019), section 2.2; Stiennon et al. (2020), section 3.4.
    """
    k, n, length = pulls.completions.shape
    completions = pulls.completions.reshape(k * n, length)
    which, completions = split((jnp.repeat(jnp.arange(k), n), completions))
    reference, scorer = fixed.reference, fixed.reward_model
    context = read_prompts(reference, fixed.prompts, length).rows(which)
    references = generate.log_probs_after(
        reference, context, completions, config.temperature
    )
    if isinstance(scorer, RewardTable):
        scores = look_up(scorer, fixed.prompts[which], completions)
    else:
        context = read_prompts(scorer.trunk, fixed.prompts, length).rows(which)
        scores = reward_model.score_after(scorer, context, completions)
    scores = jnp.where(has_ended(completions), scores, config.penalty)
    values = critic_values(critic, which, completions, fixed.prompts)
    return Scored(
        references=references.reshape(k, n, length),
        scores=scores.reshape(k, n),
        values=values.reshape(k, n, length),
    )


def reward_pulls(
    pulls: Pulls, scored: Scored, kl_weight: Scalar, config: RLHFConfig
) -> Trajectory:
    """Return each pull as a trajectory of tokens, or of one action, with its rewards.

        R = r - beta log(pi / pi_ref)

    Source: Ziegler et al. (2019), eq. 2.
    """
    mask = completion_mask(pulls.completions)
    for_each_token = partial(
        rewards.token_rewards, kl_weight=kl_weight, at_end=config.kl_at == "end"
    )
    earned = jax.vmap(jax.vmap(for_each_token))(
        scored.scores, pulls.log_probs - scored.references, mask
    )
    trajectories = jax.vmap(jax.vmap(views.as_tokens))(
        pulls.prompts, pulls.completions, pulls.log_probs, earned, scored.values
    )
    if config.view == "completion":
        trajectories = jax.vmap(jax.vmap(views.as_bandit))(trajectories)
    scaled = rewards.scaled(
        trajectories.rewards, trajectories.mask, config.reward_scaling
    )
    return trajectories._replace(rewards=scaled)


def compare_pulls(
    completions: Int[Array, "k n C"], trajectories: Trajectory, config: RLHFConfig
) -> Batch:
    """Return one batch of all pulls, with advantages over the baseline.

    Source: Ahmadian et al. (2024), section 3; Schulman et al. (2016) with a critic.
    """
    k, n, length = completions.shape
    trajectories, advantages = rewards.compare_with_baseline(trajectories, config)
    advantages, targets = rewards.advantages_and_targets(
        advantages, trajectories.values, trajectories.mask, config.normalize_advantages
    )

    rows = partial(jnp.reshape, shape=(k * n, -1))
    return Batch(
        observations=jnp.repeat(jnp.arange(k), n),  # the number of the prompt
        actions=completions.reshape(k * n, length),
        log_probs=rows(trajectories.log_probs),
        values=rows(trajectories.values),
        advantages=rows(advantages),
        value_targets=rows(targets),
        weights=views.token_weights(rows(trajectories.mask), config.over_tokens),
    )


def loss(
    params: ActorCritic, batch: Batch, prompts: Int[Array, "k P"], config: RLHFConfig
) -> tuple[Scalar, Diagnostics]:
    """PPO's loss of a batch of completions, by the clipped loss of `policy_gradient`.

    Source: Schulman et al. (2017), eqs. 7 and 9.
    """
    if params.critic is None:  # the values are a baseline: they have no error
        zeros = jnp.zeros_like(batch.values)
        batch = batch._replace(values=zeros, value_targets=zeros)
    evaluate = partial(evaluate_completions, prompts=prompts, config=config)
    return finite_ppo.loss(params, batch, evaluate, config.entropy_weight, config)


def evaluate_completions(
    params: ActorCritic,
    which: Int[Array, "rows"],
    completions: Int[Array, "rows C"],
    prompts: Int[Array, "k P"],
    config: RLHFConfig,
) -> Evaluation:
    """Log-probability, entropy and value of each token, or of each completion.

    Row i answers prompt number which[i]. A completion's log-probability is the sum over
    its tokens; the sum of their entropies estimates its entropy.
    Source: Cover & Thomas (2006), theorem 2.2.1, the chain rule of the entropy.
    """
    context = read_prompts(params.policy, prompts, completions.shape[1]).rows(which)
    hidden = generate.prefix_states(params.policy, context, completions)
    all_log_probs = next_token_log_probs(params.policy, hidden, config.temperature)
    mask = completion_mask(completions)
    log_probs = at_tokens(all_log_probs, completions) * mask
    entropies = jax.vmap(jax.vmap(objectives.entropy))(all_log_probs) * mask
    values = critic_values(params.critic, which, completions, prompts)
    if config.view == "token":
        return Evaluation(log_probs, entropies, values)
    log_prob, entropy = (x.sum(1, keepdims=True) for x in (log_probs, entropies))
    return Evaluation(log_prob, entropy, values[:, :1])


def critic_values(
    critic: RewardModel | None,
    which: Int[Array, "rows"],
    completions: Int[Array, "rows C"],
    prompts: Int[Array, "k P"],
) -> Float[Array, "rows C"]:
    """Critic's value of the prefix before each token; 0 on padding, or with no critic.

    Source: Ziegler et al. (2019), section 2.2.
    """
    mask = completion_mask(completions)
    if critic is None:
        return jnp.zeros_like(mask)
    context = read_prompts(critic.trunk, prompts, completions.shape[1]).rows(which)
    return reward_model.prefix_values(critic, context, completions) * mask


def first_critic(fixed: Fixed) -> RewardModel:
    """Return the critic before training: the reward model; 0 everywhere for a table.

    Source: Stiennon et al. (2020), section 3.4, for a critic that starts as the reward
    model.
    """
    if isinstance(fixed.reward_model, RewardTable):
        return reward_model.init(fixed.reference)
    return fixed.reward_model


def pretraining_loss(
    texts: Texts | None, config: RLHFConfig
) -> Callable[[ActorCritic, Batch, Key[Array, ""]], Scalar] | None:
    """Return gamma times the loss on as many pretraining texts as a minibatch has rows.

    With it the model forgets less of the language at large.
    Source: Ouyang et al. (2022), eq. 2, the last term of obj(phi).
    """
    weight = config.pretraining_weight
    if weight is None:
        return None
    if texts is None:
        raise ValueError("pretraining_weight is given, but there are no texts")

    def texts_loss(
        params: ActorCritic, minibatch: Batch, key: Key[Array, ""]
    ) -> Scalar:
        count = len(minibatch.weights)
        rows = jax.random.randint(key, (count,), 0, len(texts.tokens))
        drawn = jax.tree.map(lambda x: x[rows], texts)
        return weight * sft.loss(params.policy, drawn)

    return texts_loss
