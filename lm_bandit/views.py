"""A completion in two views: many actions, or one.

    token view     state = prefix, action = token        T steps, the last one scored
    bandit view    state = prompt, action = completion   one step, no episodic structure

Both are `Trajectory`s of the same text, so that one set of objectives serves both. In
the token view the score comes with the last token, the one that ends the text. Returns
are not discounted: gamma = 1.

The two views have the same expected gradient when whole returns are used and the terms
of a completion are *summed*: log pi(y|x) is the sum over its tokens. A mean over tokens
would give short completions more weight, and is another objective.

Source: Ziegler et al. (2019), eq. 2; Stiennon et al. (2020), section 3.4; Ouyang et al.
(2022), section 3.5; Ahmadian et al. (2024), section 3, on the two views.
Shapes: P tokens of a prompt, C of a completion, padding included.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lm_bandit.generate import completion_mask
from lm_bandit.world import END
from policy_gradient.trajectory import Trajectory


def as_tokens(
    prompt: Int[Array, "P"],
    completion: Int[Array, "C"],
    log_probs: Float[Array, "C"],
    rewards: Float[Array, "C"],
    values: Float[Array, "C"],
) -> Trajectory:
    """Return the token view: one step per token; the episode ends with the last one.

    A completion that was cut off has received its penalty: it does not bootstrap.
    Source: Ahmadian et al. (2024), section 3.
    """
    mask = completion_mask(completion)
    goes_on = jnp.append(mask[1:], 0.0)
    return Trajectory(
        observations=prefixes(prompt, completion),
        actions=completion,
        log_probs=log_probs * mask,
        rewards=rewards * mask,
        discounts=goes_on,
        values=values * mask,
        next_values=jnp.append(values[1:], 0.0) * goes_on,
        continues=goes_on,
        mask=mask,
    )


def as_bandit(tokens: Trajectory) -> Trajectory:
    """Return the bandit view of a token view: one step, from the prompt to the text.

        log pi(y | x) = sum_t log pi(y_t | x, y_<t),      R = sum_t R_t

    Every array has one row. The value is that of the prompt, and nothing follows.
    Source: Ahmadian et al. (2024), section 3.
    """

    def total(x: Float[Array, "C"]) -> Float[Array, "1"]:
        return jnp.sum(x * tokens.mask, keepdims=True)

    zero = jnp.zeros(1)
    return Trajectory(
        observations=tokens.observations[:1],
        actions=tokens.actions[None],
        log_probs=total(tokens.log_probs),
        rewards=total(tokens.rewards),
        discounts=zero,
        values=tokens.values[:1],
        next_values=zero,
        continues=zero,
        mask=tokens.mask[:1],
    )


def prefixes(
    prompt: Int[Array, "P"], completion: Int[Array, "C"]
) -> Int[Array, "C P+C"]:
    """Return the state before each token: the text so far, then `END` as padding."""
    text = jnp.concatenate([prompt, completion])
    written = prompt.shape[0] + jnp.arange(completion.shape[0])
    return jnp.where(jnp.arange(text.shape[0]) < written[:, None], text, END)


def token_weights(
    mask: Float[Array, "rows C"], over_tokens: str
) -> Float[Array, "rows C"]:
    """Weight of each token in the sum over its row; the loss is a mean over the rows.

    sum             1                      log pi of a completion: the policy gradient
    sequence_mean   1 / its length         each completion counts alike (GRPO)
    token_mean      1 / the mean length    each token counts alike (as in TRL's PPO)

    Source: Shao et al. (2024), eq. 3, for the mean over a sequence.
    """
    if over_tokens == "sum":
        return mask
    if over_tokens == "sequence_mean":
        return mask / mask.sum(1, keepdims=True)
    return mask / mask.sum(1).mean()
