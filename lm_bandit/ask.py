"""Ask a checkpoint: sample its answers to a prompt, with their log-probabilities.

    log pi(y | x) = sum_t log pi(y_t | x, y_<t)

A file holds numbers for tokens; its description says which words these are. A
checkpoint with other words than the world's is refused, because its tokens would be
read as other words.

Source: Radford et al. (2019), eq. 1, for log pi(y | x).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int
from rich.table import Table

from lm_bandit import bandit, reward_model
from lm_bandit.checkpoints import load_checkpoint
from lm_bandit.generate import completion_log_prob
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from lm_bandit.world import END, World, named_world
from mdp.interface.command_line import Terminal

Model = TypeVar("Model", Transformer, RewardModel)


class Answer(NamedTuple):
    """One completion of a prompt, and its scores."""

    text: str
    times: int  # how often it was sampled
    log_prob: float  # log pi(y|x), of all its tokens
    gold: float | None  # by the raters; None if cut off, or without raters
    learned: float | None  # by the reward model; None if cut off, or without a model


def show_answers(
    checkpoint: Path,
    prompt: str,
    count: int,
    temperature: float,
    seed: int,
    ratings: Path,
) -> None:
    """Load the models, sample, score and show."""
    policy_file, scorer_file = checkpoint_files(checkpoint)
    policy, world = load_for_world(policy_file, ratings, Transformer)
    scorer = None
    if scorer_file is not None:
        scorer, _ = load_for_world(scorer_file, ratings, RewardModel)
    tokens = encode_prompt(world, policy, prompt)
    answers = sampled_answers(policy, scorer, world, tokens, count, temperature, seed)
    Terminal().print(answers_table(prompt, answers, scorer is not None))


def sampled_answers(
    policy: Transformer,
    scorer: RewardModel | None,
    world: World,
    prompt: Int[np.ndarray, "P"],
    count: int,
    temperature: float,
    seed: int,
) -> list[Answer]:
    """Return the different completions among `count` samples, the most frequent first.

    The raters judge answers to the world's own prompts only; to others the gold rating
    is None.
    """
    key, length = jax.random.key(seed), world.completion_length
    prompts = jnp.asarray(prompt)[None]
    pulls = bandit.pull_all(policy, key, prompts, count, length, temperature)
    sampled = np.asarray(pulls.completions[0])
    texts, counts = np.unique(sampled, axis=0, return_counts=True)
    prompts = jnp.repeat(prompts, len(texts), axis=0)
    log_probs = completion_log_prob(policy, prompts, jnp.asarray(texts), temperature)
    ended = (texts == END).any(-1)
    gold: list[float | None] = [None] * len(texts)
    learned = list(gold)
    if prompt.tolist() in world.prompts.tolist():
        which = world.prompts.tolist().index(prompt.tolist())
        gold = bandit.gold_scores(world, texts)[which].tolist()
    if scorer is not None:
        learned = reward_model.score(scorer, prompts, jnp.asarray(texts)).tolist()
    answers = [
        Answer(
            text=world.decode(texts[i]),
            times=int(counts[i]),
            log_prob=float(log_probs[i]),
            gold=gold[i] if ended[i] else None,
            learned=learned[i] if ended[i] else None,
        )
        for i in range(len(texts))
    ]
    return sorted(answers, key=lambda answer: (-answer.times, -answer.log_prob))


def checkpoint_files(path: Path) -> tuple[Path, Path | None]:
    """Return the policy's file, and that of the reward model beside it if there is one.

    `path` is the folder of a run, or the policy's file itself.
    """
    policy = path / "policy.safetensors" if path.is_dir() else path
    scorer = policy.parent / "reward_model.safetensors"
    return policy, scorer if scorer.is_file() else None


def load_for_world(path: Path, ratings: Path, kind: type[Model]) -> tuple[Model, World]:
    """Return a model of this kind from a file, and the world that it was made for."""
    model, description = load_checkpoint(path)
    if not isinstance(model, kind):
        got = type(model).__name__
        raise ValueError(f"{path}: expected a {kind.__name__}, got a {got}")
    try:
        world = named_world(str(description.get("world")), ratings)
        _require_words(description, world)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return model, world


def _require_words(description: Mapping[str, Any], world: World) -> None:
    """Raise ValueError where the tokens of a checkpoint are not the world's words."""
    words, ours = description.get("vocabulary"), world.vocabulary
    if not isinstance(words, list):
        raise ValueError("expected a vocabulary in the description, got none")
    if len(words) != len(ours) or len(words) != description["vocab_size"]:
        raise ValueError(
            f"vocabulary must be the world's {len(ours)} words, got {len(words)} words "
            f"and a model of {description['vocab_size']}"
        )
    for token, (got, expected) in enumerate(zip(words, ours, strict=True)):
        if got != expected:
            raise ValueError(
                f"vocabulary must be the world's, with {expected!r} as token {token}, "
                f"got {got!r}"
            )


def encode_prompt(
    world: World, model: Transformer, prompt: str
) -> Int[np.ndarray, "P"]:
    """Return the tokens of a prompt; raise ValueError where it cannot be completed."""
    tokens = world.encode(prompt)
    context, room = model.wpe.shape[0], world.completion_length
    if len(tokens) == 0:
        raise ValueError("prompt must have at least one word, got none")
    if END in tokens:
        raise ValueError(f"prompt must not hold {world.vocabulary[END]}: {prompt!r}")
    if len(tokens) + room > context:
        raise ValueError(
            f"prompt must leave room for a completion of {room} tokens in the model's "
            f"context of {context}: at most {context - room} tokens, got {len(tokens)}"
        )
    return tokens


def answers_table(prompt: str, answers: list[Answer], scored: bool) -> Table:
    """Return a table of answers, one a line; `scored` adds the learned scores."""
    table = Table(title=f"{prompt} ...", title_justify="left", box=None)
    table.add_column("completion")
    heads = ["times", "log-probability", "gold rating"]
    for head in heads + ["learned score"] * scored:
        table.add_column(head, justify="right")
    for text, times, log_prob, *scores in answers:
        numbers = ("" if x is None else f"{x:.2f}" for x in scores[: 1 + scored])
        table.add_row(text, f"{times}", f"{log_prob:.2f}", *numbers)
    return table
