"""The tables of the four commands: 80 columns, whole words, and a meaning for each."""

import pytest

from lm_bandit import report
from lm_bandit.alternatives.comparison import MethodComparison, Runs
from lm_bandit.alternatives.config import CompareConfig
from lm_bandit.alternatives.results import comparison_table
from lm_bandit.alternatives.starts import Start
from lm_bandit.lab.command import EXPERIMENTS, find_experiment
from lm_bandit.oracle.exact import Value
from lm_bandit.real_text.tables import report_tables
from tests.shown import lines_at

VALUE = {"gold": -4.579, "learned": -2.91, "kl": 2.57, "objective": -3.197}
BEST = VALUE | {"objective": 1.294}
ESTIMATE = {"mean": -4.5678, "standard_error": 0.0123}
INTERVAL = {"low": 1.395, "high": 1.4778, "ceiling": 3.2411}
INTERVAL |= {"known": 4, "prompts": 8, "share_low": 0.92372, "share_high": 0.97861}
PPO = {"kl_weight": 0.07, "penalty": -4.0}
LONG = "a film that is as much about its makers as about its people and that moves us"
SAMPLES = [
    {"prompt": "praise: the film was", **{x: [LONG, LONG] for x in report.SAMPLED}}
]


def run_values():
    names = ("base", "reference", "ppo")
    found = dict.fromkeys(names, VALUE) | {"optimum": BEST}
    return report.values_table({**found, "config": {"ppo": PPO}})


def run_estimates():
    fields = ("gold", "learned", "kl_k1", "objective", "entropy")
    value = dict.fromkeys(fields, ESTIMATE)
    sampled = dict.fromkeys(("base", "reference", "ppo"), value)
    found = {"completions": 16384, "optimum": INTERVAL, **sampled}
    found = {"estimates": found, "config": {"ppo": PPO}}
    return report.estimates_table(found)


def run_comparison():
    config = CompareConfig()
    names = ("PPO", "expert iteration", "my own")
    value = Value(**VALUE)
    best = Value(**BEST)
    known = dict.fromkeys(names[:2], best)
    start = Start(value, best, [], [(1024, value)], known, known)
    runs = Runs(config.ppo, (15360,), [[value]] * 2, ["", ""])
    results = MethodComparison(
        seeds=(0, 1),
        config=config,
        starts=[start, start],
        runs=dict.fromkeys(names, runs),
    )
    return comparison_table(results, dict.fromkeys(names, 123.0))


def real_text(accuracy):
    policy = {"kl": 12.34, "kl_error": 0.12, "ended": 1.0, "length": 31.2}
    gain = {"within": -1.234, "overall": 0.5, "error": 0.071}
    scorers = ("reward_model", "judge")
    policy |= {name: {"mean": -10.123} for name in scorers}
    results = {"reference": policy, "policy": policy}
    results |= {f"gain_by_{name}": gain for name in scorers}
    results["optimum"] = INTERVAL
    models = ("base", "reference", "policy")
    perplexity = {name: {"per_token": 61.2, "per_word": 301.5} for name in models}
    return report_tables(
        {
            "vocabulary_size": 3072,
            "perplexity": perplexity,
            "accuracy": dict.fromkeys(scorers, accuracy),
            "rewards": {"prompts": results, "new_prompts": results},
            "samples": [{"prompt": "it is", **{x: [LONG, LONG] for x in models}}],
        }
    )


AGREEMENT = dict.fromkeys(("model", "model_and_rater", "two_raters"), 0.812)
TABLES = {
    "values": run_values(),
    "estimates": run_estimates(),
    "samples": report.samples_table(SAMPLES, report.SAMPLED),
    "comparison": run_comparison(),
    **dict(enumerate(real_text({"all": AGREEMENT, "apart": AGREEMENT}))),
    **dict(enumerate(real_text({"comparisons": 0.7}), start=10)),
}
PLAIN = {"policy", "method", "model", "who", "prompt", "completion", ""}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_80_columns_and_every_column_has_a_meaning(name):
    table = TABLES[name]
    lines = lines_at(table)
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    # The heads stand above the first rule; the words of each begin a line below.
    shown, *_ = [x for x in table.renderables if hasattr(x, "columns")]
    heads = {" ".join(str(column.header).split()) for column in shown.columns}
    below = "\n".join(lines[next(i for i, x in enumerate(lines) if x[:3] == "───") :])
    assert all(f"\n{head}  " in below for head in heads - PLAIN)
    assert ("±" in below) == ("± e:" in below)


def test_one_completion_is_told_from_the_next():
    lines = lines_at(TABLES["samples"])
    assert sum(" -  " in line for line in lines) == 6
    assert sum("praise: the film was" in line for line in lines) == 1
    words = " ".join(" ".join(lines).split())
    assert words.count(LONG) == 6
    assert all(words.count(title) == 1 for title in report.SAMPLED.values())


def test_models_have_one_name_in_all_tables():
    for name, table in TABLES.items():
        shown = " ".join(lines_at(table))
        assert " base " not in shown
        assert "reference)" not in shown
        assert ("SFT" in shown) or name in (1, 11)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_column_of_an_experiment_has_a_meaning(name):
    experiment = find_experiment(name)
    first, *others = experiment.columns
    without = {head for head in others if not experiment.columns[head]}
    assert without <= {"1 word", "2 words", "3 words"}
    assert experiment.columns[first] or experiment.words
