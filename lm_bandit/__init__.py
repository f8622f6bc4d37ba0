"""A tiny language model tuned from human feedback: a k-armed bandit over prompts.

The prompt is the state, the completion is the action, and there is no episodic
structure. A transformer is pretrained and fine-tuned (SFT), a reward model learns from
comparisons, and PPO raises the reward of the transformer's completions. Programs write
the demonstrations and answer the questions, by ratings of words that people gave. The
world is so small that every completion can be enumerated: the optimum of the
KL-regularised objective is known, and so is how close PPO comes to it.

    python -m lm_bandit

The book: read in this order, each file needs only those before it.

    world.py         the pocket world: its words, rated by real people, and its prompts
    config.py        every setting, with its usual values
    transformer.py   the language model, for one sequence
    generate.py      sampling completions, and their log-probabilities
    bandit.py        k prompts, one pull = one completion; the gold reward
    views.py         a completion as many actions (tokens), or as one
    sft.py           pretraining, and supervised fine-tuning on demonstrations
    reward_model.py  a number for a completion, learned from comparisons
    reward_table.py  a reward of your own, as a Python function
    rewards.py       the reward of a completion, and its advantage over a baseline
    diagnostics.py   invariants of a sound run, and symptoms with their causes
    ppo.py           PPO against the reward model

Two rooms, which the pipeline uses; each room has its own table of contents.

    oracle/          every completion enumerated: J, KL, the optimum and the gradient
    feedback/        six kinds of human feedback, and simulated people who give it

All steps together, and what a run leaves behind.

    pipeline.py      the three steps of RLHF in one run, and the exact result
    prepared.py      steps 1 and 2, done once on this machine and then read
    checkpoints.py   a model as a file, with GPT-2's own names
    plots.py         the pictures of a run
    diagrams.py      the steps of RLHF as boxes and arrows
    report.py        the report of a run

The other rooms, which may use all of the above.

    alternatives/    GRPO, expert iteration, DPO and KTO beside PPO
    losses/          what a loss of RLHF maximises, exactly
    sums/            rewards that a program verifies: sums, pass@k, steps
    dialogue/        two turns, the second prompt of which depends on the first answer
    label/           you are the annotator
    lab/             what can go wrong: a collection of experiments
    doctor/          the fault that the history of a run shows, by simple rules
    real_text/       the same on film reviews that people rated, or on your own texts
    ask.py           completions of a saved model, of any of these
    commands.py      what the commands of the command line do
    __main__.py      the command line: each command with its flags

Words in the code, symbols in the docstrings (beside those of the floors below):

    x, y             prompt, completion
    pi_ref           reference        the SFT model, frozen
    r(x, y)          scores           by the reward model (learned) or the raters (gold)
    beta             kl_weight        the price of a nat of KL from the reference
    pi*, Z(x)        optimum          pi_ref exp(r / beta) / Z(x)

Source: Ziegler et al. (2019); Stiennon et al. (2020); Ouyang et al. (2022); Bai et al.
(2022).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_bandit import (
        bandit,
        diagnostics,
        generate,
        ppo,
        reward_model,
        rewards,
        sft,
        transformer,
        views,
    )
    from lm_bandit.checkpoints import load_checkpoint, save_checkpoint
    from lm_bandit.config import (
        LanguageConfig,
        RewardConfig,
        RLHFConfig,
        RunConfig,
        TransformerConfig,
    )
    from lm_bandit.pipeline import (
        measure_by_sampling,
        measure_exactly,
        prepare,
        train_models,
    )
    from lm_bandit.reward_model import Comparisons, RewardModel
    from lm_bandit.transformer import Transformer
    from lm_bandit.world import World, pocket_world, wide_world

__all__ = [
    "Comparisons",
    "LanguageConfig",
    "RLHFConfig",
    "RewardConfig",
    "RewardModel",
    "RunConfig",
    "Transformer",
    "TransformerConfig",
    "World",
    "bandit",
    "diagnostics",
    "generate",
    "load_checkpoint",
    "measure_by_sampling",
    "measure_exactly",
    "pocket_world",
    "ppo",
    "prepare",
    "reward_model",
    "rewards",
    "save_checkpoint",
    "sft",
    "train_models",
    "transformer",
    "views",
    "wide_world",
]

# The file that defines each exported name; the other names of __all__ are files.
_FILES = {
    "Comparisons": "reward_model",
    "LanguageConfig": "config",
    "RLHFConfig": "config",
    "RewardConfig": "config",
    "RewardModel": "reward_model",
    "RunConfig": "config",
    "Transformer": "transformer",
    "TransformerConfig": "config",
    "World": "world",
    "load_checkpoint": "checkpoints",
    "measure_by_sampling": "pipeline",
    "measure_exactly": "pipeline",
    "pocket_world": "world",
    "prepare": "pipeline",
    "save_checkpoint": "checkpoints",
    "train_models": "pipeline",
    "wide_world": "world",
}


def __getattr__(name: str) -> Any:
    """Import an exported name when it is first used: jax takes half a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _FILES:
        return import_module(f"{__name__}.{name}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)


def __dir__() -> list[str]:
    """Return the exported names."""
    return __all__
