"""The parts that GRPO, expert iteration and DPO share: pull, score, descend.

    pull completions of every prompt,  score them,  descend a loss on them,  again

The algorithms differ in the batch that they make of the pulls, and in the loss.

Shapes: k prompts, n pulls of each, rows = k n, C tokens.
Source: Schulman et al. (2017), algorithm 1, for epochs of minibatches on one batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree, Scalar

from lm_bandit import diagnostics, generate
from lm_bandit.bandit import pull
from lm_bandit.config import TuningConfig
from lm_bandit.diagnostics import History
from lm_bandit.ppo import Fixed, score_pulls
from lm_bandit.transformer import Transformer
from policy_gradient import training
from policy_gradient.improvement import shuffled_minibatches


class TuningState(NamedTuple):
    """The state of training, between two updates."""

    policy: Transformer
    optimizer_state: optax.OptState


class ScoredPulls(NamedTuple):
    """Completions of all prompts, one in each row; those of a prompt are adjacent."""

    which: Int[Array, "rows"]  # the number of the prompt
    completions: Int[Array, "rows C"]
    log_probs: Float[Array, "rows C"]  # of each token, by the policy that wrote it
    references: Float[Array, "rows C"]  # of each token, by the reference
    scores: Float[Array, "rows"]  # learned; the penalty where the text did not end


Loss = Callable[[Transformer, ScoredPulls, Fixed, TuningConfig], Scalar]


def train_policy(
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: TuningConfig,
    update: Callable[..., tuple[TuningState, History]],
) -> tuple[Transformer, History]:
    """Apply an update `config.num_updates` times, from the reference on.

    Returns the policy after every update (along a leading axis) and the history. The
    function is pure: call `diagnostics.require_sound` on what it returns.
    """
    start = TuningState(fixed.reference, config.optimizer().init(fixed.reference))
    advance = _updates(update, length, config)
    _, rows = training.loop(key, (start, fixed), advance, config.num_updates)
    return rows


@training.shared
def _updates(
    update: Callable[..., tuple[TuningState, History]],
    length: int,
    config: TuningConfig,
) -> training.Program:
    """Return the updates as one program; it keeps the policy after each of them."""

    def advance(
        carry: tuple[TuningState, Fixed], key: Key[Array, ""]
    ) -> tuple[tuple[TuningState, Fixed], tuple[Transformer, History]]:
        state, fixed = carry
        state, history = update(state, key, fixed, length, config)
        return (state, fixed), (state.policy, history)

    return training.scanned(advance)


def train_on_loss(
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: TuningConfig,
    loss: Loss,
) -> tuple[Transformer, History]:
    """Tune the reference by any loss(policy, pulls, fixed, config) of scored pulls.

    The policy writes each batch, and the loss is minimised on its minibatches. See
    `train_policy` for what is returned.
    Source: Schulman et al. (2017), algorithm 1, with any loss.
    """

    def update(
        state: TuningState,
        key: Key[Array, ""],
        fixed: Fixed,
        length: int,
        config: TuningConfig,
    ) -> tuple[TuningState, History]:
        pull_key, improve_key = jax.random.split(key)
        pulls, history = pull_and_score(state.policy, pull_key, fixed, length, config)

        def batch_loss(policy: Transformer, rows: ScoredPulls) -> tuple[Scalar, Scalar]:
            return loss(policy, rows, fixed, config), jnp.ones(())

        return descend(state, improve_key, pulls, batch_loss, config, history)

    return train_policy(key, fixed, length, config, update)


def pull_and_score(
    writer: Transformer,
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: TuningConfig,
) -> tuple[ScoredPulls, History]:
    """Let a policy write `config.pulls` completions of each prompt, and score them."""
    pulls = pull(writer, key, fixed.prompts, config.pulls, length, config.temperature)
    scored = score_pulls(None, pulls, fixed, config)
    kl_weight = jnp.asarray(config.kl_weight, float)
    history = diagnostics.measure_pulls(
        writer,
        fixed.reward_model,
        pulls,
        scored,
        scored.scores,
        kl_weight,
        config.temperature,
    )
    rows = ScoredPulls(
        which=jnp.repeat(jnp.arange(len(fixed.prompts)), config.pulls),
        completions=pulls.completions.reshape(-1, length),
        log_probs=pulls.log_probs.reshape(-1, length),
        references=scored.references.reshape(-1, length),
        scores=scored.scores.ravel(),
    )
    return rows, history


def written_log_probs(
    policy: Transformer,
    which: Int[Array, "rows"],
    completions: Int[Array, "rows C"],
    fixed: Fixed,
    config: TuningConfig,
) -> Float[Array, "rows C"]:
    """Return log pi(y_t | x, y_<t) of each token; 0 on the padding.

    Row i answers prompt number which[i]; each prompt is read once.
    Source: Radford et al. (2019), eq. 1.
    """
    context = generate.read_prompts(policy, fixed.prompts, completions.shape[-1])
    context = context.rows(which)
    return generate.log_probs_after(policy, context, completions, config.temperature)


def descend(
    state: TuningState,
    key: Key[Array, ""],
    batch: PyTree,
    loss: Callable[[Transformer, PyTree], tuple[Scalar, Scalar]],
    config: TuningConfig,
    history: History,
) -> tuple[TuningState, History]:
    """Take one gradient step for each shuffled minibatch of each epoch.

    Source: Schulman et al. (2017), algorithm 1, with any loss.

    Args:
        state: the policy and its optimizer's state.
        key: of the shuffles.
        batch: arrays with as many rows each, a multiple of `config.minibatches`.
        loss: of a policy on a minibatch; and the mean ratio pi / pi_old of its tokens,
            or 1 where the loss has no ratio.
        config: the epochs, the minibatches and the optimizer are read.
        history: of the pulls; the loss, ratio and gradient norm are added to it.
    """

    def step(
        state: TuningState, indices: Int[Array, "samples"]
    ) -> tuple[TuningState, tuple[Scalar, Scalar, Scalar]]:
        minibatch = jax.tree.map(lambda x: x[indices], batch)
        value_and_gradient = jax.value_and_grad(loss, has_aux=True)
        (value, ratio), gradient = value_and_gradient(state.policy, minibatch)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer_state)
        policy = optax.apply_updates(state.policy, updates)
        measured = value, ratio, optax.tree.norm(gradient)
        return TuningState(policy, optimizer_state), measured

    optimizer = config.optimizer()
    size = len(jax.tree.leaves(batch)[0])
    indices = shuffled_minibatches(key, size, config.epochs, config.minibatches)
    state, (losses, ratios, norms) = jax.lax.scan(step, state, indices)
    improvement = history.improvement._replace(
        loss=losses.mean(), first_ratio=ratios[0], gradient_norm=norms.mean()
    )
    return state, history._replace(improvement=improvement)
