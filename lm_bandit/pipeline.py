"""The whole of RLHF, from random weights to a tuned policy, and how far it got.

    1. pretrain on the language at large; fine-tune on demonstrations (SFT)
    2. sample pairs from the SFT model, ask annotators, train the reward model
    3. PPO against the reward model, at a price for each nat away from the SFT model
    4. enumerate everything, and compare the result with the exact optimum

Steps 1 to 3 are the three steps of RLHF and see samples only. Demonstrations and
answers are simulated, from ratings of the words that people gave. Step 4 is the oracle;
a world that is too large for it is measured by samples.

    learned = train_models(world, config)                 # steps 1 to 3
    truth = measure_exactly(world, learned, config)       # step 4

Source: Ziegler et al. (2019), section 2; Stiennon et al. (2020), figure 2; Ouyang et
al. (2022), figure 2.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from lm_bandit import bandit, diagnostics, ppo, reward_model, sft, transformer
from lm_bandit import world as text
from lm_bandit.config import RLHFConfig, RunConfig
from lm_bandit.diagnostics import History
from lm_bandit.feedback import annotators
from lm_bandit.feedback.annotators import People
from lm_bandit.oracle import estimates, exact, trie
from lm_bandit.oracle.estimates import EstimatedValue
from lm_bandit.oracle.interval import OptimumInterval, optimum_interval
from lm_bandit.oracle.problem import Solution, solve
from lm_bandit.reward_model import Comparisons, RewardModel
from lm_bandit.reward_table import Reward, RewardFunction
from lm_bandit.transformer import Transformer
from lm_bandit.world import World
from mdp.interface.compilation import Compiling
from mdp.interface.progress import Progress
from policy_gradient import training

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


class TrainedModels(NamedTuple):
    """The models of a run."""

    base: Transformer  # pretrained
    reference: Transformer  # after SFT
    reward_model: Reward
    policy: Transformer  # after PPO


class Prepared(NamedTuple):
    """The results of steps 1 and 2: all that step 3 needs."""

    base: Transformer  # pretrained
    fixed: ppo.Fixed  # prompts, reference, reward model, pretraining texts
    pretraining_loss: float
    held_out_accuracy: float  # nan with a reward of your own
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
    frontier: list[exact.Value]  # of the optimum for each beta of problem.FRONTIER


class Estimates(NamedTuple):
    """The values of a run, estimated from samples."""

    values: dict[str, EstimatedValue]  # of base, reference and ppo
    path: list[tuple[int, EstimatedValue]]  # (update, value) along PPO
    completions: int  # samples of each policy
    optimum: OptimumInterval  # J*, and the share of the way


def train_models(
    world: World,
    config: RunConfig,
    progress: Progress | None = None,
    people: People | None = None,
    reward: RewardFunction | None = None,
) -> Learned:
    """Run steps 1 to 3: pretrain, fine-tune, learn the reward, improve the policy.

    Source: Ouyang et al. (2022), figure 2.

    Args:
        world: the language, the prompts and the ratings.
        config: the settings of all steps.
        progress: is told of each stage.
        people: the annotators; by default simulated ones, who answer by the ratings.
        reward: of (prompt, completion), to be raised instead of a reward model's score.
    """
    progress = progress or Progress()
    ready = prepare(world, config, progress, people, reward)
    return improve(world, ready, config, progress)


def improve(
    world: World, ready: Prepared, config: RunConfig, progress: Progress
) -> Learned:
    """Run step 3: improve the policy against the reward model."""
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
    world: World,
    config: RunConfig,
    progress: Progress,
    people: People | None = None,
    reward: RewardFunction | None = None,
    compile_next: Callable[[ppo.Fixed], None] | None = None,
) -> Prepared:
    """Run steps 1 and 2: pretrain, fine-tune, learn the reward from these people.

    With a `reward` of your own, step 2 makes a table of it, and asks nobody.
    `compile_next` compiles the programs of step 3, for arrays of the shapes that it
    gets; by default it is PPO's.
    """
    scorer: Reward | None = reward and trie.reward_table(world, reward)
    keys = jax.random.split(jax.random.key(config.seed), 6)
    init_key, pretrain_key, sft_key, pull_key, reward_key, ppo_key = keys
    rng = np.random.default_rng(config.seed)

    with progress.stage("pretraining", config.pretraining.num_updates) as report:
        texts = sft.as_texts(text.babble(rng, world, config.num_babble, world.context))
        size = len(world.vocabulary)
        start = transformer.init(init_key, size, world.context, config.model)
        fixed = ppo.Fixed(
            jnp.asarray(world.prompts), start, scorer or reward_model.init(start), texts
        )
        # This program first: two threads that trace slow each other down.
        with Compiling.waited_for():
            training.compile_loop(sft.train, start, texts, config.pretraining)
        ahead = ThreadPoolExecutor(max_workers=1)
        # An error in it is met again by the step itself, which tells of it.
        ahead.submit(rehearse, world, config, fixed, compile_next)
        ahead.shutdown(wait=False)
        base, losses = sft.train(pretrain_key, start, texts, config.pretraining, report)
    with progress.stage("SFT", config.sft.num_updates) as report:
        written = sft.demonstrations(rng, world, config.num_demonstrations)
        reference, _ = sft.train(
            sft_key, base, sft.as_demonstrations(*written), config.sft, report
        )
    accuracy = float("nan")
    if scorer is None:
        scorer, accuracy = learn_from_comparisons(
            pull_key, reward_key, rng, world, reference, config, progress, people
        )
    fixed = ppo.Fixed(jnp.asarray(world.prompts), reference, scorer, texts)
    loss = float(losses[-len(losses) // 10 :].mean())
    return Prepared(base, fixed, loss, accuracy, ppo_key)


def learn_from_comparisons(
    pull_key: Key[Array, ""],
    train_key: Key[Array, ""],
    rng: np.random.Generator,
    world: World,
    reference: Transformer,
    config: RunConfig,
    progress: Progress,
    people: People | None = None,
) -> tuple[RewardModel, float]:
    """Run step 2: return a reward model, and its accuracy on held-out comparisons.

    Source: Ziegler et al. (2019), section 2.1; Stiennon et al. (2020), section 3.4.
    """
    with progress.stage("reward model", config.reward.num_updates) as report:
        pairs = collect_comparisons(
            pull_key, rng, world, reference, config.num_comparisons, people
        )
        if len(pairs.prompts) < 10:
            raise ValueError(
                "the reward model must learn from at least 10 pairs of completions, "
                f"which end and differ, got {len(pairs.prompts)}: try a larger "
                "--num-comparisons, or more --sft.num-updates"
            )
        scorer, accuracy = reward_model.learn_from_pairs(
            train_key, reference, pairs, config.reward, report
        )
        reward_model.require_spread(scorer)
        return scorer, accuracy


def rehearse(
    world: World,
    config: RunConfig,
    fixed: ppo.Fixed,
    compile_next: Callable[[ppo.Fixed], None] | None = None,
) -> None:
    """Compile the programs of all later steps, for arrays of the shapes to come.

    The first run of these settings spends more time on compiling than on training. In a
    thread, this is done while the first step trains, by a core that is idle.
    """
    prompts, length = world.prompts, world.completion_length

    def answers(count: int) -> tuple[Int[np.ndarray, "n P"], Int[np.ndarray, "n C"]]:
        asked = np.zeros((count, prompts.shape[1]), prompts.dtype)
        return asked, np.zeros((count, length), prompts.dtype)

    held_out = config.num_comparisons // 10
    asked, chosen = answers(config.num_comparisons - held_out)
    pairs = Comparisons(asked, chosen, chosen)
    written = sft.as_demonstrations(*answers(config.num_demonstrations))
    training.compile_loop(sft.train, fixed.reference, written, config.sft)
    if isinstance(fixed.reward_model, RewardModel):
        count = 2 * pairs_drawn(world, config.num_comparisons)
        drawn = (fixed.reference, jax.random.key(0), fixed.prompts, count, length)
        bandit.pull_all.lower(*drawn).compile()
        training.compile_loop(
            reward_model.train, fixed.reward_model, pairs, config.reward
        )
    if compile_next is not None:
        compile_next(fixed)
    else:
        training.compile_loop(ppo.train, fixed, length, config.ppo)


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
    drawn = pairs_drawn(world, count)
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
    world: World,
    learned: Learned,
    config: RunConfig,
    progress: Progress | None = None,
    solution: Solution | None = None,
) -> Truth:
    """Run step 4: enumerate every completion of every prompt, and value each model.

    `solution` is what `solve` returned, if it was called already.
    """
    progress = progress or Progress()
    updates, models = evaluated_updates(config.ppo), learned.models
    with progress.stage("exact oracle", len(updates) + 1) as report:
        if solution is None:
            solution = solve(
                world, models.base, models.reference, models.reward_model, config.ppo
            )
        problem, policies = solution.problem, dict(solution.policies)
        report(1)

        def value_after(n: int) -> tuple[trie.LogProbs, exact.Value]:
            policy = problem.reference
            if n > 0:
                params = _policy_after(n, learned)
                policy = trie.policy_log_probs(params, world, config.ppo.temperature)
            return policy, exact.policy_value(problem, policy)

        path = []
        with ThreadPoolExecutor(max_workers=2) as pool:
            valued = pool.map(value_after, updates)
            for n, (policies["ppo"], value) in zip(updates, valued, strict=True):
                if n < config.ppo.num_updates:  # the next batch was sampled from it
                    diagnostics.require_exact_kl(
                        n, learned.history, value.kl, _policy_after(n, learned)
                    )
                path.append((n, value))
                report(1 + len(path))
    values = solution.values | {"ppo": path[-1][1]}
    tidy = bandit.in_format(world, trie.ended_completions(world))
    in_format = {
        name: float(np.exp(p.ended[:, tidy]).sum(-1).mean())
        for name, p in policies.items()
    }
    gained = values["ppo"].objective - values["reference"].objective
    possible = exact.optimal_objective(problem) - values["reference"].objective
    share = gained / possible
    return Truth(problem, values, in_format, path, share, solution.frontier)


def measure_by_sampling(
    world: World,
    learned: Learned,
    config: RunConfig,
    progress: Progress | None = None,
) -> Estimates:
    """Estimate the value of each model from SAMPLES completions of each prompt, and J*.

    All policies get the same key: one that does not move keeps its samples.
    """
    progress = progress or Progress()
    updates, models = evaluated_updates(config.ppo), learned.models
    scorer, policies = models.reward_model, (models.reference, models.policy)
    key = jax.random.fold_in(jax.random.key(config.seed), world.num_prompts)
    draw_key = jax.random.fold_in(key, 1)
    asked, length = world.prompts, world.completion_length

    def estimated(params: Transformer) -> EstimatedValue:
        return estimates.estimate_value(
            params, key, models.reference, scorer, world, SAMPLES, config.ppo
        )

    with progress.stage("estimates", len(updates) + 2) as report:
        values = {"base": estimated(models.base)}
        report(1)
        path = []
        for n in updates:
            path.append((n, estimated(_policy_after(n, learned))))
            report(1 + len(path))
        optimum = optimum_interval(
            policies, draw_key, scorer, asked, length, SAMPLES, config.ppo
        )
        report(2 + len(path))
    values |= {"reference": path[0][1], "ppo": path[-1][1]}
    return Estimates(values, path, SAMPLES * world.num_prompts, optimum)


def evaluated_updates(config: RLHFConfig) -> list[int]:
    """Return the updates after which the policy is valued; after 0 it is pi_ref."""
    return [n for n in (0, 4, 8, 16) if n < config.num_updates] + [config.num_updates]


def pairs_drawn(world: World, count: int) -> int:
    """Return the number of pairs to draw for each prompt, so that `count` can be shown.

    A quarter more are drawn, as some are equal or cut off.
    """
    return -(-5 * count // (4 * world.num_prompts))


def _policy_after(n: int, learned: Learned) -> Transformer:
    """Return the policy after n updates of PPO."""
    if n == 0:
        return learned.models.reference
    return diagnostics.row(learned.snapshots, n - 1)
