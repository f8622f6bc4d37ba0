"""A corpus and preferences of one's own.

    python -m lm_bandit --corpus FILE.txt --preferences FILE.jsonl

The corpus is UTF-8, one text a line; empty lines are passed over. The preferences are
JSON Lines as `records.py` has them, comparisons or corrections, of any prompts. Where
they name annotators, these are halved; where not, or but one, the answers are. Without
preferences there is nothing to tune towards, and a run ends with SFT.
"""

import hashlib
from collections import Counter
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from lm_bandit import generate
from lm_bandit.feedback import record_files
from lm_bandit.feedback.kinds import Answers, Corrections
from lm_bandit.real_text import layout, tokenizer
from lm_bandit.real_text.config import RealTextConfig
from lm_bandit.real_text.material import Material, Sentences
from lm_bandit.reward_model import Comparisons

LEAST = 100  # texts, or answers: with fewer nothing is left to hold out


def read_corpus(path: Path) -> list[str]:
    """The texts of a file; raises ValueError, naming file and line."""
    texts = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    text = " ".join(line.decode("utf-8").split())
                except UnicodeDecodeError as error:
                    raise ValueError(
                        f"{path}, line {number}: expected UTF-8, got byte "
                        f"0x{line[error.start]:02x} at column {error.start + 1}"
                    ) from None
                if text:
                    texts.append(text)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    if len(texts) < LEAST:
        raise ValueError(
            f"{path}: expected at least {LEAST} texts, one a line, got {len(texts)}"
        )
    return texts


def with_preferences(
    material: Material,
    path: Path,
    config: RealTextConfig,
    skipped: Counter | None = None,
) -> Material:
    """The material of a corpus, and what people prefer: two halves, and held out."""
    encode = partial(tokenizer.encode, material.tokenizer)
    lengths = config.prompt_length, config.read_length
    found = record_files.load_answers(path, *layout.encoders(encode, *lengths), skipped)
    answers = _comparisons(found, path)
    rng = np.random.default_rng(config.seed)
    columns = map(np.ndarray.tolist, answers[:3])
    lines = [str(line) for line in zip(*columns, strict=True)]
    kept, held_out = layout.split(rng, lines, config.held_out)
    one, other = _halves(rng, answers, kept)
    short = answers.chosen[kept, : config.completion_length]
    ended = np.asarray(generate.has_ended(jnp.asarray(short)))
    for name, rows in {
        "answers of each half of the annotators": min(one, other, key=len),
        "held-out answers": held_out,
        f"chosen completions of less than {config.completion_length} tokens": kept[
            ended
        ],
    }.items():
        if not len(rows):
            raise ValueError(f"{path}: expected {name}, got none")
    prompts = _distinct(answers.prompts[kept])[: config.num_prompts]
    asked = set(map(tuple, prompts.tolist()))
    others = _distinct(answers.prompts[held_out])
    new = [tuple(prompt) not in asked for prompt in others.tolist()]
    return material._replace(
        demonstrations=Sentences(answers.prompts[kept][ended], short[ended]),
        prompts=prompts,
        new_prompts=others[new][: config.num_prompts],
        answers=(_rows(answers, one), _rows(answers, other)),
        questions=_rows(answers, held_out),
    )


def fingerprint(path: Path) -> str:
    """The SHA-256 of a file: whether it is the one of the last time."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None


def _comparisons(answers: Answers, path: Path) -> Comparisons:
    """Comparisons as they are, ties left out; an edit is preferred to the original."""
    match answers:
        case Comparisons(tied=tied):
            kept = _rows(answers, np.flatnonzero(~_told(tied, answers)))
            found = kept._replace(tied=None)
        case Corrections(prompts, originals, edited, annotators):
            found = Comparisons(prompts, edited, originals, None, annotators)
        case _:
            kind = type(answers).__name__.lower()
            raise ValueError(
                f"{path}: expected comparisons (chosen, rejected) or corrections "
                f"(original, edited), got {kind}"
            )
    # Both may begin with the same tokens, and be cut off before they differ.
    different = (found.chosen != found.rejected).any(1)
    found = _rows(found, np.flatnonzero(different))
    if len(found.prompts) < LEAST:
        raise ValueError(
            f"{path}: expected at least {LEAST} answers that prefer one of two "
            f"completions, which differ, got {len(found.prompts)}"
        )
    return found


def _told(tied, answers) -> Bool[np.ndarray, "n"]:
    return np.zeros(len(answers.prompts), bool) if tied is None else tied


def _halves(rng, answers, kept):
    """Rows of one half of the annotators, and of the other."""
    people = () if answers.annotators is None else np.unique(answers.annotators[kept])
    if len(people) < 2:
        order = rng.permutation(kept)
        return order[::2], order[1::2]
    people = rng.permutation(people)
    first = np.isin(answers.annotators[kept], people[::2])
    return kept[first], kept[~first]


def _distinct(prompts):
    return np.array([*dict.fromkeys(map(tuple, prompts.tolist()))], np.int32)


def _rows(answers, which):
    return jax.tree.map(lambda x: x[which], answers)
