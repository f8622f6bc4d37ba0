"""The comparison: what it judges, what it leaves behind, and what it refuses."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import __main__ as command_line
from lm_bandit import pipeline, plots, ppo
from lm_bandit.alternatives import comparison as compare
from lm_bandit.alternatives import results
from lm_bandit.alternatives.comparison import Method
from lm_bandit.config import RLHFConfig
from lm_bandit.oracle import exact, trie

SHORT = (
    "--seeds 2 --ppo.num-updates 8 --ppo.pulls 8 --ppo.kl-weight 0.4 --ppo.penalty -2"
).split()


def run(*flags):
    return command_line.main(["compare", *map(str, flags)])


@pytest.fixture(scope="module")
def compare_on_tiny(tiny, fixed):
    """The command on the tiny world, prepared already, with one method of seven."""

    def run_on_tiny(folder):
        ready = pipeline.Prepared(None, fixed, 0.0, 0.0, jax.random.key(9))

        def ppo_alone(config):
            return {"PPO": Method(ppo.train, config)}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command_line, "pocket_world", lambda ratings: tiny)
            patch.setattr(pipeline, "prepare", lambda *_: ready)
            patch.setattr(compare, "methods", ppo_alone)
            assert run("--out", folder, *SHORT) == 0

    return run_on_tiny


@pytest.fixture(scope="module")
def folder(compare_on_tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "new"
    compare_on_tiny(folder)
    return folder


def test_a_comparison_leaves_every_run_the_statistics_and_a_figure(folder):
    names = {"runs.csv", "comparison.json", "comparison.png"}
    assert {file.name for file in folder.iterdir()} == names
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((folder / "comparison.json").read_text())
    with (folder / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["completions"]) for row in rows] == [
        (seed, str(2 * 8 * update)) for seed in "01" for update in (1, 2, 4, 8)
    ]
    start, best = (found[of]["objective"] for of in ("reference", "optimum"))
    shares = [(float(row["objective"]) - start) / (best - start) for row in rows]
    for row in rows:
        j = float(row["learned"]) - 0.4 * float(row["kl"])
        assert_allclose(float(row["objective"]), j, atol=1e-9)
        assert_allclose(float(row["regret"]), best - j, atol=1e-9)
        assert row["broken"] == ""
    told = found["methods"]["PPO"]
    assert_allclose(told["share_worst"], np.reshape(shares, (2, 4)).min(0))
    assert_allclose(told["share_median"], np.reshape(shares, (2, 4)).mean(0))


def test_no_policy_is_above_the_frontier_nor_best_of_n_above_the_optimum(folder):
    found = json.loads((folder / "comparison.json").read_text())
    kl, best = (np.array([v[f] for v in found["frontier"]]) for f in ("kl", "learned"))
    assert np.all(np.diff(kl) > 0)
    for each in found["best_of_n"]:
        assert each["objective"] < found["optimum"]["objective"]
        assert each["kl"] <= exact.best_of_n_kl_bound(each["n"]) + 1e-9
        # Between two of its points the frontier, being concave, is above their chord.
        beyond = np.interp(each["kl"], kl, best)
        assert each["learned"] <= beyond + 0.02 * (best[-1] - best[0])
    assert_allclose(found["best_of_n"][0]["kl"], 0.0, atol=1e-9)


def test_the_same_seeds_give_the_same_bytes(folder, compare_on_tiny, tmp_path):
    compare_on_tiny(tmp_path / "again")
    for name in ("runs.csv", "comparison.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_all_methods_have_ppos_budget_beta_penalty_and_temperature():
    dials = {"num_updates": 7, "pulls": 8, "kl_weight": 0.3, "penalty": -1.5}
    config = RLHFConfig(**dials, temperature=0.9)
    methods = compare.methods(config)
    assert methods["PPO"] == (ppo.train, config)
    assert len(methods) <= min(len(plots.COLOURS), len(plots.MARKERS))
    for _, theirs in methods.values():
        for name, value in (dials | {"temperature": 0.9}).items():
            assert getattr(theirs, name) == value


def test_a_run_that_broke_is_named_and_counts_as_the_reference_from_there_on(
    tiny, fixed
):
    """The second of two runs breaks in its second update of four."""
    keys = jax.random.split(jax.random.key(0), 2)

    def train(key, fixed, length, config):
        snapshots, history = ppo.train(key, fixed, length, config)
        unlucky = jnp.all(jax.random.key_data(key) == jax.random.key_data(keys[1]))
        gap = history.sampler_gap.at[1].add(jnp.where(unlucky, 1.0, 0.0))
        return snapshots, history._replace(sampler_gap=gap)

    config = RLHFConfig(num_updates=4, pulls=8, kl_weight=0.4, penalty=-2.0)
    learned = trie.learned_scores(fixed.reward_model, tiny)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    problem = exact.Problem(reference, learned, learned, 0.4, -2.0)
    done = []
    runs = compare.run_method(
        keys, Method(train, config), fixed, tiny, problem, done.append
    )
    assert done == [1, 2]
    assert runs.updates == (1, 2, 4)
    assert runs.completions == (16, 32, 64)
    start = exact.policy_value(problem, reference)
    assert runs.broken[0] == ""
    assert start not in runs.values[0]
    assert runs.values[1][0] != start
    assert runs.values[1][1:] == [start, start]
    best = exact.policy_value(problem, exact.optimum(problem))
    found = compare.MethodComparison((5, 6), None, start, best, [], [], {"PPO": runs})
    (line,) = results.broken_runs(found)
    assert line.startswith("PPO, seed 6, broke at update 2: the sampler and the sco")
    assert compare.shares(found, "PPO")[1, 2] == 0.0


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--seeds", "1"], "seeds must be at least 2, got 1"),
        (["--first-seed", "-1"], "first_seed must not be negative, got -1"),
        (["--ppo.pulls", "9"], "minibatches must divide pulls = 9, got 2"),
        (["--ppo.pulls", "6"], "best_of must divide pulls = 6, got 4"),
        (["--out", "{there}"], "--out must be a new folder, got {there}: try --over"),
        (["--ratings", "no.csv"], "cannot read no.csv: No such file or directory"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_before_anything_is_learned(
    flags, complaint, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(pipeline, "prepare", None)
    assert run(*(flag.format(there=tmp_path) for flag in flags)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1, told
    assert complaint.format(there=tmp_path) in told
    assert not any(tmp_path.iterdir())
