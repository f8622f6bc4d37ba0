"""Texts as tokens: bytes are never unknown; rows of prompts and completions."""

import jax.numpy as jnp
import numpy as np
import pytest

from lm_bandit.generate import completion_mask
from lm_bandit.real_text import tokens
from lm_bandit.world import END
from tests.lm_bandit.real_text.inputs import toy_texts


@pytest.mark.parametrize("text", ["Touché! Two  ½ times.", "<end>", "\x00\u00a0日本"])
def test_bytes_are_never_unknown(text):
    words = tokens.train_tokenizer(toy_texts(), 260)
    (encoded,) = tokens.encode_texts(words, [text])
    assert END not in encoded
    ended = np.append(encoded, END)
    expected = text.replace("<end>", "")
    assert tokens.decode_tokens(words, ended).strip() == expected.strip()
    assert tokens.decode_tokens(words, encoded).endswith(" ...")


def test_prompts_have_one_length_and_completions_an_end_where_it_fits():
    assert tokens.prompt_row(np.array([5, 6, 7]), 2).tolist() == [6, 7]
    assert tokens.prompt_row(np.array([5]), 3).tolist() == [END, END, 5]
    assert tokens.completion_row(np.array([5, 6]), 4).tolist() == [5, 6, END, END]
    assert tokens.completion_row(np.array([5, 6, 7]), 2).tolist() == [5, 6]
    texts = [np.arange(1, n + 1) for n in (2, 3, 5, 6)]
    which, prompts, completions = tokens.split_sentences(texts, 2, 4)
    assert which.tolist() == [1, 2]  # one is no longer than a prompt, one too long
    assert prompts.tolist() == [[1, 2], [1, 2]]
    assert completions.tolist() == [[3, END, END, END], [3, 4, 5, END]]
    assert completion_mask(jnp.array(completions)).sum(-1).tolist() == [2, 4]


def test_texts_that_come_twice_are_on_one_side():
    texts = toy_texts() * 2
    kept, held_out = tokens.split_held_out(np.random.default_rng(0), texts, 0.3)
    assert not {texts[i] for i in kept} & {texts[i] for i in held_out}
    assert len(kept) + len(held_out) == 300
