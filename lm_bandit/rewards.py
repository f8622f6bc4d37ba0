"""The reward of a completion, and its advantage over the expected reward.

    R(x, y) = r(x, y) - beta sum_t ( log pi(y_t | x, y_<t) - log pi_ref(y_t | x, y_<t) )

This is the score of the reward model less the price of leaving the reference. The score
comes with the last token; the price with each token, or with the last.

    A = R - b        b: a constant, a mean over completions of the same prompt, a critic

A completion becomes more likely when its reward is above the baseline b, and less
likely when it is below.

Source: Ziegler et al. (2019), eq. 2 and section 2.2; Stiennon et al. (2020), section
3.4; Ouyang et al. (2022), section 3.5; Ahmadian et al. (2024) for leave-one-out.
Shapes: k prompts, n completions of each, C tokens, T actions of a completion (C or 1).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from lm_bandit.config import RLHFConfig
from policy_gradient import baselines
from policy_gradient.advantages import generalized_advantages, reward_to_go
from policy_gradient.trajectory import Trajectory, masked_mean


def token_rewards(
    score: Scalar,
    log_ratios: Float[Array, "C"],
    mask: Float[Array, "C"],
    kl_weight: float | Scalar,
    at_end: bool = False,
) -> Float[Array, "C"]:
    """-beta log(pi / pi_ref) for each token, and the score on the last token.

    `log_ratios` are data: those of the policy that wrote the text. With `at_end` the
    last token pays for all of them. The padding gets 0.
    Source: Ziegler et al. (2019), eq. 2; Ouyang et al. (2022), section 3.5.

    The price is k1 of `objectives.kl_estimates`, and the gradient that follows it is
    that of the KL. TRL and verl can charge k3 instead. Its mean is the same KL, but as
    a reward it leads elsewhere: to the gradient of KL(pi || pi_ref) less that of
    KL(pi_ref || pi).
    """
    penalties = kl_weight * log_ratios * mask
    last = mask * (1.0 - jnp.append(mask[1:], 0.0))
    if at_end:
        return last * (score - penalties.sum())
    return last * score - penalties


def adapted_kl_weight(
    kl_weight: Scalar, kl: Scalar, target: float, gain: float | Scalar
) -> Scalar:
    """Next beta: larger where the KL is above the target.

        e = clip((KL - target) / target, -1/5, 1/5),     beta <- beta (1 + K e)

    Source: Ziegler et al. (2019), section 2.2, with gain K = 0.1.
    """
    error = jnp.clip((kl - target) / target, -0.2, 0.2)
    return kl_weight * (1.0 + gain * error)


def compare_with_baseline(
    trajectories: Trajectory, config: RLHFConfig
) -> tuple[Trajectory, Float[Array, "k n T"]]:
    """Return trajectories whose values are the baseline, and advantages over it.

        A = R - b,    or GAE with a critic

    Source: Williams (1992), section 4; Schulman et al. (2016), eq. 16.
    """
    if config.baseline == "value":
        gae = jax.vmap(jax.vmap(generalized_advantages, (0, None)), (0, None))
        return trajectories, gae(trajectories, config.trace_decay)
    returns = jax.vmap(jax.vmap(reward_to_go))(trajectories)
    expected = expected_returns(returns[..., 0], config.baseline, config.baseline_value)
    values = expected[..., None] * trajectories.mask
    advantages = (returns - values) * trajectories.mask
    return trajectories._replace(values=values), advantages


def expected_returns(
    returns: Float[Array, "k n"], baseline: str, constant: float | Scalar = 0.0
) -> Float[Array, "k n"]:
    """Expected return of each of n completions of k prompts, by a baseline.

    none             0
    constant         one number for all
    average          the mean over all completions of its prompt, itself among them
    leave_one_out    the mean over the *others* of its prompt: without bias

    Source: Ahmadian et al. (2024), section 3; Kool et al. (2019), section 3.
    """
    if baseline == "leave_one_out":
        return jax.vmap(baselines.leave_one_out_mean)(returns)
    if baseline == "average":
        return jnp.broadcast_to(returns.mean(1, keepdims=True), returns.shape)
    return jnp.full_like(returns, constant if baseline == "constant" else 0.0)


def advantages_and_targets(
    advantages: Float[Array, "*n"],
    values: Float[Array, "*n"],
    mask: Float[Array, "*n"],
    whiten: bool = False,
) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Advantages for the policy, whitened or not, and targets for the critic.

        V_target = V + A

    The targets are in the units of the rewards: they use the advantages *before* these
    are whitened. Source: Huang et al. (2022), details 7 and 9 of PPO.
    """
    targets = values + advantages
    if whiten:
        advantages = scaled(advantages, mask, "whiten")
    return advantages, targets


def scaled(
    x: Float[Array, "*n"], mask: Float[Array, "*n"], scaling: str
) -> Float[Array, "*n"]:
    """Return numbers with deviation 1 over the batch; "whiten" makes their mean 0 too.

    Rewards keep their mean ("scale"): without it their sign would change, and the
    penalty could become a reward. "none" returns x as it is. Source: Huang et al.
    (2024), detail on `whiten` with `shift_mean`.

    The deviation divides by n, the number of entries whose mask is 1, and 1e-8 is added
    to it. TRL and verl divide by n - 1, and add 1e-8 to the variance; their numbers are
    sqrt((n - 1) / n) of these.
    """
    if scaling == "none":
        return x
    mean = masked_mean(x, mask)
    deviation = jnp.sqrt(masked_mean((x - mean) ** 2, mask)) + 1e-8
    return mask * ((x - mean) if scaling == "whiten" else x) / deviation
