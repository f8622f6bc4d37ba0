"""The results of a run on real text, measured on what it never learned from.

    perplexity     exp(mean surprise in nats), per token and per word of held-out texts
    agreement      with people, beside that of two people with each other
    gain           mean score after PPO minus that before, in standard deviations
    KL(pi||pi_ref) in nats per completion, from samples of pi

A token's perplexity depends on the tokenizer; a word's does not. Scores are those of
completions that ended, in two units. *Within* is the reference's standard deviation
within a prompt, which is the unit of the reward models. *Overall* is that over all its
completions; it is larger, because the prompts themselves differ.

Source: Schulman (2020), "Approximating KL divergence", k1.
Shapes: k prompts, n completions of each, or n texts.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lm_bandit import bandit, reward_model
from lm_bandit.generate import completion_log_prob, completion_mask, has_ended
from lm_bandit.oracle.interval import optimum_interval
from lm_bandit.real_text import judges
from lm_bandit.real_text.config import RealTextConfig
from lm_bandit.real_text.material import Material, Sentences
from lm_bandit.real_text.steps import TextModels
from lm_bandit.real_text.tokens import decode_tokens
from lm_bandit.reward_model import Comparisons, RewardModel
from lm_bandit.transformer import Transformer
from mdp.interface.files import plain

ROWS = 128  # that are read at once
APART = 1.0  # difference of two mean ratings that is hardly due to chance
SHOWN = 4  # prompts whose completions are shown

LANGUAGE_MODELS = ("base", "reference", "policy")
SCORERS = ("reward_model", "judge")


def measure_models(
    material: Material, models: TextModels, config: RealTextConfig
) -> dict[str, Any]:
    """All measurements of the models, in the types of JSON."""
    trained = [name for name in LANGUAGE_MODELS if getattr(models, name) is not None]
    results: dict[str, Any] = {
        "perplexity": {
            name: perplexity(getattr(models, name), material) for name in trained
        }
    }
    if models.policy is not None and material.questions is not None:
        results["accuracy"] = {
            name: held_out_accuracy(
                getattr(models, name), material.held_out, material.questions
            )
            for name in SCORERS
        }
        results["rewards"] = {
            name: reward_gains(prompts, models, config)
            for name in ("prompts", "new_prompts")
            if len(prompts := getattr(material, name))
        }
    results["samples"] = example_completions(material, models, config)
    return results


def perplexity(model: Transformer, material: Material) -> dict[str, float]:
    """The perplexity of held-out texts, given their first tokens: exp(-log p / count).

    Source: Jelinek et al. (1977), "Perplexity: a measure of the difficulty of speech
    recognition tasks".
    """
    log_probs = _read_rows(completion_log_prob, model, *material.held_out, 1.0)
    completions = material.held_out.completions
    tokens = float(completion_mask(jnp.asarray(completions)).sum())
    texts = [decode_tokens(material.tokenizer, row) for row in completions]
    words = sum(len(text.removesuffix(" ...").split()) for text in texts)
    surprise = -log_probs.sum(dtype=np.float64)
    return {
        "per_token": float(np.exp(surprise / tokens)),
        "per_word": float(np.exp(surprise / words)),
    }


def held_out_accuracy(
    model: RewardModel,
    rated: Sentences,
    questions: Int[np.ndarray, "n 9"] | Comparisons,
) -> dict[str, Any]:
    """The shares of held-out pairs in which the model prefers what people prefer.

    The questions are how often each rating of these sentences was given, or pairs.
    """
    if isinstance(questions, Comparisons):
        return {"comparisons": reward_model.pair_accuracy(model, questions)}
    scores = _read_rows(reward_model.score, model, *rated)
    return {
        name: judges.rater_agreement(scores, questions, apart)._asdict()
        for name, apart in {"all": 0.0, "apart": APART}.items()
    }


def reward_gains(
    prompts: Int[np.ndarray, "k P"], models: TextModels, config: RealTextConfig
) -> dict[str, Any]:
    """The scores before and after PPO by both reward models, the KL, and J*."""
    results: dict[str, Any] = {
        name: completion_statistics(getattr(models, name), prompts, models, config)
        for name in ("reference", "policy")
    }
    for scorer in SCORERS:
        before, after = (results[name][scorer] for name in ("reference", "policy"))
        gain = after["mean"] - before["mean"]
        error = (before["error"] ** 2 + after["error"] ** 2) ** 0.5
        results[f"gain_by_{scorer}"] = {
            "within": gain / before["within"],
            "overall": gain / before["overall"],
            "error": error / before["within"],
        }
    names = "reference", "policy", "reward_model"
    reference, policy, scorer = (getattr(models, name) for name in names)
    found = optimum_interval(
        (reference, policy),
        jax.random.fold_in(jax.random.key(config.seed), 2),
        scorer,
        prompts,
        config.completion_length,
        config.samples,
        config.ppo,
    )
    results["optimum"] = plain(found)
    return results


def completion_statistics(
    policy: Transformer,
    prompts: Int[np.ndarray, "k P"],
    models: TextModels,
    config: RealTextConfig,
) -> dict[str, Any]:
    """The KL, the length and the scores of a policy's sampled completions.

    KL(pi || pi_ref) is estimated by k1, the mean of log pi - log pi_ref.
    """
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    length, temperature = config.completion_length, config.ppo.temperature
    pulls = bandit.pull_all(
        policy, key, jnp.asarray(prompts), config.samples, length, temperature
    )
    completions = np.asarray(pulls.completions).reshape(-1, length)
    repeated = np.asarray(pulls.prompts).reshape(len(completions), -1)
    of_reference = _read_rows(
        completion_log_prob, models.reference, repeated, completions, temperature
    )
    log_probs = np.asarray(pulls.log_probs).sum(-1).ravel()
    nats = (log_probs - of_reference).astype(np.float64)
    ended = np.asarray(has_ended(pulls.completions)).ravel()
    results: dict[str, Any] = {
        "kl": float(nats.mean()),
        "kl_error": float(nats.std() / len(nats) ** 0.5),
        "ended": float(ended.mean()),
        "length": float(completion_mask(pulls.completions).sum(-1).mean()),
        "distinct": len(np.unique(completions, axis=0)) / len(completions),
    }
    for name in SCORERS:
        scorer = getattr(models, name)
        scores = _read_rows(reward_model.score, scorer, repeated, completions)
        scores = np.where(ended, scores, np.nan)
        results[name] = score_statistics(scores.reshape(len(prompts), -1))
    return results


def score_statistics(scores: Float[np.ndarray, "k n"]) -> dict[str, float]:
    """The mean over prompts, the deviation within one and overall, the mean's error.

    A completion without a score has nan. The error is the standard error of a
    stratified mean: SE^2 = 1/k^2 sum_x s_x^2 / n_x.

    Source: Cochran (1977), chapter 5.
    """
    scores = np.asarray(scores, np.float64)
    counted = np.isfinite(scores).sum(1)
    scores, counted = scores[counted > 1], counted[counted > 1]
    if not len(scores):
        raise ValueError(
            "hardly any completion comes to an end: try a longer --completion-length "
            "or more --sft.num-updates"
        )
    variances = np.nanvar(scores, axis=1, ddof=1)
    means = np.nanmean(scores, axis=1)
    return {
        "mean": float(means.mean()),
        "within": float(variances.mean() ** 0.5),
        "overall": float(np.nanstd(scores)),
        "error": float(np.sqrt(np.sum(variances / counted)) / len(scores)),
    }


def example_completions(
    material: Material, models: TextModels, config: RealTextConfig
) -> list[dict[str, Any]]:
    """Two random completions by each policy of the same few prompts."""
    candidates = material.new_prompts, material.prompts, material.held_out.prompts
    prompts = jnp.asarray(next(each for each in candidates if len(each))[:SHOWN])
    tokenizer, length = material.tokenizer, config.completion_length
    rows: list[dict[str, Any]] = [
        {"prompt": tokenizer.decode(prompt.tolist()).strip()} for prompt in prompts
    ]
    for name in LANGUAGE_MODELS:
        model = getattr(models, name)
        if model is None:
            continue
        key, temperature = jax.random.key(config.seed), config.ppo.temperature
        pulls = bandit.pull_all(model, key, prompts, 2, length, temperature)
        for row, completions in zip(rows, np.asarray(pulls.completions), strict=True):
            row[name] = [decode_tokens(tokenizer, tokens) for tokens in completions]
    return rows


def _read_rows(
    function: Callable[..., Float[Array, "n"]],
    model: Transformer | RewardModel,
    prompts: Int[np.ndarray, "n P"],
    completions: Int[np.ndarray, "n C"],
    *options: float,
) -> Float[np.ndarray, "n"]:
    """A function of many texts, computed for 128 of them at a time.

    The last batch is filled up, so that one program serves all.
    """
    compiled = jax.jit(function)
    results = []
    for start in range(0, len(prompts), ROWS):
        texts = [x[start : start + ROWS] for x in (prompts, completions)]
        n = len(texts[0])
        texts = [np.concatenate([x, x[:1].repeat(ROWS - n, axis=0)]) for x in texts]
        results.append(np.asarray(compiled(model, *texts, *options))[:n])
    return np.concatenate(results)
