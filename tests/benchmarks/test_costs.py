"""Benchmarks: costs on paper are those of the compiled programs; failures cost a line.

Races need other libraries, and are not run here.
"""

import json
import os
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from benchmarks import costs, gpu, lm_bandit
from benchmarks.alone import measure
from benchmarks.trl_peers import random_reward_model
from lm_bandit import bandit, generate, ppo, sft, transformer
from lm_bandit.config import TransformerConfig

SIZE = TransformerConfig(num_layers=1, num_heads=4, d_model=128)
V, P, C, PROMPTS, PULLS = 64, 8, 16, 8, 4
MODEL = costs.Model(SIZE, V, P + C)
DOCS = Path(__file__).parents[2] / "docs"


# Shapes only: nothing is computed.


def params():
    return jax.eval_shape(lambda key: transformer.init(key, V, P + C, SIZE), key())


def key():
    return jax.eval_shape(lambda: jax.random.key(0))


def tokens(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def fine_tuning():
    """The gradient of SFT, its arguments, and its cost on paper."""
    texts = jax.eval_shape(lambda x: sft.Texts(x, x.astype(float)), tokens(8, 24))
    return jax.grad(sft.loss), (params(), texts), costs.fine_tuning(MODEL, 8, 24)


def token():
    def step(params, tokens, cache):
        layers = transformer.unstacked(params.h)
        hidden, _ = transformer.forward(params, tokens, cache, P, layers=layers)
        return transformer.next_token_logits(params, hidden)

    read = partial(generate.read_prompts, length=C)
    cache = jax.eval_shape(read, params(), tokens(PROMPTS, P)).cache
    cost = MODEL.forward(PROMPTS, 1, P + C, logits=1)
    return step, (params(), tokens(PROMPTS, 1), cache), cost


def posed(key, params, prompts):
    """Return a batch of pulls, and all that PPO knows of it."""
    scorer = random_reward_model(params)
    fixed = ppo.Fixed(prompts, params, scorer)
    pulls = bandit.pull(params, key, prompts, PULLS, C)
    both = ppo.ActorCritic(params, scorer)
    scored = ppo.score_pulls(scorer, pulls, fixed, lm_bandit.PPO)
    rewarded = ppo.reward_pulls(pulls, scored, jnp.array(0.1), lm_bandit.PPO)
    batch = ppo.compare_pulls(pulls.completions, rewarded, lm_bandit.PPO)
    return both, fixed, pulls, jax.tree.map(lambda x: x[:PROMPTS], batch)


def scoring():
    def score(both, pulls, fixed):
        return ppo.score_pulls(both.critic, pulls, fixed, lm_bandit.PPO)

    both, fixed, pulls, _ = jax.eval_shape(posed, key(), params(), tokens(PROMPTS, P))
    return score, (both, pulls, fixed), costs.scoring(MODEL, PROMPTS, PULLS, P, C)


def minibatch():
    def loss(both, few, prompts):
        return ppo.loss(both, few, prompts, lm_bandit.PPO)

    prompts = tokens(PROMPTS, P)
    both, _, _, few = jax.eval_shape(posed, key(), params(), prompts)
    cost = costs.minibatch(MODEL, PROMPTS, PROMPTS, P, C)
    return jax.grad(loss, has_aux=True), (both, few, prompts), cost


@pytest.mark.slow
@pytest.mark.parametrize("work", [fine_tuning, token, scoring, minibatch])
def test_operations_on_paper_are_those_of_the_compiled_program(work):
    """Products alone are 97% of the operations that jax's compiler counts."""
    function, arguments, cost = work()
    counted = jax.jit(function).lower(*arguments).compile().cost_analysis()
    assert 1.0 < counted["flops"] / cost.flops < 1.03
    # It counts arrays between operations that fit into a cache, too.
    assert 1.0 < counted["bytes accessed"] / cost.bytes < 4.0


def test_the_costs_of_models_know_their_parameters():
    assert MODEL.num_parameters == sum(x.size for x in jax.tree.leaves(params()))


def test_costs_agree_with_published_formulas_for_large_models():
    """6 N per token (Kaplan et al. 2020); Narayanan et al. (2021) without recomputing.

    A gradient of N numbers, added up in a ring, is sent twice, less its own part.
    """
    d, L, T, B, V = 4096, 30, 64, 8, 1000
    model = costs.Model(TransformerConfig(L, 32, d), V, T)
    flops = costs.fine_tuning(model, B, T + 1).flops
    published = 72 * B * T * L * d**2 * (1 + T / (6 * d) + V / (12 * d * L))
    assert flops == pytest.approx(published, rel=1e-12)
    assert flops == pytest.approx(6 * model.num_parameters * B * T, rel=0.01)
    assert costs.all_reduce_bytes(1000, 1) == 0
    assert costs.all_reduce_bytes(1000, 4) == 2 * 4000 * 3 / 4


def test_ppo_costs_the_sum_of_its_parts():
    """Without a completion to learn from, only the prompts are read."""
    config = lm_bandit.PPO
    whole = costs.ppo(MODEL, 16, P, C, config)
    learning = costs.minibatch(MODEL, 16, 16, P, C).times(16)
    rest = costs.generation(MODEL, 16, 4, P, C).flops
    rest += costs.scoring(MODEL, 16, 4, P, C).flops
    assert whole.flops == pytest.approx(learning.flops + rest)


def test_the_docs_show_the_costs_of_today():
    shown = (DOCS / "scaling.md").read_text("utf-8")

    def rounded(number):
        return f"{float(f'{number / 1e9:.3g}'):,g}"

    for size in (gpu.USUAL, gpu.LARGE):
        runs = (gpu.UPDATES, 1, lm_bandit.ITERATIONS)
        for task, count in zip(gpu.of_size(size), runs, strict=True):
            flops, moved = task.cost.flops / count, task.cost.bytes / count
            assert f"| {task.size} | {rounded(flops)} | {rounded(moved)} |" in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare", "limit", "problem"),
    [
        (partial(time.sleep, 60), 0.5, "took more than 0.5 s"),
        (os.abort, 60.0, "its process ended: is there enough memory?"),
        (partial(int, "x"), 60.0, "ValueError: invalid literal for int() with base"),
    ],
)
def test_a_measurement_that_fails_costs_one_line(prepare, limit, problem):
    found = measure(prepare, limit)
    assert found.problem.startswith(problem)
    assert found.seconds is None


@pytest.mark.slow
def test_the_script_for_a_card_runs_on_two_devices_of_a_cpu(tmp_path, monkeypatch):
    flags = os.environ.get("XLA_FLAGS", "")
    two = f"--xla_force_host_platform_device_count=2 {flags}"
    monkeypatch.setenv("XLA_FLAGS", two)
    file = tmp_path / "gpu.json"
    gpu.main(["--small", "--only", "generation", "--json", str(file)])
    (row,) = json.loads(file.read_text())["rows"]
    assert row["ours"]["devices"] == "2 x cpu"
    assert row["ours"]["amount"] == lm_bandit.BATCH * 16
    assert row["torch"]["seconds"] or row["torch"]["problem"]
