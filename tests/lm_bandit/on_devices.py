"""A small training of every kind, in float64, on the devices that the flags name.

    python -m tests.lm_bandit.on_devices FOLDER [--processes 2]

What is done is kept in FOLDER, and the next call goes on. At the end process 0 writes
the parameters of all trainings to FOLDER/ended.npz.
"""

import os
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import tyro

from lm_bandit import ppo, reward_model, sft, transformer
from lm_bandit import world as text
from lm_bandit.config import (
    LanguageConfig,
    RewardConfig,
    RLHFConfig,
    TransformerConfig,
)
from lm_bandit.reward_model import Comparisons
from mdp.interface import compilation, keeping
from mdp.interface.processes import ProcessesConfig
from mdp.interface.progress import Progress
from mdp.interface.runs import FollowedRun, Run
from mdp.worlds import cliff_walking
from policy_gradient import devices
from policy_gradient import ppo as finite_ppo
from policy_gradient.config import PPOConfig

UPDATES = 50


def train_all(folder, share):
    """Train every kind of model, and write the parameters."""
    keeping.SECONDS, keeping.SHARE = 0.0, 1e9  # each chunk is kept
    run = FollowedRun(folder) if share.process_id else Run(folder)
    progress, arrays = Progress(run), {}
    with share.joined(partial(train_all, folder)):
        jax.config.update("jax_enable_x64", True)
        devices.use(share.devices, share.sharded)
        for name, train in trainings().items():
            with progress.stage(name, UPDATES) as report:
                trained = train(report=report)
            leaves = enumerate(jax.tree.leaves(trained))
            arrays |= {f"{name} {i}": leaf for i, leaf in leaves}
    if not share.process_id:
        np.savez(folder / "ended.npz", **arrays)


def trainings():
    """Return the trainings by name, as functions of a report."""
    world, key, rng = text.pocket_world(), jax.random.key(0), np.random.default_rng(0)
    model = TransformerConfig(num_layers=1, num_heads=2, d_model=8)
    size, length = len(world.vocabulary), world.completion_length
    start = transformer.init(key, size, world.context, model)
    prompts, completions = sft.demonstrations(rng, world, 64)
    written = sft.as_demonstrations(prompts, completions)
    pairs = Comparisons(prompts[:32], completions[:32], completions[32:])
    scorer = reward_model.init(start)
    fixed = ppo.Fixed(jax.numpy.asarray(world.prompts), start, scorer)
    language = LanguageConfig(num_updates=UPDATES, batch_size=16)
    reward = RewardConfig(num_updates=UPDATES, batch_size=16)
    once = {"num_updates": UPDATES, "epochs": 1, "minibatches": 1}
    rlhf = RLHFConfig(pulls=4, **once)
    steps = PPOConfig(num_environments=4, **once | {"minibatches": 2})
    return {
        "SFT": partial(sft.train, key, start, written, language),
        "reward model": partial(reward_model.train, key, scorer, pairs, reward),
        "PPO": partial(ppo.train, key, fixed, length, rlhf),
        "PPO on a table": partial(finite_ppo.train, key, cliff_walking(), steps),
    }


if __name__ == "__main__":
    os.environ["XLA_FLAGS"] = compilation.quick_flags(level=0)
    compilation.keep_compiled_programs()
    folder, *flags = sys.argv[1:]
    train_all(Path(folder), tyro.cli(ProcessesConfig, args=flags))
