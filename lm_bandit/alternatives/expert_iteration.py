"""Expert iteration: pull several completions, keep the best, fine-tune on it, again.

    y*    =  argmax over `best_of` pulls of   r(x, y) - beta log(pi(y|x) / pi_ref(y|x))
    loss  =  - log pi(y* | x)

The expert is the policy itself with more tries. No reward, ratio or baseline enters the
loss: it is that of supervised fine-tuning.

Source: Anthony et al. (2017); Dong et al. (2023), "RAFT", algorithm 1, with their
reward that pays for the KL.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, Scalar

from lm_bandit.alternatives import loop
from lm_bandit.alternatives.config import ExpertConfig
from lm_bandit.alternatives.loop import ScoredPulls, TuningState
from lm_bandit.diagnostics import History
from lm_bandit.generate import completion_mask
from lm_bandit.ppo import Fixed
from lm_bandit.transformer import Transformer
from policy_gradient.trajectory import masked_mean


def train(
    key: Key[Array, ""], fixed: Fixed, length: int, config: ExpertConfig
) -> tuple[Transformer, History]:
    """Tune the reference by expert iteration, at most `length` tokens a completion.

    Returns the policy after every update (along a leading axis) and the history.
    Source: Dong et al. (2023), algorithm 1.
    """
    return loop.train_policy(key, fixed, length, config, update)


def update(
    state: TuningState,
    key: Key[Array, ""],
    fixed: Fixed,
    length: int,
    config: ExpertConfig,
) -> tuple[TuningState, History]:
    """Pull completions, keep the best of each group, and fine-tune on what is kept."""
    pull_key, improve_key = jax.random.split(key)
    pulls, history = loop.pull_and_score(state.policy, pull_key, fixed, length, config)
    log_ratios = (pulls.log_probs - pulls.references).sum(-1)
    groups = (pulls.scores - config.kl_weight * log_ratios).reshape(-1, config.best_of)
    best = groups.argmax(1) + config.best_of * jnp.arange(len(groups))
    kept = jax.tree.map(lambda x: x[best], pulls)
    batch_loss = partial(loss, fixed=fixed, config=config)
    return loop.descend(state, improve_key, kept, batch_loss, config, history)


def loss(
    policy: Transformer, kept: ScoredPulls, fixed: Fixed, config: ExpertConfig
) -> tuple[Scalar, Scalar]:
    """Return - log pi(y|x), a mean over the rows, and the mean ratio of their tokens.

    Source: Dong et al. (2023), algorithm 1, the fine-tuning step.
    """
    log_probs = loop.written_log_probs(
        policy, kept.which, kept.completions, fixed, config
    )
    ratios = jnp.exp(log_probs - kept.log_probs)
    mean_ratio = masked_mean(ratios, completion_mask(kept.completions))
    return -log_probs.sum(-1).mean(), mean_ratio
