"""Inputs of the exercises that assemble the three steps of RLHF, smallest first.

Everything is tiny: a language model that is a table of bigrams, a transformer of one
block, three updates. A view drives the function as its training loop does.
"""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lm_bandit import reward_model, sft
from lm_bandit.config import RewardConfig, RLHFConfig
from lm_bandit.ppo import Fixed
from lm_bandit.reward_model import Comparisons
from lm_bandit.reward_table import RewardTable
from lm_bandit.sft import Descent
from tests.lm_bandit import assembly, inputs


def texts_to_imitate(seed):
    """Prompts of two tokens, which weigh 0; completions of 2 or 3, and padding."""
    rng = np.random.default_rng(seed)
    prompts = np.array([[1, 4], [4, 1]])
    completions = np.array([[2, 0, 3], [3, 2, 0]])
    rows = rng.integers(1, 4, (7, 3))
    rows[:, 2], rows[:4, 1] = 0, 0
    more = np.array([[1, 4], [4, 1]])[rng.integers(2, size=7)], rows
    for asked, written in ((prompts, completions), more):
        texts = sft.as_demonstrations(asked, written)
        yield {"texts": texts, "batch_size": 2, "step_size": 0.1, "seed": seed}


def three_steps_of_sft(function, inputs_):
    """The bigrams after three steps with three keys, and the loss before each."""
    texts, batch_size, step_size, seed = inputs_.values()
    optimizer, model = optax.adam(step_size), jnp.zeros((5, 5))
    descent, losses = Descent(model, optimizer.init(model)), []
    for i in range(3):
        key = jax.random.fold_in(jax.random.key(seed), i)
        descent, loss = function(
            descent, key, texts, inputs.bigram_loss, optimizer, batch_size
        )
        if not isinstance(descent, Descent):
            return {"kind of the first result": type(descent).__name__}
        losses.append(loss)
    return {
        "kind of the first result": "Descent",
        "losses before the three steps": np.array(losses, np.float32),
        "model after the three steps": descent.model,
    }


def answered_pairs(seed):
    """Forty pairs that end; which side is preferred is random, with more 2 than 3."""
    for number in range(2):
        rng = np.random.default_rng((seed, number))
        sides = rng.integers(1, 5, (2, 40, 3))
        sides[:, :, 2] = 0
        sides[:, :20, 1] = 0
        prompts = np.array([[1, 4], [4, 1]])[rng.integers(2, size=40)]
        nobody = np.zeros(40, bool), np.zeros(40, int)
        pairs = Comparisons(prompts, *sides, *nobody)
        config = RewardConfig(num_updates=3, batch_size=8, step_size=0.1)
        reference = inputs.model(seed)
        case = {"reference": reference, "pairs": pairs, "config": config}
        yield {"key": jax.random.key(seed)} | case, 1e-3


def scores_and_accuracy(function, inputs_):
    """The scores of all pairs by the model, and the accuracy beside it."""
    model, accuracy = function(*inputs_.values())
    pairs = inputs_["pairs"]
    chosen, rejected = reward_model.score_pairs(model, pairs)
    return {
        "scores of the first three pairs": jnp.stack([chosen, rejected])[:, :3],
        "all scores": jnp.stack([chosen, rejected]),
        "accuracy": np.array([accuracy], np.float32),
    }


def iterations(seed):
    """One with every part in use; to trace another one would take seconds."""
    case = {"view": "token", "baseline": "value", "temperature": 1.5}
    case["pretraining_weight"] = 0.5
    yield case | {"normalize_advantages": True, "kl_target": 2.0}, 1e-4


def one_iteration(function, inputs_):
    """The measurements, the policy, the critic and the optimizer after an iteration."""
    config = RLHFConfig(
        num_updates=4, pulls=4, epochs=2, minibatches=1, kl_weight=0.3, penalty=-2.0
    )
    config = replace(config, warm_up=0.0, step_size=0.05, **inputs_)
    start = assembly.iteration(0, config, _optimizer(config))
    state, history = assembly.run(start, function)
    params, optimizer_state, kl_weight = state
    numbers = jax.tree.leaves(optimizer_state)
    return {
        "KL of the pulls": history.kl,
        "score of the pulls": history.score,
        "objective of the pulls": history.objective,
        "ratio before the first gradient step": history.improvement.first_ratio,
        "mean loss": history.improvement.loss,
        "explained variance of the targets": history.improvement.explained_variance,
        "beta of the next iteration": kl_weight,
        "output layer of the policy": params.policy.wte,
        "head of the critic": params.critic.head,
        "number of the optimizer's steps": max(int(x) for x in numbers if not x.ndim),
        "sum of squares of the optimizer's numbers": np.float32(
            sum(np.sum(np.square(x)) for x in numbers)
        ),
    }


@functools.cache
def _optimizer(config):
    """The optimizer of a config; its update is one program."""
    return assembly.compiled(config.optimizer())


def before_training(seed):
    """A reward model whose trunk is not the reference's; and a table of rewards."""
    reference, trunk = inputs.model(2 * seed), inputs.model(2 * seed + 1)
    rng = np.random.default_rng(seed)
    head, bias = inputs.array(rng.normal(size=4)), inputs.array(rng.normal())
    prompts = jnp.array([[1, 4], [4, 1]])
    scorer = reward_model.RewardModel(trunk, head, bias)
    table = RewardTable(prompts, jnp.zeros((2, 21)), jnp.array(4))
    for reward in (scorer, table):
        yield {"fixed": Fixed(prompts, reference, reward, ())}


def numbers_of_the_critic(function, inputs_):
    """All numbers of the first critic, or the kind of what stands in its place."""
    critic = function(*inputs_.values())
    if not isinstance(critic, reward_model.RewardModel):
        return {"kind of critic": type(critic).__name__}
    return {
        "kind of critic": "RewardModel",
        "head of the critic": critic.head,
        "bias of the critic": critic.bias,
        "embeddings of the critic's trunk": critic.trunk.wte,
    }
