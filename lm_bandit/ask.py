"""Asking a checkpoint: what a model in a file answers to a prompt, and how surely.

    log pi(y | x) = sum_t log pi(y_t | x, y_<t)

A file holds numbers for tokens; which words these are, its description says. So words
that are not the world's are refused: they would be read as others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int
from rich.table import Table

from lm_bandit import bandit, checkpoints, reward_model
from lm_bandit.generate import completion_log_prob
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from lm_bandit.world import END, World, named_world


class Answer(NamedTuple):
    """One completion of a prompt, and what is thought of it."""

    text: str
    count: int  # of the samples, how many say it
    log_prob: float  # log pi(y|x), of all its tokens
    gold: float | None  # of the raters; None where it was cut off or nobody was asked
    learned: float | None  # of the reward model, if there is one; None if cut off


def sampled_answers(
    policy: Transformer,
    scorer: RewardModel | None,
    world: World,
    prompt: Int[np.ndarray, "P"],
    count: int,
    temperature: float,
    seed: int,
) -> list[Answer]:
    """The different completions among `count` samples, the most frequent first.

    What raters want is known of the world's own prompts; others have no gold rating.
    """
    key, length = jax.random.key(seed), world.completion_length
    pulls = bandit.pull_all(
        policy, key, jnp.asarray(prompt)[None], count, length, temperature
    )
    written, counts = np.unique(
        np.asarray(pulls.completions[0]), axis=0, return_counts=True
    )
    prompts = jnp.broadcast_to(jnp.asarray(prompt), (len(written), len(prompt)))
    log_probs = completion_log_prob(policy, prompts, jnp.asarray(written), temperature)
    ended = (written == END).any(-1)
    gold = learned = [None] * len(written)
    if prompt.tolist() in world.prompts.tolist():
        which = world.prompts.tolist().index(prompt.tolist())
        gold = bandit.gold_scores(world, written)[which].tolist()
    if scorer is not None:
        learned = reward_model.score(scorer, prompts, jnp.asarray(written)).tolist()
    answers = [
        Answer(
            world.decode(y), int(n), float(log_prob), *(scores if is_whole else _CUT)
        )
        for y, n, log_prob, is_whole, *scores in zip(
            written, counts, log_probs, ended, gold, learned, strict=True
        )
    ]
    return sorted(answers, key=lambda answer: (-answer.count, -answer.log_prob))


def checkpoint_files(path: Path) -> tuple[Path, Path | None]:
    """The policy's file, of a run's folder or itself, and the reward model's beside."""
    file = path / "policy.safetensors" if path.is_dir() else path
    scorer = file.parent / "reward_model.safetensors"
    return file, scorer if scorer.is_file() else None


def load_for_world(
    path: Path, ratings: Path, kind: type
) -> tuple[Transformer | RewardModel, World]:
    """A model of this kind, and the world that it was made for."""
    model, description = checkpoints.load_checkpoint(path)
    if not isinstance(model, kind):
        got = type(model).__name__
        raise ValueError(f"{path}: expected a {kind.__name__}, got a {got}")
    try:
        world = named_world(description.get("world"), ratings)
        _require_words(description, world)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return model, world


def _require_words(description: Mapping[str, Any], world: World) -> None:
    """Refuse a checkpoint whose tokens are not the words of the world."""
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
    """The tokens of a prompt of known words, which leaves room for its completion."""
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
    """The answers, one a line."""
    shown = Table(title=f"{prompt} ...", title_justify="left", box=None)
    shown.add_column("completion")
    heads = ["times", "log-probability", "gold rating"]
    for head in heads + ["learned score"] * scored:
        shown.add_column(head, justify="right")
    for text, count, log_prob, *scores in answers:
        numbers = ("" if x is None else f"{x:.2f}" for x in scores[: 1 + scored])
        shown.add_row(text, f"{count}", f"{log_prob:.2f}", *numbers)
    return shown


_CUT = None, None
