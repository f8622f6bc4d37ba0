"""What preparation costs the model of the language, on ten seeds."""

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit import world as text
from lm_bandit.lab import core_and_prepped
from lm_bandit.oracle import exact


def test_the_core_is_the_language_at_large_given_that_it_ends(bench):
    """The continuations of "was" in many texts, against the table."""
    core = core_and_prepped.core_model(bench)
    assert_allclose(np.exp(core.ended).sum(1), 1.0, rtol=1e-12)
    texts = text.babble(np.random.default_rng(0), bench.world, 100_000, 10)
    (was,) = bench.world.encode("was")
    starts = np.argmax(texts == was, axis=1) + 1
    rows = np.arange(len(texts))[:, None]
    after = np.pad(texts, ((0, 0), (0, 7)), constant_values=-1)[
        rows, starts[:, None] + np.arange(6)
    ]
    known = {tuple(c): i for i, c in enumerate(bench.completions.tolist())}
    said = [known[t] for t in map(tuple, after.tolist()) if t in known]
    for length in (1, 2, 3):
        p = np.exp(core.ended[0])[bench.lengths == length].sum()
        share = np.mean(bench.lengths[said] == length)
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / len(said))


def test_reward_costs_likelihood_and_in_the_end_diversity():
    result = core_and_prepped.compare_core_and_prepped(seeds=range(10))
    core, sft, best = result.core, result.sft, result.optima
    assert core.gold < sft.gold - 1.0
    assert core.surprise < sft.surprise
    assert (np.diff(best.gold, axis=1) > 0).all()
    assert (np.diff(best.surprise, axis=1) > 0).all()
    assert (best.surprise > sft.surprise).all()
    assert (best.surprise[:, -1] > 10 * core.surprise).all()
    assert (np.diff(best.words, axis=1) < 0).all()
    assert (best.words[:, -1] < core.words / 3).all()
    assert (best.distinct.max(1) > sft.distinct + 10).all(), "long answers differ"
    assert (best.distinct[:, -1] < core.distinct / 2).all()


def test_the_cores_surprise_at_itself_is_its_entropy_a_token(bench):
    core = core_and_prepped.core_model(bench)
    traits = core_and_prepped.policy_traits(bench, core, core)
    tokens = np.exp(core.ended[0]) @ (bench.completions != 0).sum(1) + 1
    assert_allclose(traits.surprise * tokens, exact.entropy(core), rtol=1e-9)
    assert_allclose(traits.entropy, exact.entropy(core))
