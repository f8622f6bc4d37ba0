"""RLHF on real text, from random weights to a policy that writes what people rate high.

    base          pretrained on all texts
    reference     fine-tuned (SFT) to complete beginnings, and to come to an end
    reward_model  from the scores of one half of the raters
    judge         from those of the other half; PPO never sees it
    policy        PPO against the reward model, at a price for every nat

Both reward models start from the reference, read the same texts and differ in whom they
believe and in their batches. Each is the mean, weight by weight, of members that saw
different batches: what one of them has learned by chance cancels, and the two models
agree far more on what the policy writes (correlation .84 with three members, .67 with
one), at the same accuracy. Each is normalised on the same completions by the reference:
mean 0, and deviation 1 within a prompt.

Source: Ouyang et al. (2022), figure 2; Gao et al. (2022) on judging by another model;
Rame et al. (2024), "WARM: on the benefits of weight averaged reward models".
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from lm_bandit import bandit, diagnostics, ppo, reward_model, sft, transformer
from lm_bandit.generate import has_ended
from lm_bandit.real_text import judges
from lm_bandit.real_text.config import RealTextConfig
from lm_bandit.real_text.material import Material
from lm_bandit.real_text.stages import Stages
from lm_bandit.reward_model import Comparisons, RewardModel
from lm_bandit.transformer import Transformer

PAIRS = 64  # completions of each prompt, by two, on which a reward is normalised


class Models(NamedTuple):
    """What the steps leave behind; without feedback the first two."""

    base: Transformer
    reference: Transformer
    reward_model: RewardModel | None = None
    judge: RewardModel | None = None
    policy: Transformer | None = None


def learn(
    material: Material, config: RealTextConfig, stages: Stages
) -> tuple[Models, dict[str, Any]]:
    """All steps that are not done yet; and the course of PPO."""
    keys = jax.random.split(jax.random.key(config.seed), 7)
    init_key, pretrain_key, sft_key, pull_key, reward_key, judge_key, ppo_key = keys

    def pretrain(report):
        sizes = config.vocabulary_size, config.text_length
        start = transformer.init(init_key, *sizes, config.model)
        texts = sft.as_texts(material.texts)
        base, losses = sft.train(pretrain_key, start, texts, config.pretraining, report)
        return base, {"loss": _last_tenth(losses)}

    steps = config.pretraining.num_updates
    base, _ = stages.stage("base", "pretraining on all texts", steps, pretrain)

    def fine_tune(report):
        texts = sft.as_demonstrations(*material.demonstrations)
        tuned, losses = sft.train(sft_key, base, texts, config.sft, report)
        return tuned, {"loss": _last_tenth(losses)}

    steps = config.sft.num_updates
    reference, _ = stages.stage("reference", "SFT on completions", steps, fine_tune)
    if material.answers is None:
        return Models(base, reference), {}

    updates = config.reward.num_updates

    def believe(key, answers):
        def train(report):
            members, accuracies = [], []
            for i in range(config.members):
                model, metrics = reward_model.train(
                    jax.random.fold_in(key, i),
                    reward_model.init(reference),
                    answers,
                    config.reward,
                    lambda done, row, i=i: report(i * updates + done, row),
                    judges.loss,
                )
                members.append(model)
                accuracies.append(_last_tenth(metrics.accuracy))
            model = jax.tree.map(lambda *x: sum(x) / len(x), *members)
            pairs = _pairs(reference, pull_key, material, config)
            measured = {"batch_accuracy": float(np.mean(accuracies))}
            return reward_model.normalize(model, pairs), measured

        return train

    one, other = material.answers
    title = "reward model, half of the raters"
    steps = config.members * updates
    scorer, _ = stages.stage("reward_model", title, steps, believe(reward_key, one))
    title = "judge, the other raters"
    judge, _ = stages.stage("judge", title, steps, believe(judge_key, other))

    def improve(report):
        fixed = ppo.Fixed(jnp.asarray(material.prompts), reference, scorer)
        snapshots, history = ppo.train(
            ppo_key, fixed, config.completion_length, config.ppo, report
        )
        names = "score", "kl", "kl_weight", "ended", "length", "distinct"
        course = {name: _rounded(getattr(history, name)) for name in names}
        return diagnostics.row(snapshots, -1), course

    steps = config.ppo.num_updates
    policy, course = stages.stage("policy", "PPO", steps, improve)
    return Models(base, reference, scorer, judge, policy), course


def _pairs(
    reference: Transformer,
    key: Key[Array, ""],
    material: Material,
    config: RealTextConfig,
) -> Comparisons:
    """Pairs of completions of one prompt by the reference, which both have ended."""
    length = config.completion_length
    pulls = bandit.pull_all(
        reference, key, jnp.asarray(material.prompts), PAIRS, length
    )
    shape = -1, 2, length
    pairs = np.asarray(pulls.completions).reshape(shape)
    prompts = np.asarray(pulls.prompts).reshape(len(pairs), 2, -1)[:, 0]
    ended = np.asarray(has_ended(jnp.asarray(pairs))).all(-1)
    if not ended.any():
        raise ValueError(
            f"no completion by the reference ends within {length} tokens: try a longer "
            "--completion-length or more --sft.num-updates"
        )
    return Comparisons(prompts[ended], pairs[ended, 0], pairs[ended, 1])


def _last_tenth(rows):
    return float(np.mean(rows[-max(len(rows) // 10, 1) :]))


def _rounded(rows):
    return [round(float(x), 4) for x in rows]
