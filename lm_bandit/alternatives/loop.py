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

from lm_bandit import diagnostics, generate, reward_model
from lm_bandit.bandit import pull
from lm_bandit.config import TuningConfig
from lm_bandit.diagnostics import History
from lm_bandit.generate import has_ended
from lm_bandit.ppo import Fixed
from lm_bandit.transformer import Transformer
from policy_gradient import training
from policy_gradient.improvement import shuffled_minibatches

# The loss of a policy on a minibatch, and the mean ratio pi / pi_old of its samples
# (1 where the loss has no ratio).
Loss = Callable[[Transformer, PyTree], tuple[Scalar, Scalar]]


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


class Descent(NamedTuple):
    """Measurements of one update: means over its gradient steps, but `first_ratio`."""

    loss: Float[Array, "..."]
    gradient_norm: Float[Array, "..."]  # before it is cut
    first_ratio: Float[Array, "..."]  # pi / pi_old at the first step: must be 1


def train_policy(
    key: Key[Array, ""],
    fixed: Fixed,
    update: Callable[
        [TuningState, Key[Array, ""], Fixed, optax.GradientTransformation],
        tuple[TuningState, History],
    ],
    config: TuningConfig,
) -> tuple[Transformer, History]:
    """Apply an update `config.num_updates` times, from the reference on.

    Returns the policy after every update (along a leading axis) and the history. The
    function is pure: call `diagnostics.require_sound` on what it returns.
    """
    optimizer = config.optimizer()
    start = TuningState(fixed.reference, optimizer.init(fixed.reference))

    def advance(
        carry: tuple[TuningState, Fixed], key: Key[Array, ""]
    ) -> tuple[tuple[TuningState, Fixed], tuple[Transformer, History]]:
        state, fixed = carry
        state, history = update(state, key, fixed, optimizer)
        return (state, fixed), (state.policy, history)

    _, rows = training.loop(key, (start, fixed), advance, config.num_updates)
    return rows


def pull_and_score(
    writer: Transformer,
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: TuningConfig,
) -> tuple[ScoredPulls, History]:
    """Let a policy write `config.pulls` completions of each prompt, and score them."""
    pulls = pull(writer, key, fixed.prompts, config.pulls, length, config.temperature)
    k, n, _ = pulls.completions.shape
    which = jnp.repeat(jnp.arange(k), n)
    completions = pulls.completions.reshape(k * n, length)
    references = written_log_probs(fixed.reference, which, completions, fixed, config)
    scorer = fixed.reward_model
    contexts = generate.read_prompts(scorer.trunk, fixed.prompts, length)
    contexts = generate.gather_contexts(contexts, which)
    scores = reward_model.score_after(scorer, contexts, completions)
    scores = jnp.where(has_ended(completions), scores, config.penalty)
    history = diagnostics.measure_pulls(
        writer,
        scorer,
        pulls,
        references.reshape(k, n, length),
        scores.reshape(k, n),
        jnp.asarray(config.kl_weight, float),
        config.temperature,
    )
    log_probs = pulls.log_probs.reshape(k * n, length)
    return ScoredPulls(which, completions, log_probs, references, scores), history


def written_log_probs(
    policy: Transformer,
    which: Int[Array, "rows"],
    completions: Int[Array, "rows C"],
    fixed: Fixed,
    config: TuningConfig,
) -> Float[Array, "rows C"]:
    """Return log pi(y_t | x, y_<t) of each token; 0 on the padding.

    Row i answers prompt number which[i]; each prompt is read once.
    """
    contexts = generate.read_prompts(policy, fixed.prompts, completions.shape[-1])
    contexts = generate.gather_contexts(contexts, which)
    return generate.log_probs_after(policy, contexts, completions, config.temperature)


def descend(
    state: TuningState,
    key: Key[Array, ""],
    batch: PyTree,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    config: TuningConfig,
) -> tuple[TuningState, Descent]:
    """Take one gradient step for each shuffled minibatch of each epoch.

    Source: Schulman et al. (2017), algorithm 1, with any loss.
    """

    def step(
        state: TuningState, indices: Int[Array, "samples"]
    ) -> tuple[TuningState, Descent]:
        minibatch = jax.tree.map(lambda x: x[indices], batch)
        value_and_gradient = jax.value_and_grad(loss, has_aux=True)
        (value, ratio), gradient = value_and_gradient(state.policy, minibatch)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer_state)
        policy = optax.apply_updates(state.policy, updates)
        measured = Descent(value, optax.tree.norm(gradient), ratio)
        return TuningState(policy, optimizer_state), measured

    rows = len(jax.tree.leaves(batch)[0])
    indices = shuffled_minibatches(key, rows, config.epochs, config.minibatches)
    state, steps = jax.lax.scan(step, state, indices)
    means = jax.tree.map(jnp.mean, steps)
    return state, means._replace(first_ratio=steps.first_ratio[0])
