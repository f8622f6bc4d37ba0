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

from typing import Literal, NamedTuple

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


class StepKeys(NamedTuple):
    """A random key for each step."""

    init: Key[Array, ""]
    pretrain: Key[Array, ""]
    sft: Key[Array, ""]
    pull: Key[Array, ""]  # for the completions on which rewards are normalised
    reward_model: Key[Array, ""]
    judge: Key[Array, ""]
    ppo: Key[Array, ""]


class TextRun(NamedTuple):
    """Everything that the steps of one run share."""

    material: Material
    config: RealTextConfig
    stages: Stages
    keys: StepKeys


class TextModels(NamedTuple):
    """The models of a run; without feedback only the first two."""

    base: Transformer
    reference: Transformer
    reward_model: RewardModel | None = None
    judge: RewardModel | None = None
    policy: Transformer | None = None


def train_text_models(
    material: Material, config: RealTextConfig, stages: Stages
) -> tuple[TextModels, Measured]:
    """Train what is not trained yet; return all models, and the history of PPO."""
    keys = StepKeys(*jax.random.split(jax.random.key(config.seed), 7))
    run = TextRun(material, config, stages, keys)
    base = pretrain(run)
    reference = fine_tune(run, base)
    if material.answers is None:
        return TextModels(base, reference), {}
    one, other = material.answers
    title = "reward model, half of the raters"
    scorer = learn_reward(run, "reward_model", title, reference, one)
    judge = learn_reward(run, "judge", "judge, the other raters", reference, other)
    policy, course = improve_policy(run, reference, scorer)
    return TextModels(base, reference, scorer, judge, policy), course


def pretrain(run: TextRun) -> Transformer:
    """The base model, trained to predict the next token of all texts."""
    config = run.config

    def train(report: Report) -> tuple[Transformer, Measured]:
        size, length = config.vocabulary_size, config.text_length
        start = transformer.init(run.keys.init, size, length, config.model)
        texts, key = sft.as_texts(run.material.texts), run.keys.pretrain
        base, losses = sft.train(key, start, texts, config.pretraining, report)
        return base, {"loss": _last_tenth(losses)}

    steps = config.pretraining.num_updates
    return run.stages.stage("base", "pretraining on all texts", steps, train)[0]


def fine_tune(run: TextRun, base: Transformer) -> Transformer:
    """The reference: the base model, trained on completions only (SFT)."""

    def train(report: Report) -> tuple[Transformer, Measured]:
        texts = sft.as_demonstrations(*run.material.demonstrations)
        tuned, losses = sft.train(run.keys.sft, base, texts, run.config.sft, report)
        return tuned, {"loss": _last_tenth(losses)}

    steps = run.config.sft.num_updates
    return run.stages.stage("reference", "SFT on completions", steps, train)[0]


def learn_reward(
    run: TextRun,
    name: Literal["reward_model", "judge"],
    title: str,
    reference: Transformer,
    answers: Scores | Comparisons,
) -> RewardModel:
    """The mean of several reward models' weights, normalised on samples.

    All members start from the reference; their batches differ.

    Source: Rame et al. (2024): theta = 1/M sum_i theta_i; Ziegler et al. (2019),
    section 2.2, for the normalisation.
    """
    config, updates = run.config, run.config.reward.num_updates

    def train(report: Report) -> tuple[RewardModel, Measured]:
        pairs = ended_pairs(run, reference)
        members, accuracies = [], []
        for i in range(config.members):

            def tell(done: int, start: int = i * updates) -> None:
                report(start + done)

            member, metrics = reward_model.train(
                jax.random.fold_in(getattr(run.keys, name), i),
                reward_model.init(reference),
                answers,
                config.reward,
                Report(tell, report.checkpoint),
                judges.loss,
            )
            members.append(member)
            accuracies.append(_last_tenth(metrics.accuracy))
        mean = jax.tree.map(lambda *x: sum(x) / len(x), *members)
        measured = {"batch_accuracy": float(np.mean(accuracies))}
        normal = reward_model.normalize(mean, pairs)
        reward_model.require_spread(normal)
        return normal, measured

    return run.stages.stage(name, title, config.members * updates, train)[0]


def ended_pairs(run: TextRun, reference: Transformer) -> Comparisons:
    """Pairs of completions of one prompt by the reference, both of which have ended."""
    length, prompts = run.config.completion_length, jnp.asarray(run.material.prompts)
    # The temperature is named for `measure.py`: one compiled program serves both.
    pulls = bandit.pull_all(reference, run.keys.pull, prompts, PAIRS, length, 1.0)
    pairs = np.asarray(pulls.completions).reshape(-1, 2, length)
    asked = np.asarray(pulls.prompts).reshape(len(pairs), 2, -1)[:, 0]
    ended = np.asarray(has_ended(jnp.asarray(pairs))).all(-1)
    if not ended.any():
        raise ValueError(
            f"no completion by the reference ends within {length} tokens: try a longer "
            "--completion-length or more --sft.num-updates"
        )
    return Comparisons(asked[ended], pairs[ended, 0], pairs[ended, 1])


def improve_policy(
    run: TextRun, reference: Transformer, scorer: RewardModel
) -> tuple[Transformer, Measured]:
    """The policy after PPO against the reward model, and the history of PPO."""
    config, length = run.config.ppo, run.config.completion_length

    def train(report: Report) -> tuple[Transformer, Measured]:
        fixed = ppo.Fixed(jnp.asarray(run.material.prompts), reference, scorer)
        snapshots, history = ppo.train(run.keys.ppo, fixed, length, config, report)
        rows = {name: getattr(history, name) for name in COURSE}
        course = {name: [round(float(x), 4) for x in rows[name]] for name in rows}
        return diagnostics.row(snapshots, -1), course

    return run.stages.stage("policy", "PPO", config.num_updates, train)


def _last_tenth(rows: Float[Array, "n"]) -> float:
    """The mean of the last tenth."""
    return float(np.mean(rows[-max(len(rows) // 10, 1) :]))
