"""Estimates from samples, for worlds that are too large to enumerate.

    E[f]  ~  mean of f(x, y) over n completions y ~ pi(.|x) of every prompt x

The exact answer (`exact.py`) has no error; each number here has one, and says so. The
prompts are not sampled, so only the spread within a prompt counts.

Source: Cochran (1977), chapter 5, for the standard error of a stratified sample;
Schulman (2020), "Approximating KL divergence", for k1, k2 and k3.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Scalar

from lm_bandit import bandit, diagnostics, reward_model
from lm_bandit.generate import completion_log_prob
from lm_bandit.pipeline import Learned, Progress, RunConfig, checkpoints_of
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from lm_bandit.world import END, World
from policy_gradient.objectives import kl_estimates

SAMPLES = 2048  # completions of each prompt


class Estimate(NamedTuple):
    """A mean of samples, and the standard error of that mean."""

    mean: float
    standard_error: float


class EstimatedValue(NamedTuple):
    """What a policy is worth, estimated; `exact.Value` is the truth."""

    gold: Estimate
    learned: Estimate
    kl_k1: Estimate  # KL(pi || pi_ref), without bias
    kl_k2: Estimate  # biased, unless the policies are close
    kl_k3: Estimate  # without bias, and never negative
    entropy: Estimate
    objective: Estimate  # J = learned - beta k1


class Estimates(NamedTuple):
    """A finished run as samples see it; `pipeline.Truth` is the same run, exactly."""

    values: dict[str, EstimatedValue]  # of base, reference and ppo
    path: list[tuple[int, EstimatedValue]]  # (update, value) along PPO
    completions: int  # samples of each policy


def measure_by_sampling(
    world: World, learned: Learned, config: RunConfig, progress: Progress
) -> Estimates:
    """What the models of a run are worth, from SAMPLES completions of each prompt.

    The same key for each policy: one that does not move keeps its samples.
    """
    updates, models = checkpoints_of(config.ppo), learned.models
    key = jax.random.fold_in(jax.random.key(config.seed), world.num_prompts)

    def estimated(params):
        how = SAMPLES, config.ppo.kl_weight, config.ppo.penalty, config.ppo.temperature
        return estimate_value(
            params, key, models.reference, models.reward_model, world, *how
        )

    with progress.stage("estimates", len(updates) + 1) as report:
        values = {"base": estimated(models.base)}
        report(1)
        path = []
        for n in updates:
            policy = (
                diagnostics.row(learned.snapshots, n - 1) if n else models.reference
            )
            path.append((n, estimated(policy)))
            report(1 + len(path))
    values |= {"reference": path[0][1], "ppo": path[-1][1]}
    return Estimates(values, path, SAMPLES * world.num_prompts)


def estimate_value(
    params: Transformer,
    key: Key[Array, ""],
    reference: Transformer,
    scorer: RewardModel,
    world: World,
    count: int,
    kl_weight: float,
    penalty: float,
    temperature: float = 1.0,
) -> EstimatedValue:
    """E[gold], E[learned], KL, entropy and J from `count` completions per prompt."""
    if count < 2:
        raise ValueError(f"count must be at least 2 for a standard error, got {count}")
    prompts, length = jnp.asarray(world.prompts), world.completion_length
    pulls = bandit.pull_all(params, key, prompts, count, length, temperature)
    read = _read(
        params, reference, scorer, pulls.prompts, pulls.completions, temperature
    )
    log_probs, learned, k1, k2, k3 = (np.asarray(x, np.float64) for x in read)
    completions = np.asarray(pulls.completions)
    ended = (completions == END).any(-1)
    opinions = bandit.summed_ratings(
        completions.reshape(-1, length), world.ratings.mean(-1)
    )
    gold = world.signs[:, None] * opinions.reshape(ended.shape)
    learned = np.where(ended, learned, penalty)
    return EstimatedValue(
        gold=stratified_estimate(np.where(ended, gold, penalty)),
        learned=stratified_estimate(learned),
        kl_k1=stratified_estimate(k1),
        kl_k2=stratified_estimate(k2),
        kl_k3=stratified_estimate(k3),
        entropy=stratified_estimate(-log_probs),
        objective=stratified_estimate(learned - kl_weight * k1),
    )


def stratified_estimate(samples: Float[np.ndarray, "k n"]) -> Estimate:
    """The mean over prompts of the mean over samples, and its standard error.

    SE^2 = (1 / k^2) sum_x s_x^2 / n
    """
    k, n = samples.shape
    error = np.sqrt(np.sum(samples.var(axis=1, ddof=1) / n)) / k
    return Estimate(float(samples.mean()), float(error))


@jax.jit
def _read(
    params: Transformer,
    reference: Transformer,
    scorer: RewardModel,
    prompts: Int[Array, "k n P"],
    completions: Int[Array, "k n C"],
    temperature: float | Scalar,
):
    """Log pi, the learned score, k1, k2 and k3 of every completion, each [k, n]."""
    log_probs = completion_log_prob(params, prompts, completions, temperature)
    references = completion_log_prob(reference, prompts, completions, temperature)
    return (
        log_probs,
        reward_model.score(scorer, prompts, completions),
        *jax.vmap(jax.vmap(kl_estimates))(log_probs, references),
    )
