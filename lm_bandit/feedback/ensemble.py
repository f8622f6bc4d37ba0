"""Ensembles: several reward models, which disagree where none of them is sure.

    member m        trained on a bootstrap sample of the answers, from its own seed
    their mean      less noise than any member
    their spread    the uncertainty that more answers would remove, and not the
                    disagreement between people
    mean - c std    a cautious reward: a policy cannot raise it by going where the
                    members only guess

Comparisons fix a reward up to a constant per prompt. So members are compared after the
mean score of each prompt has been subtracted.

Source: Efron (1979) for the bootstrap; Christiano et al. (2017), section 2.2.3; Coste
et al. (2023), "Reward model ensembles help mitigate overoptimization", section 3.
Shapes: M members, n answers, D rated words, k prompts.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from lm_bandit import reward_model
from lm_bandit.config import RewardConfig
from lm_bandit.feedback import linear_reward


def train(
    keys: Key[Array, "M"],
    model: PyTree,
    answers: PyTree,
    config: RewardConfig,
    loss: Callable = reward_model.loss,
) -> PyTree:
    """Return one model per key, stacked; each learns from its own bootstrap sample.

    Args:
        keys: of the members.
        model: where every member starts.
        answers: arrays with n rows.
        config: of the training.
        loss: of a model on a batch, see `reward_model.train`.

    Source: Efron (1979); Christiano et al. (2017), section 2.2.3.
    """
    answers = jax.tree.map(jnp.asarray, answers)
    n = len(answers.prompts)

    def member(key: Key[Array, ""]) -> PyTree:
        draw_key, train_key = jax.random.split(key)
        rows = jax.random.randint(draw_key, (n,), 0, n)
        drawn = jax.tree.map(lambda x: x[rows], answers)
        return reward_model.train(train_key, model, drawn, config, loss=loss)[0]

    return jax.vmap(member)(keys)


def bootstrap_weights(
    rng: np.random.Generator, differences: Float[np.ndarray, "n D"], members: int
) -> Float[np.ndarray, "M D"]:
    """Return the weights of linear rewards, each from its own bootstrap sample.

    The rows of `differences` are phi(x, chosen) - phi(x, rejected). An answer counts as
    often as it was drawn. Source: Efron (1979).
    """
    n = len(differences)
    draws = rng.multinomial(n, np.full(n, 1.0 / n), size=members).astype(float)
    fits = [linear_reward.fit_weights(differences, counts=counts) for counts in draws]
    return np.stack([fit.mean for fit in fits])


def cautious_reward(
    scores: Float[Array, "M k n"], caution: float
) -> Float[Array, "k n"]:
    """Return mean - caution * deviation over the members of the centred scores.

    Each member's mean over the n completions of a prompt is subtracted first.

    Source: Coste et al. (2023), section 3, eq. 4, there with the variance.
    """
    centred = scores - scores.mean(-1, keepdims=True)
    return centred.mean(0) - caution * centred.std(0)
