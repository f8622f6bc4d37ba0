"""Ask a checkpoint: sample its answers to a prompt, with their log-probabilities.

    log pi(y | x) = sum_t log pi(y_t | x, y_<t)

A file holds numbers for tokens, and its description says which texts these are: the
words of a world, or the tokenizer of a run on real text, which lies in the same folder.
A checkpoint with other words than the world's is refused, because its tokens would be
read as other words.

Source: Radford et al. (2019), eq. 1, for log pi(y | x).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int
from rich.console import Group

from lm_bandit import bandit, reward_model
from lm_bandit.checkpoints import load_checkpoint
from lm_bandit.generate import completion_log_prob
from lm_bandit.real_text.stages import CONFIG
from lm_bandit.real_text.tokens import TOKENIZER_FILE, TextPieces, load_tokenizer
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from lm_bandit.world import END, World, named_world
from mdp.checks import is_whole
from mdp.interface.command_line import Terminal
from mdp.interface.files import read_json
from mdp.interface.tables import explained_table

GOLD = "gold rating"
# Models that score answers, by the names of their files.
SCORERS = {"reward_model": "learned score", "judge": "judge's score"}
COLUMNS = {
    "completion": "",
    "times": "how often the model wrote it",
    "log-probability": "its natural logarithm: 0 is sure, -2.3 is one in ten",
}
SCORES = {
    GOLD: "what the raters think: the mean ratings (-4 to 4) of its words, added up, "
    "with the opposite sign where a complaint is asked for; only for the world's own "
    "prompts",
    "learned score": "what the reward model thinks, for which PPO was trained",
    "judge's score": "what a second reward model thinks, which PPO never saw",
}
Words = World | TextPieces


class Speaker(NamedTuple):
    """A saved model, the texts that its tokens stand for, and what scores its answers.

    `reward_models` have the titles of their columns.
    """

    policy: Transformer
    words: Words
    reward_models: dict[str, RewardModel]
    remark: str = ""  # which model this is, where one could expect another


class Answer(NamedTuple):
    """One completion of a prompt, and its scores."""

    text: str
    times: int  # how often it was sampled
    log_prob: float  # log pi(y|x), of all its tokens
    cut_off: bool  # by the length limit
    scores: dict[str, float | None]  # by column; None where there is no score


def show_answers(
    checkpoint: Path,
    prompt: str,
    count: int,
    temperature: float,
    seed: int,
    ratings: Path,
) -> None:
    """Load the models, sample, score and show."""
    speaker = load_speaker(checkpoint, ratings)
    tokens = encode_prompt(speaker, prompt)
    answers = sampled_answers(speaker, tokens, count, temperature, seed)
    console = Terminal()
    for part in answer_parts(speaker, prompt, answers):
        console.print(part)


def sampled_answers(
    speaker: Speaker,
    prompt: Int[np.ndarray, "P"],
    count: int,
    temperature: float,
    seed: int,
) -> list[Answer]:
    """Return the different completions among `count` samples, the most frequent first.

    The raters of a world judge answers to its own prompts only; to others the gold
    rating is None. What was cut off has no score at all.
    """
    policy, words, _, _ = speaker
    key, length = jax.random.key(seed), words.completion_length
    prompts = jnp.asarray(prompt)[None]
    pulls = bandit.pull_all(policy, key, prompts, count, length, temperature)
    sampled = np.asarray(pulls.completions[0])
    texts, counts = np.unique(sampled, axis=0, return_counts=True)
    prompts = jnp.repeat(prompts, len(texts), axis=0)
    log_probs = completion_log_prob(policy, prompts, jnp.asarray(texts), temperature)
    cut_off = (texts != END).all(-1)
    columns: dict[str, list[float | None]] = {}
    if isinstance(words, World):
        columns[GOLD] = [None] * len(texts)
        if prompt.tolist() in words.prompts.tolist():
            which = words.prompts.tolist().index(prompt.tolist())
            columns[GOLD] = bandit.gold_scores(words, texts)[which].tolist()
    for title, model in speaker.reward_models.items():
        scores = reward_model.score(model, prompts, jnp.asarray(texts))
        columns[title] = scores.tolist()
    answers = [
        Answer(
            text=words.decode(texts[i]),
            times=int(counts[i]),
            log_prob=float(log_probs[i]),
            cut_off=bool(cut_off[i]),
            scores={
                title: None if cut_off[i] else numbers[i]
                for title, numbers in columns.items()
            },
        )
        for i in range(len(texts))
    ]
    return sorted(answers, key=lambda answer: (-answer.times, -answer.log_prob))


def load_speaker(path: Path, ratings: Path) -> Speaker:
    """Return the model in a file, or the tuned one of a run's folder, with its words.

    The reward models beside it come along. Without a policy, as where nothing said
    which text is better, it is the SFT model.
    """
    file, remark = path, ""
    if path.is_dir():
        file, sft = path / "policy.safetensors", path / "reference.safetensors"
        if sft.is_file() and not file.exists():
            file, remark = sft, f"There is no policy in {path}/: its SFT model answers."
    policy, words = _load_with_words(file, ratings, Transformer)
    scorers = {}
    for name, title in SCORERS.items():
        beside = file.parent / f"{name}.safetensors"
        if beside.is_file():
            scorers[title], _ = _load_with_words(beside, ratings, RewardModel)
    return Speaker(policy, words, scorers, remark)


def _load_with_words(path: Path, ratings: Path, kind: type) -> tuple[Any, Words]:
    """Return a model of this kind from a file, and the texts of its tokens."""
    model, description = load_checkpoint(path)
    if not isinstance(model, kind):
        got = type(model).__name__
        raise ValueError(f"{path}: expected a {kind.__name__}, got a {got}")
    if description.get("tokenizer") == TOKENIZER_FILE:
        return model, _pieces(path.parent, description)
    try:
        if "world" not in description:
            raise ValueError(
                "expected a model that this program trained, got a description with "
                "neither a world nor a tokenizer"
            )
        world = named_world(str(description["world"]), ratings)
        _require_words(description, world)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return model, world


def _pieces(folder: Path, description: Mapping[str, Any]) -> TextPieces:
    """Return the tokens of a run on real text, with its lengths."""
    tokenizer, settings = load_tokenizer(folder / TOKENIZER_FILE), folder / CONFIG
    if (got := tokenizer.get_vocab_size()) != description["vocab_size"]:
        raise ValueError(
            f"{folder / TOKENIZER_FILE}: expected the model's "
            f"{description['vocab_size']} tokens, got {got}"
        )
    config = read_json(settings)
    names = ("prompt_length", "completion_length")
    lengths: list[Any] = [config.get(name) for name in names]
    context = description["n_positions"]
    if not all(is_whole(x) and x > 0 for x in lengths) or sum(lengths) > context:
        raise ValueError(
            f"{settings}: prompt_length and completion_length must be whole numbers "
            f"above 0, and fit into the model's context of {context}, got {lengths}"
        )
    return TextPieces(tokenizer, *lengths)


def _require_words(description: Mapping[str, Any], world: World) -> None:
    """Raise ValueError where the tokens of a checkpoint are not the world's words."""
    words, ours = description.get("vocabulary"), world.vocabulary
    if not isinstance(words, list):
        raise ValueError("expected a vocabulary in the description, got none")
    if len(words) != len(ours) or len(words) != description["vocab_size"]:
        raise ValueError(
            f"vocabulary must be the world's {len(ours)} words, got {len(words)} words "
            f"and a model of {description['vocab_size']}: try the run's own --ratings"
        )
    for token, (got, expected) in enumerate(zip(words, ours, strict=True)):
        if got != expected:
            raise ValueError(
                f"vocabulary must be the world's, with {expected!r} as token {token}, "
                f"got {got!r}: try the run's own --ratings"
            )


def encode_prompt(speaker: Speaker, prompt: str) -> Int[np.ndarray, "P"]:
    """Return the tokens of a prompt; raise ValueError where it cannot be completed.

    A run on real text keeps the last tokens of a long prompt, see `is_cut`.
    """
    words = speaker.words
    if not prompt.split():
        raise ValueError("prompt must have at least one word, got none")
    tokens = words.encode(prompt)
    if isinstance(words, TextPieces):
        return tokens
    context, room = speaker.policy.wpe.shape[0], words.completion_length
    if END in tokens:
        raise ValueError(f"prompt must not hold {words.vocabulary[END]}: {prompt!r}")
    if len(tokens) + room > context:
        raise ValueError(
            f"prompt must leave room for a completion of {room} tokens in the model's "
            f"context of {context}: at most {context - room} tokens, got {len(tokens)}"
        )
    return tokens


def answer_parts(
    speaker: Speaker, prompt: str, answers: list[Answer]
) -> Iterator[str | Group]:
    """Yield a table of answers, one a line, and a line about all that was cut."""
    words = speaker.words
    read = words.read_part(prompt) if isinstance(words, TextPieces) else prompt
    if speaker.remark:
        yield speaker.remark
    columns = COLUMNS | {score: SCORES[score] for score in answers[0].scores}
    rows = []
    for answer in answers:
        given = answer.scores.values()
        numbers = ("" if x is None else f"{x:.2f}" for x in given)
        rows.append(
            (answer.text, f"{answer.times}", f"{answer.log_prob:.2f}", *numbers)
        )
    yield explained_table(read, columns, rows)
    if isinstance(words, TextPieces) and read != prompt:
        yield (
            f"The prompt was cut: the model reads only its last {words.prompt_length} "
            "tokens."
        )
    if any(answer.cut_off for answer in answers):
        yield (
            f'"..." marks a completion that did not end within '
            f"{words.completion_length} tokens and was cut; it gets no score."
        )
