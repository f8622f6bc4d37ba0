"""Races and exams of the third floor: a language model, its training and its results.

Speed is compared on a model of d_model 128 and 4 layers with random weights, and
learning on the pocket world. All contestants of a race have the same weights.
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from benchmarks import lm_learning as learning
from benchmarks import lm_peers as peers
from benchmarks import trl_peers
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
FINE_TUNING = LanguageConfig(num_updates=8, batch_size=BATCH, step_size=peers.STEP_SIZE)
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
        _fine_tuning("SFT, a token: torch.compile", 1.25, compiled=True),
        _fine_tuning("SFT, a token: torch", 1.4, compiled=False),
        Race(
            "reward model, 64 pairs x 32, a pair",
            Contestant("ours", our_reward_model, _call),
            (Contestant("Hugging Face", their_reward_model, _call),),
            bar=1.4,
            error=lambda losses: float(np.abs(losses - expected_rewards()).max()),
            tolerance=1e-3,
            amount=lambda losses: float(len(losses) * BATCH),
        ),
        Race(
            "generation, 64 x (8 + 16), a token",
            Contestant("ours", our_generation, _call),
            (Contestant("Hugging Face", their_generation, _call),),
            bar=2.0,
            error=shortage,
            amount=lambda written: float(written.tokens),
        ),
        Race(
            "PPO with a critic, 64 x 16, an iteration",
            Contestant("ours", our_ppo, _call),
            (Contestant("TRL", their_ppo, _call),),
            bar=3.3,
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
            worst=0.99,
        ),
    )


@cache
def model(size: TransformerConfig = SIZE) -> transformer.Transformer:
    """Return a random model, by default that of the races."""
    return transformer.init(jax.random.key(0), VOCABULARY, TEXT, size)


def texts() -> np.ndarray:
    """Return random tokens without the end of text and without TRL's padding."""
    return np.random.default_rng(0).integers(1, VOCABULARY - 1, (4 * BATCH, TEXT))


def our_fine_tuning(
    size: TransformerConfig = SIZE, config: LanguageConfig = FINE_TUNING
):
    """Return our compiled fine-tuning from the random model; it returns the losses."""
    train = jax.jit(partial(sft.train, config=config))
    data = sft.as_texts(texts())
    return lambda: np.asarray(train(jax.random.key(1), model(size), data)[1])


def their_fine_tuning(compiled: bool, size: TransformerConfig = SIZE):
    """Return the peer's fine-tuning on the same batches, in the same order."""
    return peers.fine_tuning(model(size), texts(), _rows(len(texts())), compiled)


@cache
def expected_losses() -> Float[np.ndarray, "updates"]:
    """Return our losses of the same model on the same batches."""
    return our_fine_tuning()()


def pairs() -> Comparisons:
    """Return comparisons of random completions that end with their last token."""
    prompts, sides = texts()[:, :PROMPT], texts()[:, PROMPT:]
    sides[:, -1] = END
    chosen, rejected = np.split(sides, 2)
    return Comparisons(prompts[: len(chosen)], chosen, rejected)


def our_reward_model():
    """Return our compiled reward modelling, from a head of zeros; it returns losses."""
    train = jax.jit(partial(reward_model.train, config=REWARD))
    start = reward_model.init(model())
    return lambda: np.asarray(train(jax.random.key(1), start, pairs())[1].loss)


def their_reward_model():
    """Return the peer's reward modelling on the same batches, in the same order."""
    prompts, chosen, rejected = pairs()[:3]
    both = [np.concatenate([prompts, side], axis=1) for side in (chosen, rejected)]
    return peers.reward_modelling(model(), *both, _rows(len(prompts)))


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


def _fine_tuning(name: str, bar: float, compiled: bool) -> Race:
    rival = "torch.compile" if compiled else "torch"
    return Race(
        name,
        Contestant("ours", our_fine_tuning, _call),
        (
            Contestant(
                f"Hugging Face, {rival}", partial(their_fine_tuning, compiled), _call
            ),
        ),
        bar=bar,
        error=lambda losses: float(np.abs(losses - expected_losses()).max()),
        tolerance=1e-3,
        amount=lambda losses: float(len(losses) * BATCH * TEXT),
    )


def _rows(count: int):
    """Return the rows of our batches: a new key for each update."""
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(1)))(
        jnp.arange(FINE_TUNING.num_updates)
    )
    return jax.vmap(lambda key: jax.random.randint(key, (BATCH,), 0, count))(keys)


def _call(run):
    return run()
