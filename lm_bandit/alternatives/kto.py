"""KTO: labels of single completions tune the policy, without a reward model.

    h(x, y) = beta log( pi(y|x) / pi_ref(y|x) )     the policy as its own reward model
    z       = beta KL(pi || pi_ref)                 the standard for all completions
    loss    = mean of  1 - sigmoid(h - z)  where the label is okay,
                       1 - sigmoid(z - h)  where it is not

Each completion stands alone: nobody has to write two of them, or to compare. As in
people's judgement (Kahneman & Tversky 1992), each further gain counts less, and gains
and losses are measured against a standard. The KL is estimated from the batch, on
each prompt with the completion of the next one, and is not differentiated.

    policy, losses = kto.train(key, reference, labels, KTOConfig())

Source: Ethayarajh et al. (2024), "KTO: Model alignment as prospect theoretic
optimization", section 4.1, with both weights lambda at 1.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, Scalar

from lm_bandit import reward_model
from lm_bandit.alternatives.config import KTOConfig
from lm_bandit.feedback.kinds import Labels
from lm_bandit.generate import completion_log_prob
from lm_bandit.transformer import Transformer


def train(
    key: Key[Array, ""],
    reference: Transformer,
    labels: Labels,
    config: KTOConfig,
) -> tuple[Transformer, Float[Array, "updates"]]:
    """Tune the reference on labels; return the policy and the loss of each update."""
    batch_loss = partial(loss, reference=reference, kl_weight=config.kl_weight)
    return reward_model.train(key, reference, labels, config, loss=batch_loss)


def loss(
    policy: Transformer,
    batch: Labels,
    reference: Transformer,
    kl_weight: float | Scalar,
) -> tuple[Scalar, Scalar]:
    """Return KTO's loss on a batch of labels, twice: to minimise and to report.

    Source: Ethayarajh et al. (2024), section 4.1, eqs. 7-8.
    """
    prompts, completions = jnp.asarray(batch.prompts), jnp.asarray(batch.completions)

    def log_ratios(completions: Int[Array, "n C"]) -> Float[Array, "n"]:
        log_probs = completion_log_prob(policy, prompts, completions)
        return log_probs - completion_log_prob(reference, prompts, completions)

    mismatched = log_ratios(jnp.roll(completions, -1, axis=0))
    kl = jax.lax.stop_gradient(jnp.maximum(mismatched.mean(), 0.0))
    okay = jnp.asarray(batch.okay)
    value = kto_loss(log_ratios(completions), okay, kl, kl_weight)
    return value, value


def kto_loss(
    log_ratios: Float[Array, "n"],
    okay: Bool[Array, "n"],
    kl: Scalar,
    kl_weight: float | Scalar,
) -> Scalar:
    """Return the mean of 1 - sigmoid(h - z), or of 1 - sigmoid(z - h) where not okay.

    h - z = beta (log(pi / pi_ref) - KL) is the gain over the standard.
    Source: Ethayarajh et al. (2024), section 4.1, eqs. 7-8.
    """
    gained = kl_weight * (log_ratios - kl)
    return jnp.mean(jax.nn.sigmoid(jnp.where(okay, -gained, gained)))
