"""A report of a run on real text, as tables in the terminal."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

NAMES = {"base": "pretrained", "reference": "SFT", "policy": "PPO"}


def tables(report: dict[str, Any]) -> Iterator[Table]:
    """Perplexity, agreement with people, rewards, samples: what there is of them."""
    yield _perplexity(report)
    if "accuracy" in report:
        yield _accuracy(report)
        yield _rewards(report)
    yield _samples(report)


def _perplexity(report):
    table = Table(title="Perplexity of held-out texts")
    table.add_column("model")
    for name in ("per token", "per word"):
        table.add_column(name, justify="right")
    table.add_row("a uniform guess", f"{report['vocabulary_size']:.0f}", "")
    for name, found in report["perplexity"].items():
        numbers = (f"{found[key]:.1f}" for key in ("per_token", "per_word"))
        table.add_row(NAMES[name], *numbers)
    return table


def _accuracy(report):
    table = Table(title="Held-out pairs: how often is preferred what people prefer?")
    found = report["accuracy"]
    if "comparisons" in found["judge"]:
        table.add_column("who")
        table.add_column("comparisons", justify="right")
        for name, title in _SCORERS.items():
            table.add_row(title, f"{found[name]['comparisons']:.3f}")
        return table
    table.add_column("who, and by what measure")
    table.add_column("all pairs", justify="right")
    table.add_column("means differ by 1 or more", justify="right")

    def row(title, name, key):
        numbers = (f"{found[name][pairs][key]:.3f}" for pairs in ("all", "apart"))
        table.add_row(title, *numbers)

    for name, title in _SCORERS.items():
        row(f"{title}, by people's mean", name, "model")
    for name, title in _SCORERS.items():
        row(f"{title}, by a single rater", name, "model_and_rater")
    row("a single rater, by another", "judge", "two_raters")
    return table


def _rewards(report):
    table = Table(title="Before and after PPO, in deviations of the reference")
    table.add_column("prompts")
    table.add_column("policy")
    for name in ("reward model", "judge", "KL (nats)", "ended", "tokens"):
        table.add_column(name, justify="right")
    titles = {"prompts": "learned on", "new_prompts": "new"}
    for key, found in report["rewards"].items():
        for name in ("reference", "policy"):
            told = found[name]
            table.add_row(
                titles[key] if name == "reference" else "",
                NAMES[name],
                *(f"{told[scorer]['mean']:.2f}" for scorer in _SCORERS),
                f"{told['kl']:.2f}",
                f"{told['ended']:.0%}",
                f"{told['length']:.1f}",
            )
        gains = [found[f"gain_by_{scorer}"] for scorer in _SCORERS]
        told = [f"{gain['within']:+.2f} ± {gain['error']:.2f}" for gain in gains]
        told.append(f"± {found['policy']['kl_error']:.2f}")
        table.add_row("", "gain", *told, style="bold")
        # The prompts differ too: over all completions the deviation is larger.
        told = [f"{gain['overall']:+.2f}" for gain in gains]
        table.add_row("", "of all", *told)
        table.add_section()
    return table


def _samples(report):
    table = Table(title="Samples (... where the length limit cut a completion off)")
    table.add_column("prompt")
    names = [name for name in NAMES if name in report["samples"][0]][-2:]
    for name in names:
        table.add_column(NAMES[name])
    for row in report["samples"]:
        table.add_row(row["prompt"], *("\n\n".join(row[name]) for name in names))
        table.add_section()
    return table


_SCORERS = {"reward_model": "reward model", "judge": "judge"}
