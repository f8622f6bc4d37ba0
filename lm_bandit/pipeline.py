"""The whole of RLHF, from random weights to a tuned policy, and how far it got.

    1. pretrain on the language at large; fine-tune on demonstrations (SFT)
    2. sample pairs from the SFT model, ask annotators, train the reward model
    3. PPO against the reward model, at a price for each nat away from the SFT model
    4. enumerate everything, and compare the result with the exact optimum

Steps 1 to 3 are the three steps of RLHF and see samples only. Demonstrations and
answers are simulated, from ratings of the words that people gave. Step 4 is the oracle;
a world that is too large for it is measured by samples.

    progress = Progress()
    learned = train_models(world, config, progress)                 # steps 1 to 3
    truth = measure_exactly(world, learned, config, progress)       # step 4

Source: Ziegler et al. (2019), section 2; Stiennon et al. (2020), figure 2; Ouyang et
al. (2022), figure 2.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from lm_bandit import bandit, diagnostics, ppo, reward_model, sft, transformer
from lm_bandit import world as text
from lm_bandit.config import RLHFConfig, RunConfig
from lm_bandit.diagnostics import History
from lm_bandit.feedback import annotators
from lm_bandit.feedback.annotators import People
from lm_bandit.oracle import estimates, exact, trie
from lm_bandit.oracle.estimates import EstimatedValue
from lm_bandit.reward_model import Comparisons, RewardModel
from lm_bandit.transformer import Transformer
from lm_bandit.world import World
from mdp.interface.progress import Progress

# The stages of a run, and their titles beside a progress bar.
STAGES = {
    "pretraining": "pretraining on babble",
    "SFT": "SFT on demonstrations",
    "reward model": "reward model on comparisons",
    "PPO": "PPO against the reward model",
    "exact oracle": "exact oracle, every completion",
    "estimates": "estimates from samples",
}
SAMPLES = 2048  # completions of each prompt, for estimates
FRONTIER = np.geomspace(10.0, 0.01, 40)  # values of beta, from strict to lax


class TrainedModels(NamedTuple):
    """The models of a run."""

    base: Transformer  # pretrained
    reference: Transformer  # after SFT
    reward_model: RewardModel
    policy: Transformer  # after PPO


class Prepared(NamedTuple):
    """The results of steps 1 and 2: all that step 3 needs."""

    base: Transformer  # pretrained
    fixed: ppo.Fixed  # prompts, reference, reward model, pretraining texts
    pretraining_loss: float
    held_out_accuracy: float
    key: Key[Array, ""]  # for step 3


class Learned(NamedTuple):
    """The results of steps 1 to 3: the models, and measurements from samples."""

    models: TrainedModels
    snapshots: Transformer  # the policy after each update, along a leading axis
    history: History  # one row per update
    pretraining_loss: float  # nats per word, mean of the last tenth of the updates
    held_out_accuracy: float  # of the reward model, on comparisons it never saw


class Truth(NamedTuple):
    """The exact values of a run, by the oracle."""

    problem: exact.Problem
    values: dict[str, exact.Value]  # of base, reference, ppo and optimum
    in_format: dict[str, float]  # share of completions in the right format
    path: list[tuple[int, exact.Value]]  # (update, value) along PPO
    share_to_optimum: float  # (J - J_ref) / (J* - J_ref)
    frontier: list[exact.Value]  # of the optimum for each beta of FRONTIER


class Estimates(NamedTuple):
    """The values of a run, estimated from samples."""

    values: dict[str, EstimatedValue]  # of base, reference and ppo
    path: list[tuple[int, EstimatedValue]]  # (update, value) along PPO
    completions: int  # samples of each policy


def train_models(
    world: World, config: RunConfig, progress: Progress, people: People | None = None
) -> Learned:
    """Run steps 1 to 3: pretrain, fine-tune, learn the reward, improve the policy.

    Source: Ouyang et al. (2022), figure 2.

    Args:
        world: the language, the prompts and the ratings.
        config: the settings of all steps.
        progress: is told of each stage.
        people: the annotators; by default simulated ones, who answer by the ratings.
    """
    ready = prepare(world, config, progress, people)
    with progress.stage("PPO", config.ppo.num_updates) as report:
        snapshots, history = ppo.train(
            ready.key, ready.fixed, world.completion_length, config.ppo, report
        )
        snapshots = jax.tree.map(np.asarray, snapshots)
        policy = jax.tree.map(lambda x: jnp.asarray(x[-1]), snapshots)
    fixed = ready.fixed
    models = TrainedModels(ready.base, fixed.reference, fixed.reward_model, policy)
    return Learned(
        models, snapshots, history, ready.pretraining_loss, ready.held_out_accuracy
    )


def prepare(
    world: World, config: RunConfig, progress: Progress, people: People | None = None
) -> Prepared:
    """Run steps 1 and 2: pretrain, fine-tune, learn the reward from these people."""
    keys = jax.random.split(jax.random.key(config.seed), 6)
    init_key, pretrain_key, sft_key, pull_key, reward_key, ppo_key = keys
    rng = np.random.default_rng(config.seed)

    with progress.stage("pretraining", config.pretraining.num_updates) as report:
        texts = sft.as_texts(text.babble(rng, world, config.num_babble, world.context))
        size = len(world.vocabulary)
        start = transformer.init(init_key, size, world.context, config.model)
        base, losses = sft.train(pretrain_key, start, texts, config.pretraining, report)
    with progress.stage("SFT", config.sft.num_updates) as report:
        written = sft.demonstrations(rng, world, config.num_demonstrations)
        reference, _ = sft.train(
            sft_key, base, sft.as_demonstrations(*written), config.sft, report
        )
    with progress.stage("reward model", config.reward.num_updates) as report:
        pairs = collect_comparisons(
            pull_key, rng, world, reference, config.num_comparisons, people
        )
        held_out = len(pairs.prompts) // 10
        if not held_out:
            raise ValueError(
                "the reward model must learn from at least 10 pairs of completions, "
                f"which end and differ, got {len(pairs.prompts)}: try a larger "
                "--num-comparisons, or more --sft.num-updates"
            )
        seen = jax.tree.map(lambda x: x[held_out:], pairs)
        unseen = jax.tree.map(lambda x: x[:held_out], pairs)
        scorer, _ = reward_model.train(
            reward_key, reward_model.init(reference), seen, config.reward, report
        )
        scorer = reward_model.normalize(scorer, seen)
        reward_model.require_spread(scorer)
        accuracy = reward_model.pair_accuracy(scorer, unseen)
    fixed = ppo.Fixed(jnp.asarray(world.prompts), reference, scorer, texts)
    loss = float(losses[-len(losses) // 10 :].mean())
    return Prepared(base, fixed, loss, accuracy, ppo_key)


def collect_comparisons(
    key: Key[Array, ""],
    rng: np.random.Generator,
    world: World,
    reference: Transformer,
    count: int,
    people: People | None = None,
) -> Comparisons:
    """Return up to `count` pairs of completions by the reference, and who won.

    Both completions of a pair answer the same prompt. Equal completions, and those that
    were cut off, are shown to nobody: a quarter more pairs are drawn than are shown.
    Source: Ziegler et al. (2019), section 2.1; Stiennon et al. (2020), section 3.3.
    """
    k, length = world.num_prompts, world.completion_length
    drawn = -(-5 * count // (4 * k))  # pairs of each prompt
    pulls = bandit.pull_all(
        reference, key, jnp.asarray(world.prompts), 2 * drawn, length
    )
    pairs = np.asarray(pulls.completions).reshape(k * drawn, 2, length)
    which = np.repeat(np.arange(k), drawn)
    ended = (pairs == text.END).any(-1).all(-1)
    different = (pairs[:, 0] != pairs[:, 1]).any(-1)
    shown = rng.permutation(np.flatnonzero(ended & different))[:count]
    if not len(shown):
        raise ValueError(
            "no two different completions by the reference end within "
            f"{length} tokens: try more --sft.num-updates, or smaller step sizes"
        )
    return annotators.compare_pairs(rng, world, which[shown], pairs[shown], people)


def measure_exactly(
    world: World, learned: Learned, config: RunConfig, progress: Progress
) -> Truth:
    """Run step 4: enumerate every completion of every prompt, and value each model."""
    updates, models = evaluated_updates(config.ppo), learned.models
    temperature = config.ppo.temperature
    with progress.stage("exact oracle", len(updates) + 3) as report:
        problem = pose_problem(world, models.reference, models.reward_model, config.ppo)
        report(1)
        policies = {
            "base": trie.policy_log_probs(models.base, world, temperature),
            "reference": problem.reference,
            "ppo": problem.reference,
            "optimum": exact.optimum(problem),
        }
        report(2)
        path = []
        for n, policy in _policies_along(updates, learned):
            if n > 0:
                policies["ppo"] = trie.policy_log_probs(policy, world, temperature)
            path.append((n, exact.policy_value(problem, policies["ppo"])))
            if n < config.ppo.num_updates:  # the next batch was sampled from it
                exact_kl = path[-1][1].kl
                diagnostics.require_exact_kl(n, learned.history, exact_kl, policy)
            report(2 + len(path))
        values = {name: exact.policy_value(problem, p) for name, p in policies.items()}
        tidy = bandit.in_format(world, trie.ended_completions(world))
        in_format = {
            name: float(np.exp(p.ended[:, tidy]).sum(-1).mean())
            for name, p in policies.items()
        }
        report(3 + len(path))
    gained = values["ppo"].objective - values["reference"].objective
    possible = exact.optimal_objective(problem) - values["reference"].objective
    frontier = exact.frontier(problem, FRONTIER)
    return Truth(problem, values, in_format, path, gained / possible, frontier)


def measure_by_sampling(
    world: World, learned: Learned, config: RunConfig, progress: Progress
) -> Estimates:
    """Estimate the value of each model from SAMPLES completions of each prompt.

    All policies get the same key: one that does not move keeps its samples.
    """
    updates, models = evaluated_updates(config.ppo), learned.models
    key = jax.random.fold_in(jax.random.key(config.seed), world.num_prompts)

    def estimated(params: Transformer) -> EstimatedValue:
        return estimates.estimate_value(
            params,
            key,
            models.reference,
            models.reward_model,
            world,
            SAMPLES,
            config.ppo,
        )

    with progress.stage("estimates", len(updates) + 1) as report:
        values = {"base": estimated(models.base)}
        report(1)
        path = []
        for n, policy in _policies_along(updates, learned):
            path.append((n, estimated(policy)))
            report(1 + len(path))
    values |= {"reference": path[0][1], "ppo": path[-1][1]}
    return Estimates(values, path, SAMPLES * world.num_prompts)


def evaluated_updates(config: RLHFConfig) -> list[int]:
    """Return the updates after which the policy is valued; after 0 it is pi_ref."""
    return [n for n in (0, 4, 8, 16) if n < config.num_updates] + [config.num_updates]


def pose_problem(
    world: World, reference: Transformer, scorer: RewardModel, config: RLHFConfig
) -> exact.Problem:
    """Return the problem that step 3 has to solve, with every completion spelled out.

    Source: Ziegler et al. (2019), eq. 2.
    """
    return exact.Problem(
        reference=trie.policy_log_probs(reference, world, config.temperature),
        gold=bandit.gold_scores(world, trie.ended_completions(world)),
        learned=trie.learned_scores(scorer, world),
        kl_weight=config.kl_weight,
        penalty=config.penalty,
    )


def _policies_along(
    updates: list[int], learned: Learned
) -> Iterator[tuple[int, Transformer]]:
    """Yield the policy after each of these updates of PPO."""
    for n in updates:
        snapshot = diagnostics.row(learned.snapshots, n - 1)
        yield n, snapshot if n > 0 else learned.models.reference
