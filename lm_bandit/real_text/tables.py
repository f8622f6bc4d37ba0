"""The report of a run on real text, as tables in the terminal."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

TITLES = {"base": "pretrained", "reference": "SFT", "policy": "PPO"}
SCORER_TITLES = {"reward_model": "reward model", "judge": "judge"}


def report_tables(report: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables of perplexity, of agreement with people, of rewards, of samples.

    Without feedback there are only the first and the last.
    """
    yield _perplexity(report)
    if "accuracy" in report:
        yield _accuracy(report["accuracy"])
        yield _rewards(report["rewards"])
    yield _samples(report["samples"])


def _table(title: str, texts: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    """Return an empty table with columns of text, then columns of numbers."""
    table = Table(title=title)
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _perplexity(report: dict[str, Any]) -> Table:
    title = "Perplexity of held-out texts"
    table = _table(title, ("model",), ("per token", "per word"))
    table.add_row("a uniform guess", f"{report['vocabulary_size']:.0f}", "")
    for name, numbers in report["perplexity"].items():
        per_token, per_word = numbers["per_token"], numbers["per_word"]
        table.add_row(TITLES[name], f"{per_token:.1f}", f"{per_word:.1f}")
    return table


def _accuracy(accuracy: dict[str, Any]) -> Table:
    title = "Held-out pairs: how often do both prefer the same text?"
    if "comparisons" in accuracy["judge"]:
        table = _table(title, ("both",), ("comparisons",))
        for name, scorer in SCORER_TITLES.items():
            table.add_row(
                f"{scorer} and annotator", f"{accuracy[name]['comparisons']:.3f}"
            )
        return table
    columns = "all pairs", "means differ by 1 or more"
    table = _table(title, ("both",), columns)
    for row, name, measure in (
        ("reward model and people's mean", "reward_model", "model"),
        ("judge and people's mean", "judge", "model"),
        ("reward model and a single rater", "reward_model", "model_and_rater"),
        ("judge and a single rater", "judge", "model_and_rater"),
        ("two raters", "judge", "two_raters"),
    ):
        numbers = (accuracy[name][pairs][measure] for pairs in ("all", "apart"))
        table.add_row(row, *(f"{x:.3f}" for x in numbers))
    return table


def _rewards(rewards: dict[str, Any]) -> Table:
    title = "Before and after PPO, in deviations of the reference"
    columns = "reward model", "judge", "KL (nats)", "ended", "tokens"
    table = _table(title, ("prompts", "policy"), columns)
    prompts = {"prompts": "learned on", "new_prompts": "new"}
    for key, results in rewards.items():
        for name in ("reference", "policy"):
            row = results[name]
            table.add_row(
                prompts[key] if name == "reference" else "",
                TITLES[name],
                *(f"{row[scorer]['mean']:.2f}" for scorer in SCORER_TITLES),
                f"{row['kl']:.2f}",
                f"{row['ended']:.0%}",
                f"{row['length']:.1f}",
            )
        gains = [results[f"gain_by_{scorer}"] for scorer in SCORER_TITLES]
        within = [f"{gain['within']:+.2f} ± {gain['error']:.2f}" for gain in gains]
        kl_error = f"± {results['policy']['kl_error']:.2f}"
        table.add_row("", "gain", *within, kl_error, style="bold")
        # The prompts differ too: over all completions the deviation is larger.
        overall = [f"{gain['overall']:+.2f}" for gain in gains]
        table.add_row("", "overall", *overall)
        table.add_section()
    return table


def _samples(samples: list[dict[str, Any]]) -> Table:
    title = "Samples (... where the length limit cut a completion off)"
    names = [name for name in TITLES if name in samples[0]][-2:]
    table = _table(title, ("prompt", *(TITLES[name] for name in names)), ())
    for row in samples:
        table.add_row(row["prompt"], *("\n\n".join(row[name]) for name in names))
        table.add_section()
    return table
