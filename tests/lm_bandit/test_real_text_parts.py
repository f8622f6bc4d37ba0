"""The parts of a run on real text: rows, byte pairs, pairs of scores, agreement."""

import jax.numpy as jnp
import numpy as np
import pytest

from lm_bandit.generate import completion_mask
from lm_bandit.real_text import judges, layout, measure, ratings, tokenizer
from lm_bandit.reward_model import pairwise_loss
from lm_bandit.world import END

WORDS = "good fine nice happy bad poor sad awful".split()


def toy_texts(count=150):
    rng = np.random.default_rng(0)
    return [f"{' '.join(rng.choice(WORDS, 3))} {i}" for i in range(count)]


def test_all_pairs_of_a_batch_are_its_comparisons():
    """Brute force: the pairwise loss of every ordered pair, written out."""
    rng = np.random.default_rng(0)
    rewards, scores = rng.normal(size=7), np.array([3, 1, 4, 1, 5, 9, 2])
    pairs = [(i, j) for i in range(7) for j in range(7) if scores[i] > scores[j]]
    assert len(pairs) == 20  # of 21, one is a tie
    chosen, rejected = (
        jnp.array(rewards[list(side)]) for side in zip(*pairs, strict=True)
    )
    found, metrics = judges.ranked(jnp.array(rewards), jnp.array(scores))
    assert float(found) == pytest.approx(
        float(pairwise_loss(chosen, rejected)), rel=1e-5
    )
    assert float(metrics.accuracy) == pytest.approx(float(jnp.mean(chosen > rejected)))


def test_agreement_by_brute_force():
    given = ((3, 4, 2), (1, -1), (1, 1, 0, -4), (-2, 1))
    rewards = np.array([0.5, 0.7, -1.0, 0.1])
    means = [np.mean(row) for row in given]
    right = both = same = single = asked = pairs = 0.0
    for i in range(4):
        for j in range(4):
            if means[i] - means[j] < 1.0:
                continue
            pairs, right = pairs + 1, right + (rewards[i] > rewards[j])
            draws = [np.sign(a - b) for a in given[i] for b in given[j]]
            share = {sign: draws.count(sign) / len(draws) for sign in (1.0, -1.0)}
            asked += sum(share.values())
            single += share[np.sign(rewards[i] - rewards[j])]
            both += sum(share.values()) ** 2
            same += share[1.0] ** 2 + share[-1.0] ** 2
    found = judges.agreement(rewards, ratings.counts(given), 1.0)
    assert found.pairs == pairs == 3
    assert found.model == pytest.approx(right / pairs)
    assert found.model_and_rater == pytest.approx(single / asked)
    assert found.two_raters == pytest.approx(same / both)


def test_the_spread_within_prompts_leaves_out_what_the_prompts_differ_in():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(50, 400))
    shifted = noise + 3.0 * rng.normal(size=(50, 1))
    shifted[0, :100] = np.nan  # cut off: no score
    found = measure.spread(shifted)
    assert found["within"] == pytest.approx(1.0, abs=0.02)
    assert found["overall"] == pytest.approx(np.nanstd(shifted))
    assert found["overall"] > 2.0
    assert found["error"] == pytest.approx((1 / 50 / 400) ** 0.5, rel=0.02)


@pytest.mark.parametrize("text", ["Touché! Two  ½ times.", "<end>", "\x00\u00a0日本"])
def test_bytes_are_never_unknown(text):
    words = tokenizer.train(toy_texts(), 260)
    tokens = tokenizer.encode(words, text)
    assert END not in tokens
    ended = np.append(tokens, END)
    expected = text.replace("<end>", "")
    assert tokenizer.decode(words, ended).strip() == expected.strip()
    assert tokenizer.decode(words, tokens).endswith(" ...")


def test_prompts_have_one_length_and_completions_an_end_where_it_fits():
    assert layout.prompt(np.array([5, 6, 7]), 2).tolist() == [6, 7]
    assert layout.prompt(np.array([5]), 3).tolist() == [END, END, 5]
    assert layout.completion(np.array([5, 6]), 4).tolist() == [5, 6, END, END]
    assert layout.completion(np.array([5, 6, 7]), 2).tolist() == [5, 6]
    texts = [np.arange(1, n + 1) for n in (2, 3, 5, 6)]
    which, prompts, completions = layout.sentences(texts, 2, 4)
    assert which.tolist() == [1, 2]  # one is no longer than a prompt, one too long
    assert prompts.tolist() == [[1, 2], [1, 2]]
    assert completions.tolist() == [[3, END, END, END], [3, 4, 5, END]]
    assert completion_mask(jnp.array(completions)).sum(-1).tolist() == [2, 4]


def test_texts_that_come_twice_are_on_one_side():
    texts = toy_texts() * 2
    kept, held_out = layout.split(np.random.default_rng(0), texts, 0.3)
    assert not {texts[i] for i in kept} & {texts[i] for i in held_out}
    assert len(kept) + len(held_out) == 300
