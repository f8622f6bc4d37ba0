"""Comparisons, on worlds so small that the truth is known in closed form."""

import csv
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import mdp
from policy_gradient import actor_critic
from policy_gradient.comparison import results
from policy_gradient.comparison.compare import compare, scores
from policy_gradient.comparison.contenders import BUILT_IN, Budget, Task
from policy_gradient.comparison.summary import SHARE, summarize

# Toss a coin for 1 until tails ends it, or stop for 1.5. Tossing for ever is worth
# v = (1 + 0.9 v) / 2 = 0.909, so J(p) = (p / 2 + 1.5 (1 - p)) / (1 - 0.45 p) where a
# toss has probability p: 1.5 at p = 0, 1.29 at p = 1/2.
TOSS = [(0.5, 0, 1.0, False), (0.5, 0, 0.0, True)]
UNIFORM = (0.25 + 0.75) / (1 - 0.225)


def coin():
    return mdp.from_outcomes([[TOSS, [(1.0, 0, 1.5, True)]]], discount=0.9)


def worth(p):
    return (p / 2 + 1.5 * (1 - p)) / (1 - 0.45 * p)


def fading(seed, world, checkpoints):
    """Tosses ever less, the later the seed the more slowly."""
    p = 0.5 * np.exp(-np.arange(len(checkpoints)) / (1 + seed))
    return np.stack([p, 1 - p], -1)[:, None, :]


def uniform(seed, world, checkpoints):
    return np.full((len(checkpoints), 1, 2), 0.5)


def small_comparison(algorithms, **settings):
    settings = {"seeds": 4, "steps": 1000, "num_checkpoints": 10} | settings
    return compare([coin], algorithms, **settings)


def test_every_checkpoint_is_worth_what_the_closed_form_says():
    found = small_comparison([fading, "value_iteration"])
    assert found.references["coin"].optimum == pytest.approx(1.5, abs=1e-12)
    assert found.references["coin"].uniform == pytest.approx(UNIFORM, abs=1e-12)
    judged = found.judged["coin"]["fading"]
    for seed in range(4):
        expected = worth(fading(seed, None, range(10))[:, 0, 0])
        assert judged.sampling[seed] == pytest.approx(expected, abs=1e-12)
    assert judged.greedy[:, 0] == pytest.approx(UNIFORM), "at first it is a tie"
    assert judged.greedy[:, 1:] == pytest.approx(1.5), "then stopping is likelier"


def test_a_checkpoint_acts_with_the_exploration_of_the_episode_that_comes_next():
    """Every episode is one step: after n steps, episode n + 1 comes next."""
    arms = mdp.from_outcomes([[[(1.0, 0, 0.0, True)], [(1.0, 0, 1.5, True)]]], 0.9)
    checkpoints = (1, 2, 5, 20)
    config = mdp.ControlConfig(exploration=0.8, exploration_decay=0.5)
    task = Task(arms, [0, 1], [config], Budget(checkpoints, 10), lambda _: None)
    (runs,) = BUILT_IN["q_learning"].learn(task)
    exploration = mdp.schedule(0.8, 0.5, 1 + np.array(checkpoints))
    assert runs.sampling[..., 0, 0].min(0) == pytest.approx(exploration / 2)


def test_the_summary_counts_the_way_from_the_uniform_policy_to_the_optimum():
    found = small_comparison([fading, uniform], steps=2000, num_checkpoints=20)
    summary = summarize(found)
    verdict = summary.verdicts["coin"]["fading"]
    steps = []
    for seed in range(4):
        share = (worth(fading(seed, None, range(20))[:, 0, 0]) - UNIFORM) / (
            1.5 - UNIFORM
        )
        steps.append(100 * (1 + np.argmax(share >= SHARE)))
    assert verdict.num_reached == 4
    assert verdict.steps == sorted(steps)[1], "the lower of the middle two"
    assert verdict.regret == pytest.approx(1.5 - verdict.sampling.value)
    assert summary.overall["uniform"] == pytest.approx((0, 0, 0), abs=1e-12)
    assert list(summary.overall) == ["fading", "uniform"], "the best first"
    assert summary.improvement["fading"]["uniform"] == (1, 1, 1)
    never = summary.verdicts["coin"]["uniform"]
    assert (never.steps, never.num_reached) == (np.inf, 0)


def waiting():
    """Wait or go, at a cost of 1 a step: J_T(uniform) = 2^(1-T) - 2, J(pi*) = -1."""
    return mdp.from_outcomes(
        [[[(1.0, 0, -1.0, False)], [(1.0, 0, -1.0, True)]]], discount=1.0
    )


def test_the_way_begins_where_the_uniform_policy_is_cut_off():
    found = compare([waiting], [uniform], 2, 10, time_limit=3, num_checkpoints=1)
    reference = found.references["waiting"]
    assert reference.uniform == pytest.approx(-1.75, abs=1e-12)
    assert found.judged["waiting"]["uniform"].sampling == pytest.approx(-2)
    found_scores = scores(reference, np.array([-2, -1.75, -1.375, -1, np.nan]))
    assert found_scores == pytest.approx([0, 0, 0.5, 1, 0], abs=1e-12)


@pytest.mark.slow
def test_the_algorithms_of_the_book_learn_when_to_stop():
    """At epsilon 0.1 the values toss with probability 0.05, and cannot do better."""
    # A toss ends half of the episodes: one in 4096 is cut off after 12 steps.
    found = small_comparison(
        [*BUILT_IN], steps=12_000, num_checkpoints=4, time_limit=12
    )
    for name, judged in found.judged["coin"].items():
        assert judged.greedy[:, -1] == pytest.approx(1.5, abs=1e-9), name
        least = worth(0.05) - 1e-9 if name in ("q_learning", "sarsa") else 1.45
        assert (judged.sampling[:, -1] >= least).all(), name


@pytest.mark.slow
def test_a_config_learns_the_updates_that_fit_the_budget_and_can_anneal_over_them():
    seen = set()

    def learner(world, config):
        seen.add((config.num_updates, config.time_limit))
        return actor_critic.learner(world, config)

    critic = BUILT_IN["actor_critic"]
    learn = partial(critic.learn.func, learner)
    small_comparison([replace(critic, learn=learn)], steps=1000, time_limit=30)
    # A batch is 8 steps in each of 16 environments.
    assert seen == {(1000 // (8 * 16), 30)}


def written(found, folder):
    folder.mkdir()
    (folder / "runs.csv").write_text(results.runs_csv(found), "utf-8", newline="")
    summary = results.summary_json(found, summarize(found))
    (folder / "comparison.json").write_text(summary, "utf-8")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.mark.slow
def test_the_same_seeds_write_the_same_bytes(tmp_path):
    def once(name):
        found = small_comparison(["actor_critic", "sarsa"], steps=3000, first_seed=3)
        return written(found, tmp_path / name)

    assert once("first") == once("again")


def test_the_files_hold_every_run_and_all_that_it_depends_on(tmp_path):
    found = small_comparison([fading, "sarsa"])
    written(found, tmp_path / "out")
    with (tmp_path / "out" / "runs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1 + 2 * 4 * 10
    assert rows[0]["algorithm"] == "value_iteration"
    last = [row for row in rows if row["algorithm"] == "fading"][-1]
    assert (last["world"], last["seed"], last["steps"]) == ("coin", "3", "1000")
    assert float(last["sampling"]) == found.judged["coin"]["fading"].sampling[3, 9]
    assert float(last["sampling_regret"]) == 1.5 - float(last["sampling"])
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert {"python", "numpy", "jax"} <= told["versions"].keys()
    assert told["seeds"] == [0, 1, 2, 3]
    assert told["checkpoints"] == list(range(100, 1001, 100))
    assert told["algorithms"]["sarsa"]["exploration"] == 0.1
    assert told["worlds"]["coin"]["sha256"] == results.fingerprint(coin())
    assert told["worlds"]["coin"]["sha256"] != results.fingerprint(
        coin().with_discount(0.8)
    )


def test_a_policy_that_never_ends_is_marked_and_cut_off(tmp_path):
    """Up, for ever against the wall above: -1 a step, 30 steps."""

    def up(seed, world, checkpoints):
        return np.tile(np.eye(4)[0], (len(checkpoints), 48, 1))

    found = compare(["cliff"], [up], 2, 10, time_limit=30, num_checkpoints=1)
    assert (found.judged["cliff_walking"]["up"].sampling == -30).all()
    written(found, tmp_path / "out")
    row = (tmp_path / "out" / "runs.csv").read_text().splitlines()[-1].split(",")
    assert dict(zip(results.COLUMNS, row, strict=True))["sampling_cut_off"] == "yes"


def test_a_run_that_diverges_is_stopped_and_counts_as_knowing_nothing(tmp_path):
    def breaks(seed, world, checkpoints):
        policies = fading(seed, world, checkpoints)
        policies[6:] = np.nan if seed == 2 else policies[6:]
        return policies

    found = small_comparison([breaks])
    judged = found.judged["coin"]["breaks"]
    assert judged.diverged == ["", "", "step 700", ""]
    assert np.isnan(judged.sampling[2]).tolist() == [False] * 6 + [True] * 4
    assert np.isfinite(judged.sampling[[0, 1, 3]]).all()
    summary = summarize(found)
    assert summary.verdicts["coin"]["breaks"].num_diverged == 1
    kept = worth(fading(1, None, range(10))[-1, 0, 0]), judged.sampling[3, -1]
    expected = np.mean(kept)  # of the four, the best and the broken one are left out
    got = summary.verdicts["coin"]["breaks"].sampling.value
    assert got == pytest.approx(expected, abs=1e-12)
    written(found, tmp_path / "out")


@pytest.mark.slow
def test_a_sweep_is_each_of_its_values_alone():
    swept = small_comparison(["ppo"], steps=5000, sweep={"step_size": [0.01, 0.2]})
    assert list(swept.configs) == ["ppo step_size=0.01", "ppo step_size=0.2"]
    alone = small_comparison(["ppo"], steps=5000)
    both = [
        swept.judged["coin"]["ppo step_size=0.2"].sampling,
        alone.judged["coin"]["ppo"].sampling,
    ]
    assert both[0] == pytest.approx(both[1], abs=1e-4)
    slow = swept.judged["coin"]["ppo step_size=0.01"].sampling
    assert (slow[:, -1] < both[0][:, -1]).all()


@pytest.mark.slow
def test_a_sweep_beyond_all_measure_names_seed_and_update_and_keeps_the_rest():
    found = small_comparison(
        ["actor_critic"], steps=2000, sweep={"step_size": [0.1, 1e38]}
    )
    kept, broken = found.judged["coin"].values()
    assert kept.diverged == [""] * 4
    assert np.isfinite(kept.sampling).all()
    assert all(when.startswith("update ") for when in broken.diverged)
    assert np.isnan(broken.sampling[:, -1]).all()


def misshapen(seed, world, checkpoints):
    return np.full((len(checkpoints), 2, 2), 0.5)


def leaky(seed, world, checkpoints):
    later = np.arange(len(checkpoints))[:, None, None] > 0
    return uniform(seed, world, checkpoints) - later * np.array([0.0, 0.1])


def negative(seed, world, checkpoints):
    return uniform(seed, world, checkpoints) + np.array([0.7, -0.7])


def failing(seed, world, checkpoints):
    return 1 / seed


def hopeless():
    return mdp.from_outcomes([[[(1.0, 0, 1.0, True)]] * 2], discount=0.9)


@pytest.mark.parametrize(
    ("worlds", "algorithms", "settings", "told"),
    [
        (
            [coin],
            ["poo"],
            {},
            r"algorithm must be one of .*got 'poo' \(did you mean ppo",
        ),
        (["clif_walking"], ["ppo"], {}, r"\(did you mean cliff_walking"),
        ([coin], [misshapen], {}, r"misshapen, seed 0: policies must have shape"),
        (
            [coin],
            [leaky],
            {},
            r"leaky, seed 0: policies\[1\]\[s=0\] must sum to 1, got 0.9",
        ),
        (
            [coin],
            [negative],
            {},
            r"policies\[0\]\[s=0, a=1\] must be at least 0, got -0.2",
        ),
        ([coin], [failing], {}, "failing, seed 0 failed: ZeroDivisionError"),
        ([coin], [lambda *_: "policy"], {}, "must be an array of numbers"),
        ([coin], ["ppo"], {"seeds": 0}, "seeds must be at least 2, got 0"),
        ([coin], ["ppo"], {"steps": -5}, "steps must be at least 1, got -5"),
        ([coin], ["ppo"], {"time_limit": 0}, "time_limit must be at least 1, got 0"),
        ([coin], ["value_iteration"], {}, "at least one, got none that learns"),
        ([coin], ["ppo", "ppo"], {}, "distinct names"),
        ([coin, coin], ["ppo"], {}, "distinct names"),
        ([hopeless], ["ppo"], {}, "world hopeless must leave something to learn"),
        ([waiting], ["ppo"], {"time_limit": 1}, "something to learn in 1 step, got"),
        ([lambda: 3], ["ppo"], {}, "must be an MDP or return one, got int"),
        ([coin], ["ppo"], {"sweep": {"epochs": [1.0]}}, "that ppo has, one of clip"),
        ([coin], ["ppo"], {"sweep": {"clip": [-1.0]}}, "clip must be positive"),
    ],
)
def test_bad_input_costs_one_clear_line(worlds, algorithms, settings, told):
    with pytest.raises(ValueError, match=told) as refused:
        compare(worlds, algorithms, **settings)
    assert "\n" not in str(refused.value)


def test_a_world_without_finite_values_is_refused(monkeypatch):
    def endless():
        return mdp.from_outcomes([[[(1.0, 0, 1.0, False)], TOSS]], discount=1.0)

    # 100,000 sweeps by default.
    few = partial(mdp.value_iteration, max_sweeps=100)
    monkeypatch.setattr(mdp, "value_iteration", few)
    told = "world endless must have finite values, got some .* after 100 sweeps"
    with pytest.raises(ValueError, match=told):
        compare([endless], ["ppo"])


USER_FILE = """
import sys
import numpy as np

def leaving(seed, world, checkpoints):
    sys.exit()

def cheating(seed, world, checkpoints):
    world.rewards[:] = 1000.0

def sly(seed, world, checkpoints):
    world.rewards.setflags(write=True)
    world.rewards[:] = 1000.0
    return np.full((len(checkpoints), *world.available.shape), 0.5)
"""


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("leaving", r"failed: SystemExit: .*mine\.py, line 6, in leaving"),
        ("cheating", r"failed: ValueError: .* read-only .*mine\.py, line 9, in cheat"),
    ],
)
def test_an_error_of_the_users_names_file_and_line(name, complaint, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(USER_FILE)
    with pytest.raises(ValueError, match=complaint) as refusal:
        small_comparison([f"{file}:{name}"])
    assert "\n" not in str(refusal.value)


def test_an_algorithm_cannot_change_the_world_in_which_it_is_judged(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(USER_FILE)
    judged = small_comparison([f"{file}:sly"]).judged["coin"]["sly"]
    assert judged.sampling == pytest.approx(UNIFORM)


def test_a_file_that_exits_is_refused(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("\nraise SystemExit(0)\n")
    with pytest.raises(ValueError, match=r"SystemExit: 0 .*mine\.py, line 2"):
        small_comparison([f"{file}:learn"])
