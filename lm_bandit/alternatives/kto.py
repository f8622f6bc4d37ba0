"""Labels, taken straight to the policy: no reward model in between (KTO).

    h(x, y) = beta log( pi(y|x) / pi_ref(y|x) )     the policy as its own reward model
    z       = beta KL(pi || pi_ref)                 the standard, for all completions
    loss    = mean of  1 - sigmoid(h - z)  where the label is okay,
                       1 - sigmoid(z - h)  where it is not

Each completion stands alone: nobody has to write two, or compare them. As in people's
judgement (Kahneman & Tversky 1992), what is gained counts less the more one has, and
gain and loss are felt against a standard. The KL is estimated from the batch, on each
prompt with the completion of the next, and is not differentiated.

    loss = partial(kto.loss, reference=reference, kl_weight=0.1)
    policy, _ = reward_model.train(key, reference, labels, config, loss=loss)

Source: Ethayarajh et al. (2024), "KTO: Model alignment as prospect theoretic
optimization", section 4.1, with both weights lambda at 1.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from lm_bandit.feedback.kinds import Labels
from lm_bandit.generate import completion_log_prob
from lm_bandit.transformer import Transformer


def loss(
    policy: Transformer, batch: Labels, reference: Transformer, kl_weight: float
) -> tuple[Scalar, Scalar]:
    """Of a batch of labels; what `reward_model.train` minimises, with the reference."""

    def log_ratios(completions):
        ours = completion_log_prob(policy, batch.prompts, completions)
        return ours - completion_log_prob(reference, batch.prompts, completions)

    mismatched = log_ratios(jnp.roll(batch.completions, -1, axis=0))
    kl = jax.lax.stop_gradient(jnp.maximum(mismatched.mean(), 0.0))
    value = kto_loss(log_ratios(batch.completions), batch.okay, kl, kl_weight)
    return value, value


def kto_loss(
    log_ratios: Float[Array, "n"],
    okay: Bool[Array, "n"],
    kl: Scalar,
    kl_weight: float | Scalar,
) -> Scalar:
    """Mean of 1 - sigmoid(+-beta (log(pi / pi_ref) - KL))."""
    gained = kl_weight * (log_ratios - kl)
    return jnp.mean(jax.nn.sigmoid(jnp.where(okay, -gained, gained)))
