"""Results of PPO on the pocket world: the share of the way to the exact optimum.

Ours and TRL's start from the same reference with the same reward model. J is computed
from the weights, outside the clock.
"""

import copy
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from benchmarks import lm_peers as peers
from benchmarks import trl_peers
from lm_bandit import bandit, pipeline, ppo
from lm_bandit import world as text
from lm_bandit.config import RunConfig
from lm_bandit.oracle import exact, trie
from lm_bandit.transformer import Transformer

NUM_SEEDS = 8
SHARE = 0.95
BUDGET = 120.0  # seconds for TRL's; the run goes on until then
CHECKPOINTS = 12
PULLS = 64  # of each prompt
TRL_STEP_SIZE = 1e-3
CONFIG = RunConfig()


class Path(NamedTuple):
    """Policies during one run."""

    progress: list[float]  # share of the run's seconds, rising to 1
    policies: list[Transformer]


@cache
def prepared() -> tuple[ppo.Fixed, exact.Problem]:
    """Return the reference and the reward model of one seed, and the exact problem."""
    world = text.pocket_world()
    short = replace(CONFIG, ppo=replace(CONFIG.ppo, num_updates=1))
    models = pipeline.train_models(world, short, pipeline.Progress()).models
    problem = exact.Problem(
        reference=trie.policy_log_probs(models.reference, world),
        gold=bandit.gold_scores(world, trie.ended_completions(world)),
        learned=trie.learned_scores(models.reward_model, world),
        kl_weight=CONFIG.ppo.kl_weight,
        penalty=CONFIG.ppo.penalty,
    )
    prompts = jnp.asarray(world.prompts)
    return ppo.Fixed(prompts, models.reference, models.reward_model), problem


def share(params: Transformer) -> float:
    """Return the exact share of the way, (J - J_ref) / (J* - J_ref)."""
    _, problem = prepared()
    values = trie.policy_log_probs(params, text.pocket_world())
    start = exact.policy_value(problem, problem.reference).objective
    reached = exact.policy_value(problem, values).objective
    return (reached - start) / (exact.optimal_objective(problem) - start)


def runs_to_share(path: Path) -> float:
    """Return the run's seconds over those until SHARE; 1 if SHARE is not reached."""
    for progress, policy in zip(path.progress, path.policies, strict=True):
        if share(policy) >= SHARE:
            return 1.0 / progress
    return 1.0


def shares() -> Float[np.ndarray, "seeds"]:
    """Return the share of the way after all of RLHF, for each seed."""
    world = text.pocket_world()
    configs = [replace(CONFIG, seed=seed) for seed in range(NUM_SEEDS)]
    silent = pipeline.Progress()
    return np.array(
        [
            pipeline.measure_exactly(
                world, pipeline.train_models(world, config, silent), config, silent
            ).share_to_optimum
            for config in configs
        ]
    )


def our_run():
    """Return our compiled PPO with default settings."""
    fixed, _ = prepared()
    length = text.pocket_world().completion_length
    train = jax.jit(partial(ppo.train, length=length, config=CONFIG.ppo))
    count = CONFIG.ppo.num_updates
    moments = np.linspace(0, count, CHECKPOINTS + 1).astype(int)[1:]

    def run() -> Path:
        snapshots, _ = jax.tree.map(np.asarray, train(jax.random.key(0), fixed))
        policies = [jax.tree.map(lambda x, n=n: x[n - 1], snapshots) for n in moments]
        return Path([float(n / count) for n in moments], policies)

    return run


def their_run():
    """Return TRL's PPO for `BUDGET` seconds.

    The end of a text is an action, so that TRL pads with another token. TRL subtracts
    the penalty from the score; ours replaces the score by the penalty.
    """
    import torch
    from transformers import TrainerCallback

    torch.set_num_threads(1)  # a model as small as this is slower on more
    fixed, _ = prepared()
    prompts = np.repeat(np.asarray(fixed.prompts), PULLS, axis=0)
    dials = {
        "per_device_train_batch_size": len(prompts),
        "total_episodes": len(prompts) * 10_000,
        "num_ppo_epochs": 4,
        "num_mini_batches": 4,
        "learning_rate": TRL_STEP_SIZE,
        "lr_scheduler_type": "constant",
        "kl_coef": CONFIG.ppo.kl_weight,
        "missing_eos_penalty": -CONFIG.ppo.penalty,
    }

    class Keep(TrainerCallback):
        """Keep copies of the policy, with the seconds at which they were made."""

        def on_train_begin(self, args, state, control, **_):
            self.began, self.kept = time.perf_counter(), []

        def on_step_end(self, args, state, control, model, **_):
            seconds = time.perf_counter() - self.began
            if seconds >= (len(self.kept) + 1) * BUDGET / CHECKPOINTS:
                self.kept.append((seconds, copy.deepcopy(model.policy.state_dict())))
            if seconds >= BUDGET:
                raise _TimeIsUp

    keep = Keep()
    length = text.pocket_world().completion_length
    trainer = trl_peers.trainer(
        fixed.reference, fixed.reward_model, prompts, length, dials, (keep,)
    )

    def run() -> Path:
        with suppress(_TimeIsUp):
            trainer.train()
        config, (last, _) = trainer.policy_model.config, keep.kept[-1]
        policies = [
            jax.tree.map(np.asarray, peers.ours(weights, config))
            for _, weights in keep.kept
        ]
        return Path([seconds / last for seconds, _ in keep.kept], policies)

    return run


class _TimeIsUp(Exception):
    """Raised to stop TRL's trainer, which offers no other way."""
