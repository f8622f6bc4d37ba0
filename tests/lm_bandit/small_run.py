"""`python -m lm_bandit` on a pocket world of four rated words, saved after each chunk.

    python -m tests.lm_bandit.small_run FLAGS

A program of its own, so that a test can kill it at any moment.
"""

import sys

from lm_bandit import __main__ as command_line
from lm_bandit import commands
from lm_bandit import world as text
from mdp.interface import keeping, stopping

FLAGS = (
    "--num-babble 256 --num-demonstrations 128 --num-comparisons 512 --ppo.pulls 4 "
    "--pretraining.num-updates 40 --sft.num-updates 20 --reward.num-updates 40 "
    "--ppo.num-updates 40 --model.num-layers 1 --model.d-model 16"
).split()


def few_words() -> text.World:
    """The pocket world with 4 rated words, 13 words in all."""
    world = text.pocket_world()
    size = len(world.vocabulary) - len(text.POCKET_WORDS) + 4
    return world._replace(
        vocabulary=world.vocabulary[:size], ratings=world.ratings[:size]
    )


if __name__ == "__main__":
    stopping.watch()
    commands.named_world = lambda name, ratings: few_words()
    keeping.SECONDS = 0.0
    raise SystemExit(command_line.main([*FLAGS, *sys.argv[1:]]))
