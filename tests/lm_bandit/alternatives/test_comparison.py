"""The comparison: its values, its files, and what it refuses."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import __main__ as command_line
from lm_bandit import commands, pipeline, ppo
from lm_bandit.alternatives import comparison, results
from lm_bandit.alternatives.comparison import Method
from lm_bandit.alternatives.config import METHODS, method_configs
from lm_bandit.alternatives.starts import Start
from lm_bandit.config import RLHFConfig
from lm_bandit.diagnostics import History
from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.problem import pose_problem
from mdp.interface.jobs import Runner, Shared
from policy_gradient.diagnostics import Diagnostics
from tests.stopping import stop_after_first_piece

SHORT = (
    "--seeds 2 --ppo.num-updates 8 --ppo.pulls 8 --ppo.kl-weight 0.4 --ppo.penalty -2 "
    "--shared-start"
).split()


def run(*flags):
    return command_line.main(["compare", *map(str, flags)])


@pytest.fixture(scope="module")
def compare_on_tiny(tiny, fixed):
    """The command on the tiny world, prepared already, with one method of seven."""

    def run_on_tiny(folder, *flags):
        ready = pipeline.Prepared(None, fixed, 0.0, 0.0, jax.random.key(9))

        def ppo_alone(config, chosen):
            return {"PPO": Method(ppo.train, config)}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(commands, "pocket_world", lambda ratings: tiny)
            patch.setattr(pipeline, "prepare", lambda *_: ready)
            patch.setattr(comparison, "methods", ppo_alone)
            assert run("--out", folder, *SHORT, *flags) == 0

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
    report = json.loads((folder / "comparison.json").read_text())
    with (folder / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["completions"]) for row in rows] == [
        (seed, str(2 * 8 * update)) for seed in "01" for update in (1, 2, 4, 8)
    ]
    (known,) = report["starts"]
    start, best = (known[name]["objective"] for name in ("reference", "optimum"))
    shares = [(float(row["objective"]) - start) / (best - start) for row in rows]
    for row in rows:
        j = float(row["learned"]) - 0.4 * float(row["kl"])
        assert_allclose(float(row["objective"]), j, atol=1e-9)
        assert_allclose(float(row["regret"]), best - j, atol=1e-9)
        assert row["broken"] == ""
    method = report["methods"]["PPO"]
    assert_allclose(method["share_worst"], np.reshape(shares, (2, 4)).min(0))
    assert_allclose(method["share_median"], np.reshape(shares, (2, 4)).mean(0))
    assert method["another_target"] == 0.0
    assert_allclose(method["not_there_yet"], 1.0 - method["share_median"][-1])


def test_no_policy_is_above_the_frontier_nor_best_of_n_above_the_optimum(folder):
    (report,) = json.loads((folder / "comparison.json").read_text())["starts"]
    kl, best = (np.array([v[f] for v in report["frontier"]]) for f in ("kl", "learned"))
    assert np.all(np.diff(kl) > 0)
    for n, value in report["best_of_n"]:
        assert value["objective"] < report["optimum"]["objective"]
        assert value["kl"] <= exact.best_of_n_kl_bound(n) + 1e-9
        # Between two of its points the frontier, being concave, is above their chord.
        beyond = np.interp(value["kl"], kl, best)
        assert value["learned"] <= beyond + 0.02 * (best[-1] - best[0])
    assert_allclose(report["best_of_n"][0][1]["kl"], 0.0, atol=1e-9)


@pytest.mark.slow
def test_a_comparison_that_is_stopped_goes_on_with_the_next_run(
    folder, compare_on_tiny, tmp_path, monkeypatch
):
    kept = stop_after_first_piece(monkeypatch)
    with pytest.raises(SystemExit):
        compare_on_tiny(tmp_path / "new")
    compare_on_tiny(tmp_path / "new")
    known = "exact values, start 1.json"
    assert sorted(kept) == ["PPO, run 1.json", "PPO, run 2.json", known]
    for name in ("runs.csv", "comparison.json", "comparison.png"):
        assert (tmp_path / "new" / name).read_bytes() == (folder / name).read_bytes()


def test_the_same_seeds_give_the_same_bytes(folder, compare_on_tiny, tmp_path):
    compare_on_tiny(tmp_path / "again")
    for name in ("runs.csv", "comparison.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.slow
def test_two_processes_give_the_same_bytes(folder, compare_on_tiny, tmp_path):
    compare_on_tiny(tmp_path / "two", "--workers", "2")
    for name in ("runs.csv", "comparison.json"):
        assert (tmp_path / "two" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.slow
def test_every_run_has_a_start_of_its_own_which_is_its_seeds(
    tiny, fixed, policy, monkeypatch, tmp_path
):
    made = []

    def prepare(world, config, *_):
        made.append(config.seed)
        reference = policy if config.seed == 8 else fixed.reference
        key = jax.random.key(config.seed)
        return pipeline.Prepared(
            None, fixed._replace(reference=reference), 0.0, 0.0, key
        )

    monkeypatch.setattr(commands, "pocket_world", lambda ratings: tiny)
    monkeypatch.setattr(pipeline, "prepare", prepare)
    flags = [*SHORT[:-1], "--seed", 5, "--first-seed", 2, "--methods", "ppo"]
    assert run("--out", tmp_path / "new", *flags) == 0
    assert made == [7, 8]
    report = json.loads((tmp_path / "new" / "comparison.json").read_text())
    for start, reference in zip(
        report["starts"], (fixed.reference, policy), strict=True
    ):
        problem = pose_problem(
            tiny,
            reference,
            fixed.reward_model,
            RLHFConfig(kl_weight=0.4, penalty=-2.0),
        )
        best = exact.policy_value(problem, exact.optimum(problem))
        assert_allclose(start["optimum"]["objective"], best.objective, rtol=1e-9)
    with (tmp_path / "new" / "runs.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            best = report["starts"][int(row["seed"]) - 2]["optimum"]["objective"]
            assert_allclose(
                float(row["regret"]), best - float(row["objective"]), atol=1e-9
            )


def mine(key, fixed, length, config):
    """RLOO, in one's own words."""
    settings = vars(config) | {"epochs": 1, "minibatches": 1, "step_size": 1e-2}
    return ppo.train(key, fixed, length, RLHFConfig(**settings))[0], None


@pytest.mark.slow
def test_a_method_of_ones_own_is_judged_as_the_same_one_of_the_book(tiny, fixed):
    ready = pipeline.Prepared(None, fixed, 0.0, 0.0, jax.random.key(9))
    settings = RLHFConfig(num_updates=8, pulls=8, kl_weight=0.4, penalty=-2.0)
    config = comparison.CompareConfig(
        seeds=2, ppo=settings, methods=("ppo",), shared_start=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "prepare", lambda *_: ready)
        found = comparison.compare_methods(tiny, config, chosen=[mine, "rloo"])
    assert list(found.runs) == ["mine", "RLOO"]
    assert found.runs["mine"].values == found.runs["RLOO"].values
    assert found.runs["mine"].completions == (16, 32, 64, 128)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("return fixed.reference", "train must return (snapshots, history), got Tran"),
        ("return fixed.reference, None", "of shape (8, 6, 32), got one with wte of"),
        ("return [1.0], None", "(8, 6, 32), got list"),
        ("return key.value", "train failed: AttributeError: "),
        ("return float(length * key), None", "mine.py, line 2, in train)"),
        ("raise SystemExit(0)", "train failed: SystemExit: 0 ("),
    ],
)
def test_a_mistake_in_ones_own_method_costs_one_line_before_anything_is_trained(
    body, complaint, tiny, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(pipeline, "prepare", None)
    monkeypatch.setattr(commands, "pocket_world", lambda ratings: tiny)
    file = tmp_path / "mine.py"
    file.write_text(f"def train(key, fixed, length, config):\n    {body}\n")
    assert run("--methods", f"{file}:train", "ppo", *SHORT) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1, message
    assert complaint in message


def test_methods_are_found_by_any_spelling_of_their_names():
    chosen = "Online-DPO ppo EXPERT_iteration".split()
    found = comparison.methods(RLHFConfig(), chosen)
    assert list(found) == ["online DPO", "PPO", "expert iteration"]
    # What is not chosen need not be possible: expert iteration keeps one of 4.
    assert list(comparison.methods(RLHFConfig(pulls=6), ["ppo"])) == ["PPO"]


def test_the_names_of_the_methods_are_those_that_train():
    assert list(comparison.TRAIN) == METHODS
    assert list(method_configs(RLHFConfig())) == METHODS


def test_all_methods_have_ppos_budget_beta_penalty_and_temperature():
    shared = {"num_updates": 7, "pulls": 8, "kl_weight": 0.3, "penalty": -1.5}
    config = RLHFConfig(**shared, temperature=0.9)
    methods = comparison.methods(config, [*comparison.methods(config), mine])
    assert methods["PPO"] == (ppo.train, config)
    for _, settings in methods.values():
        for name, value in (shared | {"temperature": 0.9}).items():
            assert getattr(settings, name) == value


def test_a_run_that_broke_is_named_and_counts_as_the_reference_from_there_on(
    tiny, fixed, policy
):
    """The second of two runs breaks in its second update of four."""
    keys = jax.random.split(jax.random.key(0), 2)
    zeros = jnp.zeros(4)
    sound = Diagnostics(*[zeros] * 6, first_ratio=zeros + 1.0)

    def train(key, fixed, length, config):
        snapshots = jax.tree.map(lambda x: jnp.stack([x] * 4), policy)
        unlucky = jnp.all(jax.random.key_data(key) == jax.random.key_data(keys[1]))
        history = History(*[zeros] * (len(History._fields) - 1), improvement=sound)
        gap = zeros.at[1].add(jnp.where(unlucky, 1.0, 0.0))
        return snapshots, history._replace(sampler_gap=gap)

    config = RLHFConfig(num_updates=4, pulls=8, kl_weight=0.4, penalty=-2.0)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    problem = pose_problem(tiny, fixed.reference, fixed.reward_model, config)
    methods = {"PPO": Method(train, config)}
    programs = comparison.programs_of(methods, tiny)
    posed = Shared(comparison.pose, tiny, fixed, config, methods, programs)
    runs = comparison.run_methods(keys, methods, [posed] * 2, Runner())["PPO"]
    assert runs.completions == (16, 32, 64)
    start = exact.policy_value(problem, reference)
    moved = exact.policy_value(problem, trie.policy_log_probs(policy, tiny))
    assert runs.broken[0] == ""
    assert runs.values == [[moved, moved, moved], [moved, start, start]]
    best = exact.policy_value(problem, exact.optimum(problem))
    known = Start(start, best, [], [(2, start)], {}, {})
    compared = comparison.MethodComparison((5, 6), None, [known] * 2, {"PPO": runs})
    (line,) = comparison.broken_runs(compared)
    assert line.startswith("PPO, seed 6, broke at update 2: the sampler and the sco")
    assert comparison.shares(compared, "PPO")[1, 2] == 0.0
    rows = results.run_rows(compared)
    assert [bool(row[-1]) for row in rows[1:]] == [False] * 3 + [True] * 3


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--seeds", "1"], "seeds must be at least 2, got 1"),
        (["--first-seed", "-1"], "first_seed must be in [0, 4294967295], got -1"),
        (["--ppo.pulls", "9"], "minibatches must divide pulls = 9, got 2"),
        (["--ppo.pulls", "6"], "best_of must divide pulls = 6, got 4"),
        (["--methods", "pop"], "online DPO, got 'pop' (did you mean PPO or DPO"),
        (["--methods", "ppo", "PPO"], "methods must have distinct names, got PPO"),
        (["--methods", "no.py:train"], "cannot read no.py: No such file or directory"),
        (["--out", "{there}"], "--out must be a new folder, got {there}: try --over"),
        (["--ratings", "no.csv"], "cannot read no.csv: No such file or directory"),
    ],
)
def test_a_mistake_costs_one_line_before_anything_is_learned(
    flags, complaint, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(pipeline, "prepare", None)
    assert run(*(flag.format(there=tmp_path) for flag in flags)) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1, message
    assert complaint.format(there=tmp_path) in message
    assert not any(tmp_path.iterdir())
