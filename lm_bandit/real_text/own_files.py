"""A corpus and preferences of your own.

    python -m lm_bandit --corpus FILE.txt --preferences FILE.jsonl

The corpus is UTF-8 with one text a line; empty lines are skipped. The preferences are
JSON Lines (see `feedback/records.py`), comparisons or corrections, of any prompts. If
they name two annotators or more, the annotators are split into two halves; otherwise
the answers are. Without preferences there is nothing to tune towards, and a run ends
with SFT.
"""

from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from lm_bandit.feedback import record_files
from lm_bandit.feedback.kinds import Corrections
from lm_bandit.generate import has_ended
from lm_bandit.real_text import tokens
from lm_bandit.real_text.config import RealTextConfig
from lm_bandit.real_text.material import Material, Sentences, distinct_prompts
from lm_bandit.reward_model import Comparisons
from mdp.interface.files import read_lines

MINIMUM = 100  # texts, or answers: with fewer nothing is left to hold out

Rows = Int[np.ndarray, "_"]  # numbers of answers


def read_corpus(path: Path) -> list[str]:
    """Return the texts of a file; raises ValueError, which names file and line."""
    lines = (" ".join(line.split()) for _, line in read_lines(path))
    texts = [text for text in lines if text]
    if len(texts) < MINIMUM:
        raise ValueError(
            f"{path}: expected at least {MINIMUM} texts, one a line, got {len(texts)}"
        )
    return texts


def with_preferences(
    material: Material,
    path: Path,
    config: RealTextConfig,
    skipped: Counter | None = None,
) -> Material:
    """Return the material of a corpus with preferences: two halves, and held out.

    Args:
        material: of the corpus.
        path: the file of preferences.
        config: the sizes, and the seed of the split.
        skipped: if given, bad lines are skipped and counted here by reason.
    """
    answers = _comparisons(material, path, config, skipped)
    rng = np.random.default_rng(config.seed)
    columns = (answers.prompts, answers.chosen, answers.rejected)
    lines = [str(line) for line in zip(*(x.tolist() for x in columns), strict=True)]
    kept, held_out = tokens.split_held_out(rng, lines, config.held_out)
    one, other = _halves(rng, answers, kept)
    short = answers.chosen[kept, : config.completion_length]
    ended = np.asarray(has_ended(jnp.asarray(short)))
    few = f"chosen completions of less than {config.completion_length} tokens"
    for name, rows in (
        ("answers of each half of the annotators", min(one, other, key=len)),
        ("held-out answers", held_out),
        (few, kept[ended]),
    ):
        if not len(rows):
            raise ValueError(f"{path}: expected {name}, got none")
    prompts = distinct_prompts(answers.prompts[kept])[: config.num_prompts]
    learned = set(map(tuple, prompts.tolist()))
    others = distinct_prompts(answers.prompts[held_out])
    new = [tuple(prompt) not in learned for prompt in others.tolist()]
    return material._replace(
        demonstrations=Sentences(answers.prompts[kept][ended], short[ended]),
        prompts=prompts,
        new_prompts=others[new][: config.num_prompts],
        answers=(_take(answers, one), _take(answers, other)),
        questions=_take(answers, held_out),
    )


def _comparisons(
    material: Material, path: Path, config: RealTextConfig, skipped: Counter | None
) -> Comparisons:
    """Return a file's answers as comparisons: ties left out, edits preferred."""

    def encode(text: str) -> tokens.Tokens:
        return next(tokens.encode_texts(material.tokenizer, [text]))

    def prompt(text: str) -> tokens.Tokens:
        return tokens.prompt_row(encode(text), config.prompt_length)

    def completion(text: str) -> tokens.Tokens:
        return tokens.completion_row(encode(text), config.read_length)

    match record_files.load_answers(path, prompt, completion, skipped):
        case Comparisons(tied=tied) as found:
            if tied is not None:
                found = _take(found, np.flatnonzero(~tied))._replace(tied=None)
        case Corrections(prompts, originals, edited, annotators):
            found = Comparisons(prompts, edited, originals, None, annotators)
        case answers:
            kind = type(answers).__name__.lower()
            raise ValueError(
                f"{path}: expected comparisons (chosen, rejected) or corrections "
                f"(original, edited), got {kind}"
            )
    # Both may begin with the same tokens, and be cut off before they differ.
    differ = (found.chosen != found.rejected).any(1)
    found = _take(found, np.flatnonzero(differ))
    if len(found.prompts) < MINIMUM:
        raise ValueError(
            f"{path}: expected at least {MINIMUM} answers that prefer one of two "
            f"completions, which differ, got {len(found.prompts)}"
        )
    return found


def _halves(
    rng: np.random.Generator, answers: Comparisons, kept: Rows
) -> tuple[Rows, Rows]:
    """Split the kept rows by annotators, or at random if fewer than two are named."""
    who = answers.annotators
    people = () if who is None else np.unique(who[kept])
    if who is None or len(people) < 2:
        order = rng.permutation(kept)
        return order[::2], order[1::2]
    first = np.isin(who[kept], rng.permutation(people)[::2])
    return kept[first], kept[~first]


def _take(answers: Comparisons, rows: Rows) -> Comparisons:
    """Return some rows of the answers."""
    return jax.tree.map(lambda x: x[rows], answers)
