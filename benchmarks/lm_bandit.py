"""Races and exams of the third floor: a language model, its training and its results.

Speed is compared on a model of d_model 128 and 4 layers with random weights, and
learning on the pocket world. All contestants of a race have the same weights.
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from benchmarks import lm_learning as learning
from benchmarks import lm_peers as peers
from benchmarks import torch_ppo, trl_peers
from benchmarks.exams import Candidate, Exam
from benchmarks.race import Contestant, Race
from lm_bandit import bandit, ppo, reward_model, sft, transformer
from lm_bandit.config import LanguageConfig, RewardConfig, TransformerConfig
from lm_bandit.ppo import RLHFConfig
from lm_bandit.reward_model import Comparisons
from lm_bandit.world import END

SIZE = TransformerConfig(num_layers=4, num_heads=4, d_model=128)
VOCABULARY = 64
BATCH = 64  # texts, prompts
TEXT = 32  # tokens
PROMPT = 8  # tokens
REWARD = RewardConfig(num_updates=8, batch_size=BATCH, step_size=peers.STEP_SIZE)
# Four completions of 16 prompts each: every minibatch of ours has one of each prompt.
ITERATIONS = 2
PPO = RLHFConfig(
    num_updates=ITERATIONS,
    pulls=4,
    epochs=4,
    minibatches=4,
    view="token",
    over_tokens="token_mean",
    baseline="value",
    normalize_advantages=True,
)


def tasks() -> tuple[Race | Exam, ...]:
    """Return the races, then the exam."""
    return (
        _fine_tuning(4),
        _fine_tuning(8),
        _reward_modelling("a prompt read once", reward_model.loss, 2.4),
        _reward_modelling("a prompt read twice", loss_of_whole_texts, 2.1),
        Race(
            "generation, 64 x (8 + 16), a token",
            Contestant("ours", our_generation, _call),
            (Contestant("Hugging Face", their_generation, _call),),
            bar=3.5,
            error=shortage,
            amount=lambda written: float(written.tokens),
        ),
        Race(
            "PPO with a critic, 64 x 16, an iteration",
            Contestant("ours", our_ppo, _call),
            (Contestant("TRL", their_ppo, _call),),
            bar=4.0,
            error=lambda iterations: abs(iterations - ITERATIONS),
            amount=float,
        ),
        Race(
            "PPO with a critic, against a loop by hand, an iteration",
            Contestant("ours", our_ppo, _call),
            (Contestant("torch, by hand", torch_ppo_by_hand, _call),),
            bar=2.5,
            error=lambda iterations: abs(iterations - ITERATIONS),
            amount=float,
        ),
        Race(
            "pocket world, 95% of the way to J*",
            Contestant("ours", learning.our_run, _call),
            (Contestant("TRL", learning.their_run, _call, spent=True),),
            bar=20.0,
            amount=learning.runs_to_share,
        ),
        Race(
            "pocket world, PPO",
            Contestant("ours", learning.our_run, _call),
            seconds=10.0,
        ),
        Exam(
            "pocket world, share of the way to J*",
            Candidate("ours", learning.shares),
            worst=0.995,
        ),
    )


@cache
def model(size: TransformerConfig = SIZE) -> transformer.Transformer:
    """Return a random model, by default that of the races."""
    return transformer.init(jax.random.key(0), VOCABULARY, TEXT, size)


def texts() -> np.ndarray:
    """Return random tokens without the end of text and without TRL's padding."""
    return np.random.default_rng(0).integers(1, VOCABULARY - 1, (4 * BATCH, TEXT))


def our_fine_tuning(num_updates: int, size: TransformerConfig = SIZE):
    """Return our compiled fine-tuning from the random model; it returns the losses."""
    config = LanguageConfig(num_updates, BATCH, peers.STEP_SIZE)
    train = jax.jit(partial(sft.train, config=config))
    data = sft.as_texts(texts())
    return lambda: np.asarray(train(jax.random.key(1), model(size), data)[1])


def their_fine_tuning(num_updates: int, compiled: bool, size: TransformerConfig = SIZE):
    """Return the peer's fine-tuning on the same batches, in the same order."""
    rows = _rows(num_updates, len(texts()))
    return peers.fine_tuning(model(size), texts(), rows, compiled)


@cache
def expected_losses(num_updates: int) -> Float[np.ndarray, "updates"]:
    """Return our losses of the same model on the same batches."""
    return our_fine_tuning(num_updates)()


def pairs() -> Comparisons:
    """Return comparisons of random completions that end with their last token."""
    prompts, sides = texts()[:, :PROMPT], texts()[:, PROMPT:]
    sides[:, -1] = END
    chosen, rejected = np.split(sides, 2)
    return Comparisons(prompts[: len(chosen)], chosen, rejected)


def loss_of_whole_texts(
    model: reward_model.RewardModel, batch: Comparisons
) -> tuple[Float[Array, ""], reward_model.RewardMetrics]:
    """Return the pairwise loss of a prompt that is read for each of its completions."""
    prompts = jnp.tile(batch.prompts, (2, 1))
    both = jnp.concatenate([batch.chosen, batch.rejected])
    chosen, rejected = jnp.split(reward_model.score(model, prompts, both), 2)
    value = reward_model.pairwise_loss(chosen, rejected)
    return value, reward_model.RewardMetrics(value, jnp.mean(chosen > rejected))


def our_reward_model(loss=reward_model.loss):
    """Return our compiled reward modelling, from a head of zeros; it returns losses."""
    train = jax.jit(partial(reward_model.train, config=REWARD, loss=loss))
    start = reward_model.init(model())
    return lambda: np.asarray(train(jax.random.key(1), start, pairs())[1].loss)


def their_reward_model():
    """Return the peer's reward modelling on the same batches, in the same order."""
    prompts, chosen, rejected = pairs()[:3]
    both = [np.concatenate([prompts, side], axis=1) for side in (chosen, rejected)]
    rows = _rows(REWARD.num_updates, len(prompts))
    return peers.reward_modelling(model(), *both, rows)


@cache
def expected_rewards() -> Float[np.ndarray, "updates"]:
    """Return our losses of the same model on the same pairs."""
    return our_reward_model()()


def our_generation(size: TransformerConfig = SIZE):
    """Return our compiled generation: one completion of every prompt."""
    pull = partial(bandit.pull_all, count=1, length=peers.NEW_TOKENS)
    prompts = jnp.asarray(texts()[:BATCH, :PROMPT])

    def generate() -> peers.Written:
        pulls = jax.block_until_ready(pull(model(size), jax.random.key(2), prompts))
        new = np.asarray(pulls.completions).reshape(BATCH, -1)
        return peers.Written(new, new.size)

    return generate


def their_generation(size: TransformerConfig = SIZE):
    """Return the peer's generation for the same prompts."""
    return peers.generation(model(size), texts()[:BATCH, :PROMPT])


def shortage(written: peers.Written) -> float:
    """Return 1 if the number or the length of the completions is wrong, else 0."""
    return float(written.completions.shape != (BATCH, peers.NEW_TOKENS))


def our_ppo(size: TransformerConfig = SIZE):
    """Return our compiled PPO, for `ITERATIONS` iterations."""
    prompts = jnp.asarray(texts()[: BATCH // PPO.pulls, :PROMPT])
    scores = trl_peers.random_reward_model(model(size))
    fixed = ppo.Fixed(prompts, model(size), scores)
    train = jax.jit(partial(ppo.train, length=peers.NEW_TOKENS, config=PPO))

    def run() -> int:
        _, history = jax.block_until_ready(train(jax.random.key(4), fixed))
        return len(history.kl)

    return run


def their_ppo(size: TransformerConfig = SIZE):
    """Return TRL's PPO with the same number of texts, epochs and minibatches."""
    dials = {
        "per_device_train_batch_size": BATCH,
        "total_episodes": ITERATIONS * BATCH,
        "num_ppo_epochs": PPO.epochs,
        "num_mini_batches": PPO.minibatches,
        "learning_rate": PPO.step_size,
        "kl_coef": PPO.kl_weight,
    }
    prompts = np.repeat(texts()[: BATCH // PPO.pulls, :PROMPT], PPO.pulls, axis=0)
    scores = trl_peers.random_reward_model(model(size))
    trainer = trl_peers.trainer(model(size), scores, prompts, peers.NEW_TOKENS, dials)

    def run() -> int:
        trainer.train()
        return trainer.state.global_step

    peers.take_fastest(run)
    return run


def torch_ppo_by_hand(size: TransformerConfig = SIZE):
    """Return a plain torch loop with the same texts, epochs and minibatches."""
    prompts = np.repeat(texts()[: BATCH // PPO.pulls, :PROMPT], PPO.pulls, axis=0)
    scores = trl_peers.random_reward_model(model(size))
    return torch_ppo.training(model(size), scores, prompts, peers.NEW_TOKENS, PPO)


def _fine_tuning(num_updates: int) -> Race:
    def error(losses) -> float:
        return float(np.abs(losses - expected_losses(num_updates)).max())

    return Race(
        f"SFT, {num_updates} updates a call, a token",
        Contestant("ours", partial(our_fine_tuning, num_updates), _call),
        (
            Contestant(
                "Hugging Face, torch.compile",
                partial(their_fine_tuning, num_updates, compiled=True),
                _call,
            ),
            Contestant(
                "Hugging Face, torch",
                partial(their_fine_tuning, num_updates, compiled=False),
                _call,
            ),
        ),
        bar=1.7,
        error=error,
        tolerance=1e-3,
        amount=lambda losses: float(len(losses) * BATCH * TEXT),
    )


def _reward_modelling(name: str, loss, bar: float) -> Race:
    return Race(
        f"reward model, 64 pairs x 32, {name}, a pair",
        Contestant("ours", partial(our_reward_model, loss), _call),
        (Contestant("Hugging Face", their_reward_model, _call),),
        bar=bar,
        error=lambda losses: float(np.abs(losses - expected_rewards()).max()),
        tolerance=1e-3,
        amount=lambda losses: float(len(losses) * BATCH),
    )


def _rows(num_updates: int, count: int):
    """Return the rows of our batches: a new key for each update."""
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(1)))(
        jnp.arange(num_updates)
    )
    return jax.vmap(lambda key: jax.random.randint(key, (BATCH,), 0, count))(keys)


def _call(run):
    return run()
