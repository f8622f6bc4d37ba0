"""DPO, direct preference optimization: the policy is its own reward model.

    pi* = pi_ref exp(r / beta) / Z    <=>    r = beta log(pi* / pi_ref) + beta log Z

Preferences depend on differences of r, in which beta log Z cancels. So the policy can
learn from pairs as a reward model does, with h(y) = beta log(pi(y|x) / pi_ref(y|x)) in
the place of the reward:

    loss  =  - p log sigmoid(h(first) - h(second)) - (1 - p) log sigmoid(h(second)
             - h(first)),    p = P(first is preferred)

The reference writes the pairs, as in the paper, or the policy itself does: online DPO.
Each pair is used in one batch only, so that after every update DPO has pulled as many
completions as the other algorithms.

Source: Rafailov et al. (2023), section 4, eqs. 4-7; Guo et al. (2024), for pairs of the
policy.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Scalar

from lm_bandit.alternatives import loop
from lm_bandit.alternatives.config import DPOConfig
from lm_bandit.alternatives.loop import TuningState
from lm_bandit.diagnostics import History
from lm_bandit.ppo import Fixed
from lm_bandit.transformer import Transformer


class Pairs(NamedTuple):
    """Two completions of the same prompt in each row, and which one is preferred."""

    which: Int[Array, "rows"]  # the number of the prompt
    completions: Int[Array, "rows 2 C"]
    references: Float[Array, "rows 2"]  # log pi_ref(y|x)
    preferences: Float[Array, "rows"]  # the probability that the first is preferred


def train(
    key: Key[Array, ""], fixed: Fixed, length: int, config: DPOConfig
) -> tuple[Transformer, History]:
    """Tune the reference by DPO, with completions of at most `length` tokens.

    Returns the policy after every update (along a leading axis) and the history.
    Source: Rafailov et al. (2023), section 4, "DPO outline".
    """
    return loop.train_policy(key, fixed, length, config, update)


def update(
    state: TuningState,
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: DPOConfig,
) -> tuple[TuningState, History]:
    """Pull pairs, let the reward model judge them, and train the classifier."""
    pull_key, improve_key = jax.random.split(key)
    writer = fixed.reference if config.writer == "reference" else state.policy
    pulls, history = loop.pull_and_score(writer, pull_key, fixed, length, config)
    scores = pulls.scores.reshape(-1, 2)
    pairs = Pairs(
        which=pulls.which[::2],
        completions=pulls.completions.reshape(-1, 2, length),
        references=pulls.references.sum(-1).reshape(-1, 2),
        preferences=jax.nn.sigmoid(scores[:, 0] - scores[:, 1]),
    )
    batch_loss = partial(loss, fixed=fixed, config=config)
    return loop.descend(state, improve_key, pairs, batch_loss, config, history)


def loss(
    policy: Transformer, pairs: Pairs, fixed: Fixed, config: DPOConfig
) -> tuple[Scalar, Scalar]:
    """Return the mean of `dpo_loss` over pairs, and 1: this loss has no ratio."""
    which = jnp.repeat(pairs.which, 2)
    completions = pairs.completions.reshape(len(which), -1)
    log_probs = loop.written_log_probs(policy, which, completions, fixed, config)
    losses = jax.vmap(partial(dpo_loss, kl_weight=config.kl_weight))(
        log_probs.sum(-1).reshape(-1, 2), pairs.references, pairs.preferences
    )
    return losses.mean(), jnp.ones(())


def dpo_loss(
    log_probs: Float[Array, "2"],
    reference: Float[Array, "2"],
    preference: Scalar,
    kl_weight: float | Scalar,
) -> Scalar:
    """Return -p log sigmoid(m) - (1 - p) log sigmoid(-m),  m = h(first) - h(second).

    h(y) = beta log(pi(y|x) / pi_ref(y|x)) is the implicit reward, and p the probability
    that the first is preferred. Where p = sigmoid(r(first) - r(second)), the loss is
    least at h = r + const, which is pi*. With p = 1 it is eq. 7 of the paper. Here DPO
    is given the probability and not a single answer drawn with it: so it learns as much
    about the reward as the other algorithms do.

    `log_probs` are log pi(y|x) of the first and the second completion, and `reference`
    holds log pi_ref(y|x) of both.
    Source: Rafailov et al. (2023), section 4, eqs. 5-7.
    """
    first, second = kl_weight * (log_probs - reference)
    wins, loses = map(jax.nn.log_sigmoid, (first - second, second - first))
    return -(preference * wins + (1.0 - preference) * loses)
