"""The results of a run: a report, one picture, the models, tables for the terminal.

    report.json          everything that was measured, and the config
    history.csv          a line of numbers for each update of PPO, see `History`
    reward_kl.png        PPO's path in the plane of KL and reward
    NAME.safetensors     a checkpoint of each model, for `python -m lm_bandit ask`

Everything but the seconds and `machine` is a function of the config, of the versions,
and of the kind of processor: there the same seed gives the same report, on any number
of cores. Files appear whole or not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Group

from lm_bandit import bandit
from lm_bandit.checkpoints import LAST_GOOD, save_checkpoint
from lm_bandit.config import RunConfig
from lm_bandit.diagnostics import History, named_curves
from lm_bandit.oracle.estimates import Estimate
from lm_bandit.oracle.exact import Value
from lm_bandit.pipeline import Estimates, Learned, TrainedModels, Truth
from lm_bandit.world import World, babble_entropy
from mdp.interface.files import (
    Content,
    csv_text,
    json_text,
    machine,
    plain,
    png_bytes,
    versions,
)
from mdp.interface.tables import STANDARD_ERROR, explained_table

if TYPE_CHECKING:
    from lm_bandit.plots import Figure

TITLES = {
    "base": "pretrained",
    "reference": "SFT",
    "ppo": "PPO",
    "optimum": "optimum",
}
# The titles of the writers of the samples.
SAMPLED = {"base": TITLES["base"], "SFT": TITLES["reference"], "PPO": TITLES["ppo"]}
POLICIES = {
    "pretrained": "learned to predict the next word, whatever was asked",
    "SFT": "pretrained, then trained on demonstrations; the reference of KL",
    "PPO": "SFT, then trained for reward",
    "optimum": "the policy with the largest J that is possible",
}
OPTIMUM = (
    "The optimum is that of J, hence of the learned reward. Nothing in J is gold, so "
    "another policy, such as PPO's, can have more gold than the optimum."
)
# Those of a run; the last is there only after a run that broke.
FILES = (
    *("report.json", "history.csv", "reward_kl.png"),
    *(f"{name}.safetensors" for name in TrainedModels._fields),
    LAST_GOOD,
)
WRITERS = {"base": "base", "SFT": "reference", "PPO": "policy"}  # of the samples


def run_report(
    world: World, learned: Learned, found: Truth | Estimates, config: RunConfig
) -> dict[str, Any]:
    """Return everything that a run found, as plain numbers and strings.

    Estimated values come with their standard errors.
    """
    settings = {field.name: asdict(config)[field.name] for field in fields(RunConfig)}
    report = {
        "world": "pocket" if isinstance(found, Truth) else "wide",
        "seed": config.seed,
        "pretraining_loss": learned.pretraining_loss,
        "language_entropy": babble_entropy(world, world.context),
        "reward_model_accuracy": learned.held_out_accuracy,
        "samples": sample_texts(world, learned.models, config.seed),
        "config": settings | {"ratings": config.ratings.name},
        "versions": versions(),
        "machine": machine(),
    }
    path = [{"update": n, **plain(value)} for n, value in found.path]
    if isinstance(found, Estimates):
        estimates = {"completions": found.completions, **plain(found.values)}
        estimates["optimum"] = plain(found.optimum)
        return report | {"estimates": estimates | {"path": path}}
    ended, cut_off = found.problem.reference
    return {
        **report,
        **plain(found.values),
        "share_to_optimum": found.share_to_optimum,
        "completions": ended.size + cut_off.size,
        "ended": ended.size,
        "cut_off": cut_off.size,
        "share_in_format": found.in_format,
        "path": path,
        "frontier": plain(found.frontier),
    }


def sample_texts(
    world: World, models: TrainedModels, seed: int
) -> list[dict[str, Any]]:
    """Return three prompts, with three completions by the base, SFT and PPO models."""
    prompts, length = jnp.asarray(world.prompts), world.completion_length
    written = []
    for name, field in WRITERS.items():
        model = getattr(models, field)
        pulls = bandit.pull_all(model, jax.random.key(seed), prompts, 3, length)
        written.append((name, np.asarray(pulls.completions)))
    return [
        {
            "prompt": world.decode(world.prompts[i]).removesuffix(" ..."),
            **{name: [world.decode(y) for y in texts[i]] for name, texts in written},
        }
        for i in (0, 1, world.num_prompts - 1)
    ]


def run_files(
    report: dict[str, Any],
    picture: "Figure",
    learned: Learned,
    world: World,
) -> dict[str, Content]:
    """Return the report, the history, the picture and the models, by their names."""
    description = checkpoint_description(world, report["world"], report["seed"])
    files: dict[str, Content] = {
        f"{name}.safetensors": partial(
            save_checkpoint, params=model, description={**description, "model": name}
        )
        for name, model in learned.models._asdict().items()
    }
    files["history.csv"] = csv_text(history_rows(learned.history))
    files["reward_kl.png"] = png_bytes(picture)
    files["report.json"] = json_text(report)
    return files


def history_rows(history: History) -> list[list[Any]]:
    """Return the names of all curves of a history, and a row for each update."""
    curves = named_curves(history)
    return [list(curves), *np.array(list(curves.values())).T.tolist()]


def checkpoint_description(world: World, name: str, seed: int) -> dict[str, Any]:
    """Return the description that `ask` needs of a checkpoint."""
    return {"world": name, "vocabulary": world.vocabulary, "seed": seed}


def run_picture(found: Truth | Estimates, kl_weight: float) -> "Figure":
    """Draw the picture of a run at this beta, from exact or from estimated values."""
    # Only here, as matplotlib takes a while to import.
    from lm_bandit import plots

    if isinstance(found, Estimates):
        numbers = np.array([(x.kl_k1, x.learned, x.gold) for _, x in found.path])
        updates = [update for update, _ in found.path]
        return plots.estimated_run_figure(updates, numbers[..., 0], numbers[..., 1])
    best, share = found.values["optimum"], found.share_to_optimum
    return plots.run_figure(found.frontier, found.path, best, kl_weight, share)


def values_table(report: dict[str, Any]) -> Group:
    """Return the exact values of the pretrained, SFT, PPO and optimal policies."""
    start, best = report["reference"]["objective"], report["optimum"]["objective"]
    rows = []
    for name, title in TITLES.items():
        value = Value(**report[name])
        share = (value.objective - start) / (best - start)
        numbers = [f"{number:.3f}" for number in value]
        rows.append((title, *numbers, "" if name == "base" else f"{share:.1%}"))
    columns = value_columns(report["config"]["ppo"]) | {
        "share of the way": "from the J of SFT (0%) to that of the optimum (100%)"
    }
    title = "Exact values: sums over every completion of every prompt"
    return explained_table(title, columns, rows, POLICIES, (OPTIMUM,))


def estimates_table(report: dict[str, Any]) -> Group:
    """Return the estimated values of three policies, with their standard errors."""
    sampled = report["estimates"]
    title = f"Estimates from {sampled['completions']:,} sampled completions each"
    rows = []
    for name in ("base", "reference", "ppo"):
        numbers = [
            Estimate(**sampled[name][field])
            for field in ("gold", "learned", "kl_k1", "objective", "entropy")
        ]
        cells = [f"{x:.2f} ± {error:.2f}" for x, error in numbers]
        rows.append((TITLES[name], *cells))
    columns = value_columns(report["config"]["ppo"]) | {
        "entropy (nats)": "how varied the completions are: 0 if there is only one"
    }
    notes = (STANDARD_ERROR, way_note(sampled["optimum"]))
    policies = {title: POLICIES[title] for title, *_ in rows}
    return explained_table(title, columns, rows, policies, notes)


def way_note(found: Mapping[str, Any]) -> str:
    """Return what an `OptimumInterval`, as plain values, says of the optimum."""
    said = (
        f"J of the optimum is from {found['low']:.3f} to {found['high']:.3f}: PPO has "
        f"gone at least {max(found['share_low'], 0):.1%} and at most "
        f"{found['share_high']:.1%} of the way from SFT's J (intervals of 95%)."
    )
    unknown = found["prompts"] - found["known"]
    if unknown:
        said += (
            f" For {unknown} of {found['prompts']} prompts a single sample decides, so "
            "that only bounds are used: what PPO reaches, and the most that the reward "
            f"model can give, {found['ceiling']:.2f}."
        )
    if found["known"]:
        said += (
            f" For {found['known']} of {found['prompts']} prompts it is assumed that "
            "the samples missed no rare completion of a high reward."
        )
    return said


def value_columns(ppo: Mapping[str, Any]) -> dict[str, str]:
    """Return the meaning of each column of values, for these settings of PPO."""
    beta = ppo["kl_weight"]
    return {
        "policy": "",
        "gold reward": "what the raters think: the mean ratings (-4 to 4) of the words "
        "in a completion, added up, with the opposite sign where a complaint is asked "
        f"for; {ppo['penalty']:g} where a completion is cut off",
        "learned reward": "what the reward model thinks; 1 is the standard deviation "
        f"of SFT's rewards for one prompt; {ppo['penalty']:g} where it is cut off",
        "KL (nats)": "how far the policy is from SFT: the mean over its completions of "
        "log(its probability / that by SFT); a nat is 1.44 bits",
        "J": f"what PPO raises: learned reward - beta x KL, with beta = {beta:g}, the "
        "price of a nat",
    }


def samples_table(
    samples: Sequence[Mapping[str, Any]], writers: Mapping[str, str]
) -> Group:
    """Return texts that models wrote: one in a row, with its prompt and its model.

    Args:
        samples: for each prompt a mapping with "prompt", and texts by model.
        writers: the title of each model that is shown.
    """
    rows: list[Sequence[str]] = []
    for sample in samples:
        prompt = sample["prompt"]
        for name, title in writers.items():
            for text in sample[name]:
                rows.append((prompt, title, "-", text))
                prompt = title = ""
        rows.append(())
    columns = {"prompt": "", "model": "", "": "", "completion": ""}
    note = "A completion that ends in ... was cut off by the length limit."
    return explained_table("Samples", columns, rows[:-1], notes=(note,), texts=columns)
