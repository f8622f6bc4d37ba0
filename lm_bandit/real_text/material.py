"""What a run learns from: texts, beginnings to complete, and what people said.

Two people never share a table: of each text one half of the raters teach the reward
model that PPO climbs, and the other half teach the *judge*, by which PPO is measured.
Who climbs a reward climbs its errors too; a judge of other people has other errors.

What is held out is held out from everything: pretraining, fine-tuning, both reward
models; it gives the prompts that PPO is to complete.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int

from lm_bandit.feedback.kinds import Scores
from lm_bandit.real_text import layout, ratings, tokenizer
from lm_bandit.real_text.config import RealTextConfig
from lm_bandit.reward_model import Comparisons

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Halves = tuple[Scores, Scores] | tuple[Comparisons, Comparisons]


class Sentences(NamedTuple):
    """Texts taken apart: the first tokens, and the rest."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n C"]


class Judged(NamedTuple):
    """Held-out sentences, and how many people gave each rating."""

    sentences: Sentences
    counts: Int[np.ndarray, "n 9"]


class Material(NamedTuple):
    """All that a run is given."""

    tokenizer: "Tokenizer"
    texts: Int[np.ndarray, "n T"]  # to pretrain on
    demonstrations: Sentences  # for SFT
    held_out: Sentences  # for perplexity
    prompts: Int[np.ndarray, "k P"]  # to be completed, and learned on
    new_prompts: Int[np.ndarray, "k P"]  # to be completed only
    answers: Halves | None  # to learn from; to judge by
    questions: Judged | Comparisons | None  # held-out answers


def from_ratings(source: ratings.Source, config: RealTextConfig) -> Material:
    """The film reviews: everybody's sentences, and what people gave them."""
    rng = np.random.default_rng(config.seed)
    texts, given = source.movies
    kept, held_out = layout.split(rng, texts, config.held_out)
    to_learn = [texts[i] for i in kept] + list(source.others)
    words = tokenizer.train(to_learn, config.vocabulary_size)
    tokens = list(tokenizer.encode_all(words, texts))
    others = list(tokenizer.encode_all(words, source.others))

    def sentences(which, length):
        fit, *parts = layout.sentences(
            [tokens[i] for i in which], config.prompt_length, length
        )
        return which[fit], Sentences(*parts)

    def scores(rated, which):
        which, (prompts, completions) = sentences(which, config.read_length)
        numbers = [np.array(rated[i]) + 1 + ratings.SCALE for i in which]
        rows = np.repeat(np.arange(len(which)), [len(row) for row in numbers])
        return Scores(prompts[rows], completions[rows], np.concatenate(numbers))

    one, other = ratings.halves(rng, given)
    asked, unseen = sentences(held_out, config.read_length)
    prompts = beginnings(unseen.prompts, 2 * config.num_prompts)
    return Material(
        tokenizer=words,
        texts=layout.rows([tokens[i] for i in kept] + others, config.text_length),
        demonstrations=sentences(kept, config.completion_length)[1],
        held_out=unseen,
        prompts=prompts[: config.num_prompts],
        new_prompts=prompts[config.num_prompts :],
        answers=(scores(one, kept), scores(other, kept)),
        questions=Judged(unseen, ratings.counts([given[i] for i in asked])),
    )


def beginnings(
    prompts: Int[np.ndarray, "n P"], count: int
) -> Int[np.ndarray, "count P"]:
    """So many different prompts, the first that come."""
    distinct = np.array([*dict.fromkeys(map(tuple, prompts.tolist()))], np.int32)
    if len(distinct) < count:
        raise ValueError(
            f"--num-prompts needs {count} different beginnings among the held-out "
            f"texts, half to learn on and half to be new, got {len(distinct)}"
        )
    return distinct[:count]


def from_texts(texts: Sequence[str], config: RealTextConfig) -> Material:
    """A corpus of one's own: no feedback, so no prompts either."""
    rng = np.random.default_rng(config.seed)
    kept, held_out = layout.split(rng, texts, config.held_out)
    words = tokenizer.train([texts[i] for i in kept], config.vocabulary_size)
    tokens = list(tokenizer.encode_all(words, texts))

    def sentences(which, length):
        of_these = [tokens[i] for i in which]
        return Sentences(*layout.sentences(of_these, config.prompt_length, length)[1:])

    learned = sentences(kept, config.completion_length)
    unseen = sentences(held_out, config.read_length)
    for name, found in (("", learned), ("held-out ", unseen)):
        if not len(found.prompts):
            raise ValueError(
                f"--corpus: expected {name}texts of {config.prompt_length + 1} to "
                f"{config.prompt_length + config.completion_length - 1} tokens, got "
                f"none among {len(kept if not name else held_out)}"
            )
    none = np.zeros((0, config.prompt_length), np.int32)
    return Material(
        tokenizer=words,
        texts=layout.rows([tokens[i] for i in kept], config.text_length),
        demonstrations=learned,
        held_out=unseen,
        prompts=none,
        new_prompts=none,
        answers=None,
        questions=None,
    )
