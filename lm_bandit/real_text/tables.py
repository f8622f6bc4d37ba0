"""The report of a run on real text, as tables in the terminal."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group

from lm_bandit.report import samples_table, way_note
from mdp.interface.tables import STANDARD_ERROR, Row, explained_table

TITLES = {"base": "pretrained", "reference": "SFT", "policy": "PPO"}
SCORER_TITLES = {"reward_model": "reward model", "judge": "judge"}
JUDGE = (
    "The judge is a second reward model, which learned from other answers than the "
    "first. PPO never sees it, so it measures PPO."
)
MODELS = {
    "pretrained": "learned to predict all texts",
    "SFT": "pretrained, then trained on what follows a prompt",
    "PPO": "SFT, then trained for the score of the reward model",
}


def report_tables(report: dict[str, Any]) -> Iterator[Group]:
    """Yield the tables of perplexity, of agreement with people, of rewards, of samples.

    Without feedback there are only the first and the last.
    """
    yield _perplexity(report)
    if "accuracy" in report:
        yield _accuracy(report["accuracy"])
        yield _rewards(report["rewards"])
    sampled = report["samples"]
    last = [name for name in TITLES if name in sampled[0]][-2:]
    yield samples_table(sampled, {name: TITLES[name] for name in last})


def _perplexity(report: dict[str, Any]) -> Group:
    rows: list[Row] = [("a uniform guess", f"{report['vocabulary_size']:.0f}", "")]
    for name, numbers in report["perplexity"].items():
        per_token, per_word = numbers["per_token"], numbers["per_word"]
        rows.append((TITLES[name], f"{per_token:.1f}", f"{per_word:.1f}"))
    columns = {
        "model": "",
        "per token": "among so many equally likely tokens (words or parts of words) "
        "it would be as hard to guess the next one; smaller is better",
        "per word": "the same for whole words, which does not depend on the tokens",
    }
    title = "Perplexity of texts that no model has seen"
    words = {title: MODELS[title] for title, *_ in rows[1:]}
    return explained_table(title, columns, rows, words)


def _accuracy(accuracy: dict[str, Any]) -> Group:
    title = "Pairs that no model has seen: how often do two prefer the same text?"
    rows: list[Row] = []
    if "comparisons" in accuracy["judge"]:
        columns = {"who": "", "agree": "share of the pairs; a coin agrees in 0.5"}
        rows += [
            (f"{title} and annotator", f"{accuracy[name]['comparisons']:.3f}")
            for name, title in SCORER_TITLES.items()
        ]
        return explained_table(title, columns, rows, notes=(JUDGE,))
    for row, name, measure in (
        ("reward model, people's mean", "reward_model", "model"),
        ("judge, people's mean", "judge", "model"),
        ("reward model, one rater", "reward_model", "model_and_rater"),
        ("judge, one rater", "judge", "model_and_rater"),
        ("one rater, another rater", "judge", "two_raters"),
    ):
        numbers = (accuracy[name][pairs][measure] for pairs in ("all", "apart"))
        rows.append((row, *(f"{x:.3f}" for x in numbers)))
    columns = {
        "who": "",
        "all pairs": "share of the pairs in which both prefer the same text; a coin "
        "agrees in 0.5",
        "clear pairs": "the same, where people's means differ by at least 1 point",
    }
    words = {
        "people's mean": "by the mean of all ratings of each text",
        "one rater": "by one rating of each text, drawn from those that differ",
    }
    notes = JUDGE, "The last row is the bar: so often do people agree with each other."
    return explained_table(title, columns, rows, words, notes)


def _rewards(rewards: dict[str, Any]) -> Group:
    rows: list[Row] = []
    prompts = {"prompts": "seen", "new_prompts": "new"}
    for key, results in rewards.items():
        for name, label in (("reference", prompts[key]), ("policy", "")):
            row, error = results[name], f" ± {results[name]['kl_error']:.2f}"
            rows.append(
                (
                    label,
                    TITLES[name],
                    *(f"{row[scorer]['mean']:.2f}" for scorer in SCORER_TITLES),
                    f"{row['kl']:.2f}" + error * (name == "policy"),
                    f"{row['ended']:.0%}",
                    f"{row['length']:.1f}",
                )
            )
        gains = [results[f"gain_by_{scorer}"] for scorer in SCORER_TITLES]
        within = [f"{gain['within']:+.2f} ± {gain['error']:.2f}" for gain in gains]
        # The prompts differ too: over all completions the deviation is larger.
        overall = [f"{gain['overall']:+.2f}" for gain in gains]
        rows.append(("", "gain", *within, "", "", ""))
        rows += [("", "gain overall", *overall, "", "", ""), ()]
    columns = {
        "prompts": "seen: PPO was trained with them; new: no model has seen them",
        "policy": "",
        "reward model": "mean score by the model that PPO was trained for",
        "judge": "mean score by the judge",
        "KL (nats)": "how far PPO is from SFT: the mean over PPO's completions of "
        "log(probability by PPO / probability by SFT); a nat is 1.44 bits",
        "ended": "share of the completions that end within the length limit",
        "tokens": "mean number of tokens of a completion",
    }
    words = {
        "gain": "PPO's score minus SFT's; 1 is the standard deviation of SFT's scores "
        "for one prompt",
        "gain overall": "the same; 1 is their deviation over all prompts together",
    }
    title, notes = "Scores before and after PPO", [STANDARD_ERROR, JUDGE]
    for key, results in rewards.items():
        notes.append(f"With {prompts[key]} prompts: {way_note(results['optimum'])}")
    return explained_table(title, columns, rows[:-1], words, notes, ("policy",))
