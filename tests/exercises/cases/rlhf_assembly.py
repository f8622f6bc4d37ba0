"""Inputs of the exercises that assemble the three steps of RLHF, smallest first.

Everything is tiny: a language model that is a table of bigrams, a transformer of one
block, three updates. A view drives the function as its training loop does.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lm_bandit import reward_model, sft
from lm_bandit.config import RewardConfig, RLHFConfig
from lm_bandit.ppo import ActorCritic, Fixed, State
from lm_bandit.reward_model import Comparisons, RewardModel
from lm_bandit.reward_table import RewardTable
from lm_bandit.sft import Descent
from tests.lm_bandit import inputs


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
        descent = Descent(*descent)
        losses.append(loss)
    return {
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
    """One with a baseline of the other completions; one with every part in use."""
    plain = {"view": "completion", "baseline": "leave_one_out", "temperature": 1.0}
    yield {"seed": seed} | plain | {"whiten": False, "kl_target": 0.0}, 1e-4
    whole = {"view": "token", "baseline": "value", "temperature": 1.5}
    yield {"seed": seed} | whole | {"whiten": True, "kl_target": 2.0}, 1e-4


def one_iteration(function, inputs_):
    """The policy, the optimizer, beta and the measurements after one iteration."""
    seed, view, baseline, temperature, whiten, kl_target = inputs_.values()
    config = RLHFConfig(
        num_updates=4,
        pulls=4,
        epochs=2,
        kl_weight=0.3,
        penalty=-2.0,
        step_size=0.05,
        warm_up=0.0,
        view=view,
        baseline=baseline,
        temperature=temperature,
        normalize_advantages=whiten,
        kl_target=kl_target or None,
    )
    policy, reference, trunk = (inputs.model(3 * seed + i) for i in range(3))
    rng = np.random.default_rng(seed)
    prompts = jnp.array([[1, 4], [4, 1]])
    # Of the 1 + 4 + 16 completions that end.
    scores = jnp.asarray(rng.normal(0.0, 2.0, (2, 21)), float)
    fixed = Fixed(prompts, reference, RewardTable(prompts, scores, jnp.array(4)))
    head = jnp.asarray(rng.normal(0.0, 1.0, 4), float)
    critic = RewardModel(trunk, head, jnp.array(0.5)) if baseline == "value" else None
    params, optimizer = ActorCritic(policy, critic), config.optimizer()
    # Beta has adapted before, and the optimizer has taken steps.
    used = jax.tree.map(lambda x: x + x.dtype.type(1), optimizer.init(params))
    state = State(params, used, jnp.array(0.4))
    key = jax.random.key(seed)
    state, history = function(state, key, fixed, 3, optimizer, config)
    return {
        "KL of the pulls": history.kl,
        "their score": history.score,
        "first ratio": history.improvement.first_ratio,
        "loss": history.improvement.loss,
        "beta of the next iteration": state.kl_weight,
        "head weights of the policy": state.params.policy.wte,
        "head of the critic": getattr(state.params.critic, "head", jnp.zeros(4)),
        "numbers of the optimizer": jnp.stack(
            [jnp.sum(x**2.0) for x in jax.tree.leaves(state.optimizer_state)]
        ),
    }
