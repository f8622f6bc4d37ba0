"""The results of a run: a report, one picture, the models, tables for the terminal.

    report.json          everything that was measured, and the config
    reward_kl.png        PPO's path in the plane of KL and reward
    NAME.safetensors     a checkpoint of each model, for `python -m lm_bandit ask`

Everything but `seconds` is a function of the config, so the same seed gives the same
report. Files appear whole or not at all.
"""

from dataclasses import asdict, fields
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from lm_bandit import bandit, plots
from lm_bandit.checkpoints import save_checkpoint
from lm_bandit.oracle import exact
from lm_bandit.oracle.estimates import Estimate
from lm_bandit.oracle.exact import Value
from lm_bandit.pipeline import Estimates, Learned, RunConfig, TrainedModels, Truth
from lm_bandit.world import World, babble_entropy
from mdp.interface.files import Content, json_text, plain, png_bytes, write_files

TITLES = {
    "base": "pretrained",
    "reference": "SFT (the reference)",
    "ppo": "PPO",
    "optimum": "exact optimum",
}
WRITERS = {"base": "base", "SFT": "reference", "PPO": "policy"}  # of the samples
FRONTIER = np.geomspace(10.0, 0.01, 40)  # values of beta, from strict to lax


def run_report(
    world: World, learned: Learned, truth: Truth, config: RunConfig
) -> dict[str, Any]:
    """Return everything that an enumerated run found, as plain numbers and strings."""
    ended, cut_off = truth.problem.reference
    return {
        **_about(world, learned, config, "pocket"),
        **plain(truth.values),
        "share_to_optimum": truth.share_to_optimum,
        "completions": ended.size + cut_off.size,
        "ended": ended.size,
        "cut_off": cut_off.size,
        "share_in_format": truth.in_format,
        "path": [{"update": n, **value._asdict()} for n, value in truth.path],
        "frontier": plain(exact.frontier(truth.problem, FRONTIER)),
    }


def estimated_run_report(
    world: World, learned: Learned, sampled: Estimates, config: RunConfig
) -> dict[str, Any]:
    """Return everything that a sampled run found, each with its standard error."""
    return {
        **_about(world, learned, config, "wide"),
        "estimates": {
            "completions": sampled.completions,
            **plain(sampled.values),
            "path": [{"update": n, **plain(value)} for n, value in sampled.path],
        },
    }


def _about(
    world: World, learned: Learned, config: RunConfig, name: str
) -> dict[str, Any]:
    """Return the entries that a report has in every world."""
    settings = {field.name: asdict(config)[field.name] for field in fields(RunConfig)}
    packages = "bellman-to-rlhf", "jax", "numpy", "optax"
    return {
        "world": name,
        "seed": config.seed,
        "pretraining_loss": learned.pretraining_loss,
        "language_entropy": babble_entropy(world, world.context),
        "reward_model_accuracy": learned.held_out_accuracy,
        "samples": sample_texts(world, learned.models, config.seed),
        "config": settings | {"ratings": config.ratings.name},
        "versions": {package: version(package) for package in packages},
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


def write_run(
    folder: Path, report: dict[str, Any], models: TrainedModels, world: World
) -> None:
    """Write the report, its picture and a checkpoint of each model, all or nothing."""
    description = checkpoint_description(world, report["world"], report["seed"])
    files: dict[str, Content] = {
        f"{name}.safetensors": partial(
            save_checkpoint, params=model, description={**description, "model": name}
        )
        for name, model in models._asdict().items()
    }
    files["reward_kl.png"] = png_bytes(run_picture(report))
    files["report.json"] = json_text(report)
    write_files(folder, files)


def checkpoint_description(world: World, name: str, seed: int) -> dict[str, Any]:
    """Return the description that `ask` needs of a checkpoint."""
    return {"world": name, "vocabulary": world.vocabulary, "seed": seed}


def run_picture(report: dict[str, Any]) -> plots.Figure:
    """Draw the picture of a run from the numbers of its report."""
    if "estimates" in report:
        rows = report["estimates"]["path"]
        columns = [[row[name] for name in ("kl_k1", "learned", "gold")] for row in rows]
        means = np.array([[x["mean"] for x in row] for row in columns])
        errors = np.array([[x["standard_error"] for x in row] for row in columns])
        updates = [row["update"] for row in rows]
        return plots.estimated_run_figure(updates, means, errors)
    path = [
        (row["update"], Value(*(row[name] for name in Value._fields)))
        for row in report["path"]
    ]
    return plots.run_figure(
        [Value(**row) for row in report["frontier"]],
        path,
        Value(**report["optimum"]),
        report["config"]["ppo"]["kl_weight"],
        report["share_to_optimum"],
    )


def values_table(report: dict[str, Any]) -> Table:
    """Return the exact values of the base, SFT, PPO and optimal policies."""
    table = Table(title="Exact values, over every completion of every prompt")
    table.add_column("policy")
    for name in ("gold reward", "learned reward", "KL (nats)", "J", "share of the way"):
        table.add_column(name, justify="right")
    start, best = report["reference"]["objective"], report["optimum"]["objective"]
    for name, title in TITLES.items():
        value = Value(**report[name])
        share = (value.objective - start) / (best - start)
        table.add_row(
            title,
            *(f"{number:.3f}" for number in value),
            "" if name == "base" else f"{share:.1%}",
            style="bold" if name == "ppo" else None,
        )
    return table


def estimates_table(report: dict[str, Any]) -> Table:
    """Return the estimated values of three policies, with their standard errors."""
    sampled = report["estimates"]
    table = Table(
        title=f"Estimates (± standard error), {sampled['completions']:,} sampled "
        "completions each; no exact optimum is known"
    )
    table.add_column("policy")
    heads = ("gold reward", "learned reward", "KL by k1 (nats)", "entropy (nats)", "J")
    for head in heads:
        table.add_column(head, justify="right")
    columns = "gold", "learned", "kl_k1", "entropy", "objective"
    for name in ("base", "reference", "ppo"):
        numbers = [Estimate(**sampled[name][column]) for column in columns]
        style = "bold" if name == "ppo" else None
        table.add_row(
            TITLES[name],
            *(f"{x:.3f} ± {error:.3f}" for x, error in numbers),
            style=style,
        )
    return table


def samples_table(report: dict[str, Any]) -> Table:
    """Return the texts that three models write, side by side."""
    table = Table(title="Samples (... where the length limit cut a completion off)")
    for name in ("prompt", *WRITERS):
        table.add_column(name)
    for row in report["samples"]:
        table.add_row(row["prompt"], *("\n".join(row[name]) for name in WRITERS))
        table.add_section()
    return table
