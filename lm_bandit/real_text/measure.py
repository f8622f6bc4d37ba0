"""What a run on real text has come to, measured on what it never saw.

    perplexity     exp(mean surprise in nats), per token and per word of held-out texts
    agreement      with people, beside that of two people with each other
    gain           mean score after PPO less that before, in deviations of the reference
    KL(pi||pi_ref) in nats per completion, from samples of pi

A token's perplexity depends on what the tokens are; a word's does not. Scores are of
completions that came to an end, and in two units: the reference's deviation *within* a
prompt, which is the reward models' own, and that over *all* its completions, larger by
what the prompts themselves differ in.

Source: Schulman (2020), "Approximating KL divergence".
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from lm_bandit import bandit, reward_model
from lm_bandit.generate import completion_log_prob, completion_mask, has_ended
from lm_bandit.real_text import judges, tokenizer
from lm_bandit.real_text.config import RealTextConfig
from lm_bandit.real_text.material import Judged, Material
from lm_bandit.real_text.steps import Models
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer

ROWS = 128  # that are read at once
APART = 1.0  # mean ratings that differ by so much are told apart with some certainty
SHOWN = 4  # prompts whose completions are shown


def measure(
    material: Material, models: Models, config: RealTextConfig
) -> dict[str, Any]:
    """Everything there is to say of the models, as JSON has it."""
    found: dict[str, Any] = {
        "perplexity": {
            name: perplexity(getattr(models, name), material)
            for name in ("base", "reference", "policy")
            if getattr(models, name) is not None
        }
    }
    if models.policy is not None:
        scorers = {"reward_model": models.reward_model, "judge": models.judge}
        found["accuracy"] = {
            name: accuracy(scorer, material.questions)
            for name, scorer in scorers.items()
        }
        found["rewards"] = {
            name: rewards(prompts, models, config)
            for name in ("prompts", "new_prompts")
            if len(prompts := getattr(material, name))
        }
    found["samples"] = samples(material, models, config)
    return found


def perplexity(model: Transformer, material: Material) -> dict[str, float]:
    """Of the held-out texts after their first tokens, which are given."""
    log_probs = _rowwise(completion_log_prob, model, *material.held_out)
    completions = material.held_out.completions
    tokens = float(completion_mask(jnp.asarray(completions)).sum())
    words = sum(
        len(tokenizer.decode(material.tokenizer, row).removesuffix(" ...").split())
        for row in completions
    )
    surprise = -log_probs.sum(dtype=np.float64)
    return {
        "per_token": float(np.exp(surprise / tokens)),
        "per_word": float(np.exp(surprise / words)),
    }


def accuracy(model: RewardModel, questions: Any) -> dict[str, Any]:
    """How often the model prefers what people prefer, on held-out texts."""
    if not isinstance(questions, Judged):
        return {"comparisons": reward_model.pair_accuracy(model, questions)}
    scores = _rowwise(reward_model.score, model, *questions.sentences)
    return {
        name: judges.agreement(scores, questions.counts, apart)._asdict()
        for name, apart in {"all": 0.0, "apart": APART}.items()
    }


def rewards(
    prompts: Int[np.ndarray, "k P"], models: Models, config: RealTextConfig
) -> dict[str, Any]:
    """Before and after PPO by both reward models, and what it cost in nats."""
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    found: dict[str, Any] = {}
    for name in ("reference", "policy"):
        how = config.samples, config.completion_length, config.ppo.temperature
        model = getattr(models, name)
        pulls = bandit.pull_all(model, key, jnp.asarray(prompts), *how)
        shape = -1, config.completion_length
        completions = np.asarray(pulls.completions).reshape(shape)
        repeated = np.asarray(pulls.prompts).reshape(len(completions), -1)
        of_policy = np.asarray(pulls.log_probs).sum(-1).ravel()
        of_reference = _rowwise(
            completion_log_prob, models.reference, repeated, completions, how[-1]
        )
        ended = np.asarray(has_ended(pulls.completions)).ravel()
        nats = (of_policy - of_reference).astype(np.float64)
        told = {
            "kl": float(nats.mean()),
            "kl_error": float(nats.std() / len(nats) ** 0.5),
            "ended": float(ended.mean()),
            "length": float(completion_mask(pulls.completions).sum(-1).mean()),
            "distinct": len(np.unique(completions, axis=0)) / len(completions),
        }
        for scorer in ("reward_model", "judge"):
            scores = _rowwise(
                reward_model.score, getattr(models, scorer), repeated, completions
            )
            scores = np.where(ended, scores, np.nan)
            told[scorer] = spread(scores.reshape(len(prompts), -1))
        found[name] = told
    for scorer in ("reward_model", "judge"):
        before, after = (found[name][scorer] for name in ("reference", "policy"))
        gain = after["mean"] - before["mean"]
        found[f"gain_by_{scorer}"] = {
            "within": gain / before["within"],
            "overall": gain / before["overall"],
            "error": (before["error"] ** 2 + after["error"] ** 2) ** 0.5
            / before["within"],
        }
    return found


def spread(scores: Float[np.ndarray, "k n"]) -> dict[str, float]:
    """Mean over prompts, deviation within one and over all, and the mean's error.

    Where a completion has no score there stands nan.
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


def samples(
    material: Material, models: Models, config: RealTextConfig
) -> list[dict[str, Any]]:
    """The same beginnings, completed by each policy: two each, picked by nobody."""
    candidates = material.new_prompts, material.prompts, material.held_out.prompts
    prompts = next(prompts for prompts in candidates if len(prompts))[:SHOWN]
    written = {}
    for name in ("base", "reference", "policy"):
        model = getattr(models, name)
        if model is not None:
            key = jax.random.key(config.seed)
            how = 2, config.completion_length, config.ppo.temperature
            pulls = bandit.pull_all(model, key, jnp.asarray(prompts), *how)
            written[name] = np.asarray(pulls.completions)
    rows = []
    for i, prompt in enumerate(prompts):
        told = material.tokenizer.decode([int(token) for token in prompt])
        completed = {
            name: [tokenizer.decode(material.tokenizer, c) for c in completions[i]]
            for name, completions in written.items()
        }
        rows.append({"prompt": told.strip(), **completed})
    return rows


def _rowwise(function, model, prompts, completions, *how) -> Float[np.ndarray, "n"]:
    """A function of texts, of so many at a time: the last are filled up."""
    compiled = jax.jit(function)
    found = []
    for start in range(0, len(prompts), ROWS):
        texts = [x[start : start + ROWS] for x in (prompts, completions)]
        n = len(texts[0])
        texts = [np.concatenate([x, x[:1].repeat(ROWS - n, axis=0)]) for x in texts]
        found.append(np.asarray(compiled(model, *texts, *how))[:n])
    return np.concatenate(found)
