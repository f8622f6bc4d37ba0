"""A run on the world of sums: pretraining, SFT, six methods, and the exact results.

    base       pretrained on texts of which a known share is wrong
    reference  after SFT on the format of an answer
    tuned      PPO, RLOO, GRPO, Dr. GRPO; and PPO with exact advantages, of whole texts
               (outcome) or of each token (process)

All methods start at one reference, and pull as many completions of each prompt. A seed
changes which these are. Accuracies, pass@k and J are sums over all completions.

Source: Ouyang et al. (2022), figure 2, for the steps.
Shapes: k prompts, E completions that end.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from lm_bandit import ppo, sft, transformer
from lm_bandit.alternatives import grpo
from lm_bandit.alternatives.config import GRPOConfig
from lm_bandit.config import RLHFConfig, TuningConfig
from lm_bandit.oracle import exact, trie
from lm_bandit.ppo import Fixed
from lm_bandit.sums import process
from lm_bandit.sums.config import SumsConfig
from lm_bandit.sums.pass_at_k import success_probs
from lm_bandit.sums.verifier import verifier_table
from lm_bandit.sums.world import Sums, babble_sums, sums_world, written_sums
from lm_bandit.transformer import Transformer

NUM_TEXTS = 16384  # for pretraining; a quarter as many for SFT
GOAL = 0.99  # of the way from J_ref to J*


class Student(NamedTuple):
    """The world and the models that all methods begin with."""

    sums: Sums
    base: Transformer
    fixed: Fixed  # prompts, reference, and the verifier as a table
    problem: exact.Problem  # with every completion spelled out


class Tuned(NamedTuple):
    """The results of one method, seed by seed."""

    shares: Float[np.ndarray, "seeds updates"]  # (J - J_ref) / (J* - J_ref)
    success: Float[np.ndarray, "seeds k"]  # of the last policy, for each prompt


def prepare_student(config: SumsConfig) -> Student:
    """Pretrain on noisy texts, fine-tune on the format, and spell out the problem."""
    sums = sums_world(config.scratchpad, config.noise)
    world = sums.world
    init_key, pretrain_key, sft_key = jax.random.split(jax.random.key(config.seed), 3)
    rng = np.random.default_rng(config.seed)
    start = transformer.init(
        init_key, len(world.vocabulary), world.context, config.model
    )
    texts = sft.as_texts(babble_sums(rng, sums, NUM_TEXTS))
    base, _ = sft.train(pretrain_key, start, texts, config.pretraining)
    written = written_sums(rng, sums, NUM_TEXTS // 4)
    reference, _ = sft.train(sft_key, base, sft.as_demonstrations(*written), config.sft)
    table = verifier_table(sums)
    scores = np.asarray(table.scores, np.float64)
    log_probs = trie.policy_log_probs(reference, world)
    problem = exact.Problem(log_probs, scores, scores, config.kl_weight, 0.0)
    return Student(
        sums, base, Fixed(jnp.asarray(world.prompts), reference, table), problem
    )


def tune_student(
    student: Student, name: str, config: TuningConfig, seeds: int
) -> Tuned:
    """Train one method with several seeds, and value every policy on its way."""
    world, problem = student.sums.world, student.problem
    length = world.completion_length
    keys = jax.random.split(jax.random.key(1), seeds)
    policies = jax.jit(jax.vmap(_training(name, length, config), (0, None)))(
        keys, student.fixed
    )
    steps = process.text_steps(student.fixed, length, problem.penalty)
    value = partial(
        process.exact_objective,
        fixed=student.fixed,
        steps=steps,
        length=length,
        kl_weight=problem.kl_weight,
    )
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), policies)
    objectives = np.asarray(jax.jit(partial(jax.lax.map, value))(flat))
    start = exact.policy_value(problem, problem.reference).objective
    way = exact.optimal_objective(problem) - start
    last = [jax.tree.map(lambda x, i=i: x[i, -1], policies) for i in range(seeds)]
    success = [success_of(student, policy) for policy in last]
    return Tuned((objectives.reshape(seeds, -1) - start) / way, np.array(success))


def success_of(student: Student, policy: Transformer) -> Float[np.ndarray, "k"]:
    """Return the exact probability of a right answer to each prompt."""
    log_probs = trie.policy_log_probs(policy, student.sums.world)
    return success_probs(log_probs, student.problem.learned)


def updates_to_goal(shares: Float[np.ndarray, "seeds updates"]) -> list[int | None]:
    """Return the number of updates until J is GOAL of the way, for each seed.

    It is None where J did not get there.
    """
    there = shares >= GOAL
    return [int(row.argmax()) + 1 if row.any() else None for row in there]


def _training(
    name: str, length: int, config: TuningConfig
) -> Callable[[Key[Array, ""], Fixed], Transformer]:
    """Return a training that keeps the policy after each update."""

    def tuned(key: Key[Array, ""], fixed: Fixed) -> Transformer:
        if isinstance(config, GRPOConfig):
            return grpo.train(key, fixed, length, config)[0]
        assert isinstance(config, RLHFConfig)
        if name in ("outcome", "process"):
            return process.train(key, fixed, length, config, name)
        return ppo.train(key, fixed, length, config)[0]

    return tuned
