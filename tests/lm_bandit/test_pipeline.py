"""Steps 1 and 2 hand on the right data."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lm_bandit import pipeline, ppo, reward_model, sft, transformer
from lm_bandit.config import (
    LanguageConfig,
    RewardConfig,
    RLHFConfig,
    RunConfig,
    TransformerConfig,
)
from lm_bandit.reward_model import Comparisons
from lm_bandit.world import pocket_world
from mdp.interface.progress import Progress


def test_the_reward_model_never_sees_the_pairs_that_it_is_tested_on(monkeypatch):
    """Nothing is trained here: that changes nothing about which pairs go where."""
    world, rng = pocket_world(), np.random.default_rng(0)
    words = rng.choice(world.rated, size=(3, 40, world.completion_length))
    pairs = Comparisons(world.prompts[rng.integers(8, size=40)], words[0], words[1])
    given = {}

    def train(key, params, data, config, report):
        return params, np.zeros(10)

    def train_reward(key, scorer, data, config, report):
        given["seen"] = data
        return scorer._replace(head=scorer.head + 1.0), np.zeros(10)

    def accuracy(scorer, data):
        given["held out"] = data
        return 0.5

    monkeypatch.setattr(pipeline, "rehearse", lambda *args: None)
    monkeypatch.setattr(pipeline.training, "compile_loop", lambda *args: None)
    monkeypatch.setattr(pipeline, "collect_comparisons", lambda *args: pairs)
    monkeypatch.setattr(pipeline.sft, "train", train)
    monkeypatch.setattr(pipeline.reward_model, "train", train_reward)
    monkeypatch.setattr(pipeline.reward_model, "pair_accuracy", accuracy)
    model = TransformerConfig(num_layers=1, d_model=8)
    config = RunConfig(num_babble=8, num_demonstrations=8, model=model)
    pipeline.prepare(world, config, Progress())
    assert len(given["held out"].prompts) == 4
    both = jax.tree.map(lambda *x: np.concatenate(x), given["held out"], given["seen"])
    jax.tree.map(assert_array_equal, both, pairs)


def test_too_few_pairs_to_hold_one_out_are_refused_before_the_training(monkeypatch):
    world = pocket_world()
    none = np.zeros((0, world.completion_length), int)
    pairs = Comparisons(world.prompts[:0], none, none)
    monkeypatch.setattr(pipeline, "rehearse", lambda *args: None)
    monkeypatch.setattr(pipeline.training, "compile_loop", lambda *args: None)
    monkeypatch.setattr(pipeline, "collect_comparisons", lambda *args: pairs)
    monkeypatch.setattr(
        pipeline.sft, "train", lambda key, params, *rest: (params, np.zeros(10))
    )
    model = TransformerConfig(num_layers=1, d_model=8)
    config = RunConfig(num_babble=8, num_demonstrations=8, model=model)
    with pytest.raises(ValueError, match="at least 10 pairs of completions"):
        pipeline.prepare(world, config, Progress())


@pytest.mark.slow
def test_what_was_rehearsed_is_not_compiled_again():
    """The loops of SFT, of the reward model and of PPO, on arrays of other numbers."""
    world = pocket_world()
    config = RunConfig(
        num_babble=32,
        num_demonstrations=16,
        num_comparisons=20,
        model=TransformerConfig(num_layers=1, num_heads=1, d_model=8),
        sft=LanguageConfig(3, 4, 1e-3),
        reward=RewardConfig(3, 4, 1e-3),
        ppo=RLHFConfig(num_updates=3, pulls=2, minibatches=1),
    )
    key, size = jax.random.key(1), len(world.vocabulary)
    model = transformer.init(key, size, world.context, config.model)
    texts = sft.as_texts(np.ones((32, world.context), int))
    fixed = ppo.Fixed(world.prompts, model, reward_model.init(model), texts)
    compiled = []

    def hear(event, seconds, fun_name="", **_):
        if event.endswith("jaxpr_to_mlir_module_duration") and fun_name == "jit(run)":
            compiled.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(hear)
    pipeline.rehearse(world, config, fixed)
    assert len(compiled) == 3
    rng, length = np.random.default_rng(0), world.completion_length
    other = jax.tree.map(lambda x: x + 0.1, model)
    written = sft.as_demonstrations(*sft.demonstrations(rng, world, 16))
    sft.train(key, other, written, config.sft, lambda *_: None)
    asked = world.prompts[rng.integers(8, size=18)]
    pairs = Comparisons(asked, *rng.integers(size, size=(2, 18, length)))
    first = reward_model.init(other)
    reward_model.train(key, first, pairs, config.reward, lambda *_: None)
    fixed = fixed._replace(reference=other, reward_model=first)
    ppo.train(key, fixed, length, config.ppo, lambda *_: None)
    assert len(compiled) == 3
