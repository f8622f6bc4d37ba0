"""A reward of your own: any Python function of two texts, as a table of its values.

    def reward(prompt: str, completion: str) -> float: ...

A reward model is learned, and a transformer. But PPO asks only for the number r(x, y)
of a completion that ended, and a small world has few of those. So a function is called
once for each (`oracle.trie.reward_table`), and compiled programs look the number up.
The table stands in the place of the reward model, in PPO and in the oracle alike.

    row of y  =  its node in the trie:   0, then  W i + w  for each word w after node i

Shapes: k prompts of P tokens, E completions that end, C tokens; words 1 .. W.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lm_bandit import reward_model
from lm_bandit.reward_model import RewardModel
from lm_bandit.world import END


class RewardTable(NamedTuple):
    """The reward of every completion that ends, in place of a reward model."""

    prompts: Int[Array, "k P"]
    scores: Float[Array, "k E"]  # in the order of `trie.ended_completions`
    num_words: Int[Array, ""]  # W, the tokens without `END`


Reward = RewardModel | RewardTable
RewardFunction = Callable[[str, str], float]  # of a prompt and a completion


def score_texts(
    reward: Reward, prompts: Int[Array, "*b P"], completions: Int[Array, "*b C"]
) -> Float[Array, "*b"]:
    """r(x, y) by a model or from a table; valid for completions that ended."""
    if isinstance(reward, RewardTable):
        return look_up(reward, prompts, completions)
    return reward_model.score(reward, prompts, completions)


def look_up(
    table: RewardTable, prompts: Int[Array, "*b P"], completions: Int[Array, "*b C"]
) -> Float[Array, "*b"]:
    """r(x, y) from a table; nan where y was cut off, or x is no prompt of the table."""
    is_word = (completions == END).cumsum(-1) == 0
    node = jnp.zeros(completions.shape[:-1], int)
    for t in range(completions.shape[-1]):
        longer = table.num_words * node + completions[..., t]
        node = jnp.where(is_word[..., t], longer, node)
    asked = (prompts[..., None, :] == table.prompts).all(-1)
    which = jnp.where(asked.any(-1), asked.argmax(-1), len(table.prompts))
    return table.scores.at[which, node].get(mode="fill", fill_value=jnp.nan)
