"""Several reward models instead of one: where they disagree, none of them knows.

    member m        trained on the answers resampled (the bootstrap), from its own seed
    their mean      less noise than any of them
    their spread    what more answers would take away; not how much people disagree
    mean - c std    a cautious reward, which a policy cannot raise by going where the
                    members only guess

Members agree at best up to a constant per prompt, which comparisons do not know: it is
taken away from each before they are compared.

Source: Efron (1979) for the bootstrap; Christiano et al. (2017), section 2.2.3; Coste
et al. (2023), "Reward model ensembles help mitigate overoptimization", section 3.
Shapes: M members, k prompts, n completions of each.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from lm_bandit import reward_model
from lm_bandit.feedback import linear_reward
from lm_bandit.reward_model import RewardConfig


def train(
    keys: Key[Array, "M"],
    model: PyTree,
    answers: PyTree,
    config: RewardConfig,
    loss: Callable = reward_model.loss,
) -> PyTree:
    """A model of each key, stacked; each sees the answers that a draw of n gave it."""
    answers = jax.tree.map(jnp.asarray, answers)
    n = len(answers.prompts)

    def member(key):
        draw_key, train_key = jax.random.split(key)
        rows = jax.random.randint(draw_key, (n,), 0, n)
        drawn = jax.tree.map(lambda x: x[rows], answers)
        return reward_model.train(train_key, model, drawn, config, loss=loss)[0]

    return jax.vmap(member)(keys)


def bootstrap_weights(
    rng: np.random.Generator, differences: Float[np.ndarray, "n D"], members: int
) -> Float[np.ndarray, "M D"]:
    """The same of a linear reward, or of heads on one frozen trunk: M times the worths.

    `differences` are phi(x, chosen) - phi(x, rejected); an answer counts as often as it
    was drawn.
    """
    n = len(differences)
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=members)
    return np.stack(
        [
            linear_reward.fit_weights(differences, weights=times.astype(float)).mean
            for times in counts
        ]
    )


def cautious_reward(
    scores: Float[Array, "M k n"], caution: float
) -> Float[Array, "k n"]:
    """Mean - c std over the members, of scores less their mean over a prompt's n."""
    centred = scores - scores.mean(-1, keepdims=True)
    return centred.mean(0) - caution * centred.std(0)
