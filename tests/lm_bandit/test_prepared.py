"""Models that are prepared once: what is read equals what was made."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from lm_bandit import pipeline
from lm_bandit.config import LanguageConfig, RewardConfig, RunConfig, TransformerConfig
from lm_bandit.prepared import prepared
from tests.lm_bandit.small_run import few_words

SMALL = RunConfig(
    num_babble=64,
    num_demonstrations=64,
    num_comparisons=64,
    model=TransformerConfig(num_layers=1, num_heads=1, d_model=8),
    pretraining=LanguageConfig(num_updates=5),
    sft=LanguageConfig(num_updates=5),
    reward=RewardConfig(num_updates=5),
)


@pytest.mark.slow
def test_what_is_read_is_bit_by_bit_what_was_made(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    old = tmp_path / "bellman-to-rlhf" / "prepared" / "00000000-of-other-sources"
    old.mkdir(parents=True)
    world = few_words()
    made = pipeline.prepare(world, SMALL, pipeline.Progress())
    first = prepared(world, SMALL)
    monkeypatch.setattr(pipeline, "prepare", None)  # so it must be read
    for found in (first, prepared(world, SMALL)):
        assert found.pretraining_loss == made.pretraining_loss
        assert found.held_out_accuracy == made.held_out_accuracy
        same = jax.tree.map(same_bits, found.fixed, made.fixed)
        assert all(jax.tree.leaves(same))
        assert jax.random.uniform(found.key) == jax.random.uniform(made.key)
    assert not old.exists()
    (file,) = old.parent.rglob("models.json")
    whole = file.read_text()
    file.write_text(whole[:-9])
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "prepare", lambda *_, **__: made)
        assert prepared(world, SMALL).pretraining_loss == made.pretraining_loss
    assert json.loads(file.read_text())["value"] == json.loads(whole)["value"]
    with pytest.raises(TypeError, match="NoneType"):  # other settings, other models
        prepared(world, replace(SMALL, seed=1))


def same_bits(a, b):
    return a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()
