"""RLHF on real text, from random weights to a policy that writes what people rate high.

    base          pretrained on all texts
    reference     fine-tuned (SFT) to complete prompts and to end
    reward_model  learned from the scores of one half of the raters
    judge         learned from those of the other half; PPO never sees it
    policy        PPO against the reward model, with a price for every nat

Both reward models start from the reference and read the same texts. They differ in
their raters and in their batches. Each is the mean, weight by weight, of members that
saw different batches: what one member has learned by chance cancels. The two models
then agree far more about what the policy writes (correlation .84 with three members,
.67 with one) and are as accurate. Each is normalised on the same completions by the
reference: mean 0, and standard deviation 1 within a prompt.

Source: Ouyang et al. (2022), figure 2; Gao et al. (2022) on judging by another model;
Rame et al. (2024), "WARM: on the benefits of weight averaged reward models".
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from lm_bandit import bandit, diagnostics, ppo, reward_model, sft, transformer
from lm_bandit.feedback.kinds import Scores
from lm_bandit.generate import has_ended
from lm_bandit.real_text import judges
from lm_bandit.real_text.config import RealTextConfig
from lm_bandit.real_text.material import Material
from lm_bandit.real_text.stages import Measured, Stages
from lm_bandit.reward_model import Comparisons, RewardModel
from lm_bandit.transformer import Transformer
from mdp.interface.progress import Report

PAIRS = 64  # completions of each prompt, by two, on which a reward is normalised
COURSE = ("score", "kl", "kl_weight", "ended", "length", "distinct")  # of PPO's history


class TextModels(NamedTuple):
    """The models of a run; without feedback only the first two."""

    base: Transformer
    reference: Transformer
    reward_model: RewardModel | None = None
    judge: RewardModel | None = None
    policy: Transformer | None = None


def train_models(
    material: Material, config: RealTextConfig, stages: Stages
) -> tuple[TextModels, Measured]:
    """Train what is not trained yet; return all models, and the history of PPO."""
    keys = jax.random.split(jax.random.key(config.seed), 7)
    init_key, pretrain_key, sft_key, pull_key, reward_key, judge_key, ppo_key = keys
    base, _ = stages.stage(
        "base",
        "pretraining on all texts",
        config.pretraining.num_updates,
        lambda report: pretrain(init_key, pretrain_key, material, config, report),
    )
    reference, _ = stages.stage(
        "reference",
        "SFT on completions",
        config.sft.num_updates,
        lambda report: fine_tune(sft_key, base, material, config, report),
    )
    if material.answers is None:
        return TextModels(base, reference), {}

    def learn(
        name: str, title: str, key: Key[Array, ""], answers: Scores | Comparisons
    ) -> RewardModel:
        def train(report: Report) -> tuple[RewardModel, Measured]:
            pairs = ended_pairs(reference, pull_key, material, config)
            return learn_reward(key, reference, answers, pairs, config, report)

        steps = config.members * config.reward.num_updates
        return stages.stage(name, title, steps, train)[0]

    one, other = material.answers
    scorer = learn("reward_model", "reward model, half of the raters", reward_key, one)
    judge = learn("judge", "judge, the other raters", judge_key, other)
    policy, course = stages.stage(
        "policy",
        "PPO",
        config.ppo.num_updates,
        lambda report: improve_policy(
            ppo_key, reference, scorer, material, config, report
        ),
    )
    return TextModels(base, reference, scorer, judge, policy), course


def pretrain(
    init_key: Key[Array, ""],
    key: Key[Array, ""],
    material: Material,
    config: RealTextConfig,
    report: Report,
) -> tuple[Transformer, Measured]:
    """The base model, trained to predict the next token of all texts."""
    size, length = config.vocabulary_size, config.text_length
    start = transformer.init(init_key, size, length, config.model)
    texts = sft.as_texts(material.texts)
    base, losses = sft.train(key, start, texts, config.pretraining, report)
    return base, {"loss": _last_tenth(losses)}


def fine_tune(
    key: Key[Array, ""],
    base: Transformer,
    material: Material,
    config: RealTextConfig,
    report: Report,
) -> tuple[Transformer, Measured]:
    """The reference: the base model, trained on completions only (SFT)."""
    texts = sft.as_demonstrations(*material.demonstrations)
    reference, losses = sft.train(key, base, texts, config.sft, report)
    return reference, {"loss": _last_tenth(losses)}


def learn_reward(
    key: Key[Array, ""],
    reference: Transformer,
    answers: Scores | Comparisons,
    pairs: Comparisons,
    config: RealTextConfig,
    report: Report,
) -> tuple[RewardModel, Measured]:
    """The mean of several reward models' weights, normalised on pairs of completions.

    All members start from the reference; their batches differ. The pairs are the
    reference's own samples.

    Source: Rame et al. (2024): theta = 1/M sum_i theta_i; Ziegler et al. (2019),
    section 2.2, for the normalisation.
    """
    updates = config.reward.num_updates
    members, accuracies = [], []
    for i in range(config.members):
        member, metrics = reward_model.train(
            jax.random.fold_in(key, i),
            reward_model.init(reference),
            answers,
            config.reward,
            lambda done, row, i=i: report(i * updates + done, row),
            judges.loss,
        )
        members.append(member)
        accuracies.append(_last_tenth(metrics.accuracy))
    mean = jax.tree.map(lambda *x: sum(x) / len(x), *members)
    measured = {"batch_accuracy": float(np.mean(accuracies))}
    return reward_model.normalize(mean, pairs), measured


def improve_policy(
    key: Key[Array, ""],
    reference: Transformer,
    scorer: RewardModel,
    material: Material,
    config: RealTextConfig,
    report: Report,
) -> tuple[Transformer, Measured]:
    """The policy after PPO against the reward model, and the history of PPO."""
    fixed = ppo.Fixed(jnp.asarray(material.prompts), reference, scorer)
    length = config.completion_length
    snapshots, history = ppo.train(key, fixed, length, config.ppo, report)
    course = {
        name: [round(float(x), 4) for x in getattr(history, name)] for name in COURSE
    }
    return diagnostics.row(snapshots, -1), course


def ended_pairs(
    reference: Transformer,
    key: Key[Array, ""],
    material: Material,
    config: RealTextConfig,
) -> Comparisons:
    """Pairs of completions of one prompt by the reference, both of which have ended."""
    length = config.completion_length
    prompts = jnp.asarray(material.prompts)
    pulls = bandit.pull_all(reference, key, prompts, PAIRS, length)
    pairs = np.asarray(pulls.completions).reshape(-1, 2, length)
    prompts = np.asarray(pulls.prompts).reshape(len(pairs), 2, -1)[:, 0]
    ended = np.asarray(has_ended(jnp.asarray(pairs))).all(-1)
    if not ended.any():
        raise ValueError(
            f"no completion by the reference ends within {length} tokens: try a longer "
            "--completion-length or more --sft.num-updates"
        )
    return Comparisons(prompts[ended], pairs[ended, 0], pairs[ended, 1])


def _last_tenth(rows: Float[Array, "n"]) -> float:
    """The mean of the last tenth."""
    return float(np.mean(rows[-max(len(rows) // 10, 1) :]))
