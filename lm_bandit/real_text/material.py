"""The material of a run: texts, prompts to complete, and what people said.

One half of the raters of each text teach the reward model that PPO optimises, and the
other half teach the *judge*, which measures PPO. A policy that exploits the errors of
the reward model gains little from the judge, because a model that learned from other
people has other errors (Gao et al. 2022).

What is held out is held out from everything: pretraining, fine-tuning and both reward
models. It gives the prompts that PPO is to complete.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int

from lm_bandit.feedback.kinds import Scores
from lm_bandit.real_text import ratings, tokens
from lm_bandit.real_text.config import RealTextConfig
from lm_bandit.real_text.ratings import RaterScores, Reviews
from lm_bandit.reward_model import Comparisons

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Sentences(NamedTuple):
    """Texts in two parts: the prompt, and the rest as its completion."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n C"]


class Material(NamedTuple):
    """Everything that a run learns from and is measured on."""

    tokenizer: "Tokenizer"
    texts: Int[np.ndarray, "n T"]  # for pretraining
    demonstrations: Sentences  # for SFT
    held_out: Sentences  # for perplexity
    prompts: Int[np.ndarray, "k P"]  # for PPO
    new_prompts: Int[np.ndarray, "j P"]  # never learned on, for measuring
    # Answers for the reward model, and for the judge; None without preferences.
    answers: tuple[Scores, Scores] | tuple[Comparisons, Comparisons] | None = None
    # Held-out answers: how many people gave each rating of `held_out`, or comparisons.
    questions: Int[np.ndarray, "n 9"] | Comparisons | None = None


class Corpus(NamedTuple):
    """Texts as tokens, split into those to learn from and those held out."""

    config: RealTextConfig
    tokenizer: "Tokenizer"
    tokens: list[tokens.Tokens]  # of each text, without its end
    kept: Int[np.ndarray, "n"]  # numbers of the texts to learn from
    held_out: Int[np.ndarray, "m"]  # numbers of the others
    rows: Int[np.ndarray, "_ T"]  # the texts to pretrain on

    def sentences(
        self, which: Int[np.ndarray, "n"], length: int
    ) -> tuple[Int[np.ndarray, "m"], Sentences]:
        """Return the texts that fit, by number, and their prompts and completions."""
        texts = [self.tokens[i] for i in which]
        fit, *parts = tokens.split_sentences(texts, self.config.prompt_length, length)
        return which[fit], Sentences(*parts)


def tokenise(
    rng: np.random.Generator,
    texts: Sequence[str],
    config: RealTextConfig,
    others: Sequence[str] = (),
) -> Corpus:
    """Split the texts, and train a tokenizer on those to learn from and the others."""
    kept, held_out = tokens.split_held_out(rng, texts, config.held_out)
    to_learn = [texts[i] for i in kept] + list(others)
    tokenizer = tokens.train_tokenizer(to_learn, config.vocabulary_size)
    encoded = list(tokens.encode_texts(tokenizer, texts))
    learned = [encoded[i] for i in kept] + list(tokens.encode_texts(tokenizer, others))
    rows = tokens.text_rows(learned, config.text_length)
    return Corpus(config, tokenizer, encoded, kept, held_out, rows)


def material_from_ratings(reviews: Reviews, config: RealTextConfig) -> Material:
    """Return the material of the film reviews: their sentences and ratings."""
    texts, given = reviews.movies
    rng = np.random.default_rng(config.seed)
    corpus = tokenise(rng, texts, config, reviews.others)
    one, other = ratings.split_raters(rng, given)
    material = _without_feedback(corpus)
    prompts = distinct_prompts(material.held_out.prompts)[: 2 * config.num_prompts]
    if len(prompts) < 2 * config.num_prompts:
        raise ValueError(
            f"--num-prompts needs {2 * config.num_prompts} different beginnings among "
            "the held-out texts, half to learn on and half to be new, got "
            f"{len(prompts)}"
        )
    asked, _ = corpus.sentences(corpus.held_out, config.read_length)
    return material._replace(
        prompts=prompts[: config.num_prompts],
        new_prompts=prompts[config.num_prompts :],
        answers=(_scores(corpus, one), _scores(corpus, other)),
        questions=ratings.rating_counts([given[i] for i in asked]),
    )


def material_from_texts(texts: Sequence[str], config: RealTextConfig) -> Material:
    """Return the material of your own corpus: no feedback, so no prompts either."""
    corpus = tokenise(np.random.default_rng(config.seed), texts, config)
    return _without_feedback(corpus)


def distinct_prompts(prompts: Int[np.ndarray, "n P"]) -> Int[np.ndarray, "m P"]:
    """The different prompts among these, in the order of their first appearance."""
    rows = dict.fromkeys(map(tuple, prompts.tolist()))
    return np.array([*rows], np.int32).reshape(-1, prompts.shape[1])


def _without_feedback(corpus: Corpus) -> Material:
    """The texts to learn from and those held out, if there are some of both."""
    config = corpus.config
    _, learned = corpus.sentences(corpus.kept, config.completion_length)
    _, unseen = corpus.sentences(corpus.held_out, config.read_length)
    for name, which, found in (
        ("", corpus.kept, learned),
        ("held-out ", corpus.held_out, unseen),
    ):
        if not len(found.prompts):
            raise ValueError(
                f"corpus: expected {name}texts of {config.prompt_length + 1} to "
                f"{config.prompt_length + config.completion_length - 1} tokens, got "
                f"none among {len(which)}"
            )
    no_prompts = np.zeros((0, config.prompt_length), np.int32)
    return Material(
        corpus.tokenizer, corpus.rows, learned, unseen, no_prompts, no_prompts
    )


def _scores(corpus: Corpus, rated: RaterScores) -> Scores:
    """The scores of the sentences to learn from: a row for each rater, 1 to 9."""
    length = corpus.config.read_length
    which, (prompts, completions) = corpus.sentences(corpus.kept, length)
    numbers = [np.array(rated[i]) + 1 + ratings.SCALE for i in which]
    rows = np.repeat(np.arange(len(which)), [len(row) for row in numbers])
    return Scores(prompts[rows], completions[rows], np.concatenate(numbers))
