"""Estimates from samples, for worlds that are too large to enumerate.

    E[f]  ~  mean of f(x, y) over n completions y ~ pi(.|x) of every prompt x

The exact values (`exact.py`) have no error; each number here comes with its standard
error. The prompts are not sampled, so only the spread within a prompt counts.

Source: Cochran (1977), chapter 5, for the standard error of a stratified sample;
Schulman (2020), "Approximating KL divergence", for k1, k2 and k3.
Shapes: k prompts, n completions of each, P and C tokens.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Scalar

from lm_bandit import bandit
from lm_bandit.config import TuningConfig
from lm_bandit.generate import completion_log_prob
from lm_bandit.reward_table import Reward, score_texts
from lm_bandit.transformer import Transformer
from lm_bandit.world import END, World
from policy_gradient.objectives import KLEstimates, kl_estimates


class Estimate(NamedTuple):
    """A mean of samples, and the standard error of that mean."""

    mean: float
    standard_error: float


class EstimatedValue(NamedTuple):
    """The estimated value of a policy; `exact.Value` holds the exact one."""

    gold: Estimate
    learned: Estimate
    kl_k1: Estimate  # KL(pi || pi_ref), without bias
    kl_k2: Estimate  # biased, unless the policies are close
    kl_k3: Estimate  # without bias, and never negative
    entropy: Estimate
    objective: Estimate  # J = learned - beta k1


def estimate_value(
    params: Transformer,
    key: Key[Array, ""],
    reference: Transformer,
    scorer: Reward,
    world: World,
    count: int,
    config: TuningConfig,
) -> EstimatedValue:
    """Estimate E[gold], E[learned], KL, entropy and J of a policy.

    Source: Ziegler et al. (2019), eq. 2, for J.

    Args:
        params: the policy.
        key: of the samples.
        reference: pi_ref.
        scorer: the reward model, for the learned reward.
        world: its prompts, and the ratings behind the gold reward.
        count: completions of each prompt, at least 2.
        config: has beta, the temperature of sampling and scoring, and the penalty that
            replaces either score where a completion does not end.
    """
    if count < 2:
        raise ValueError(f"count must be at least 2 for a standard error, got {count}")
    prompts, length = jnp.asarray(world.prompts), world.completion_length
    temperature, penalty = config.temperature, config.penalty
    pulls = bandit.pull_all(params, key, prompts, count, length, temperature)
    measured = _measure_samples(params, reference, scorer, pulls, temperature)
    log_probs, scores, kls = jax.tree.map(lambda x: np.asarray(x, np.float64), measured)
    completions = np.asarray(pulls.completions)
    ended = (completions == END).any(-1)
    ratings = world.ratings.mean(-1)
    sums = bandit.summed_ratings(completions.reshape(-1, length), ratings)
    gold = world.signs[:, None] * sums.reshape(ended.shape)
    learned = np.where(ended, scores, penalty)
    return EstimatedValue(
        gold=stratified_estimate(np.where(ended, gold, penalty)),
        learned=stratified_estimate(learned),
        kl_k1=stratified_estimate(kls.k1),
        kl_k2=stratified_estimate(kls.k2),
        kl_k3=stratified_estimate(kls.k3),
        entropy=stratified_estimate(-log_probs),
        objective=stratified_estimate(learned - config.kl_weight * kls.k1),
    )


def stratified_estimate(samples: Float[np.ndarray, "k n"]) -> Estimate:
    """Return the mean over prompts of the mean over samples, and its standard error.

        SE^2 = (1 / k^2) sum_x s_x^2 / n

    Source: Cochran (1977), section 5.3, for strata of equal weight.
    """
    k, n = samples.shape
    error = np.sqrt(np.sum(samples.var(axis=1, ddof=1) / n)) / k
    return Estimate(float(samples.mean()), float(error))


@jax.jit
def _measure_samples(
    params: Transformer,
    reference: Transformer,
    scorer: Reward,
    pulls: bandit.Pulls,
    temperature: float | Scalar,
) -> tuple[Float[Array, "k n"], Float[Array, "k n"], KLEstimates]:
    """Return log pi, the learned score, and k1, k2 and k3 of every completion."""
    prompts, completions, _ = pulls
    log_probs = completion_log_prob(params, prompts, completions, temperature)
    references = completion_log_prob(reference, prompts, completions, temperature)
    scores = score_texts(scorer, prompts, completions)
    return log_probs, scores, jnp.vectorize(kl_estimates)(log_probs, references)
