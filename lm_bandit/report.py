"""What a run leaves behind: a report, one figure, its models, tables for the terminal.

Everything but `seconds` is a function of the config, so the same seed gives the same
report. Files appear whole or not at all.
"""

import io
import json
from dataclasses import asdict, fields
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from lm_bandit import bandit, checkpoints, plots
from lm_bandit.oracle import exact
from lm_bandit.oracle.estimates import Estimate, EstimatedValue, Estimates
from lm_bandit.oracle.exact import Value
from lm_bandit.pipeline import Learned, RunConfig, TrainedModels, Truth
from lm_bandit.world import World, babble_entropy
from mdp.interface.files import write_files

ROWS = {
    "base": "pretrained",
    "reference": "SFT (the reference)",
    "ppo": "PPO",
    "optimum": "exact optimum",
}
FRONTIER = np.geomspace(10.0, 0.01, 40)  # values of beta, from strict to lax


def run_report(
    world: World, learned: Learned, truth: Truth, config: RunConfig
) -> dict[str, Any]:
    """Everything that the run found, as plain numbers and strings."""
    ended, cut_off = truth.problem.reference
    frontier = exact.frontier(truth.problem, FRONTIER)
    return {
        **about(world, learned, config, "pocket"),
        **{name: value._asdict() for name, value in truth.values.items()},
        "share_to_optimum": truth.share_to_optimum,
        "completions": ended.size + cut_off.size,
        "ended": ended.size,
        "cut_off": cut_off.size,
        "share_in_format": truth.in_format,
        "path": [{"update": n, **value._asdict()} for n, value in truth.path],
        "frontier": [value._asdict() for value in frontier],
    }


def estimated_run_report(
    world: World, learned: Learned, found: Estimates, config: RunConfig
) -> dict[str, Any]:
    """The same where nothing is exact: a mean and its standard error each."""
    return {
        **about(world, learned, config, "wide"),
        "estimates": {
            "completions": found.completions,
            **{name: _plain(value) for name, value in found.values.items()},
            "path": [{"update": n, **_plain(value)} for n, value in found.path],
        },
    }


def about(
    world: World, learned: Learned, config: RunConfig, name: str
) -> dict[str, Any]:
    """What there is to say of a run on any world."""
    return {
        "world": name,
        "seed": config.seed,
        "pretraining_loss": learned.pretraining_loss,
        "language_entropy": babble_entropy(world, world.context),
        "reward_model_accuracy": learned.held_out_accuracy,
        "samples": sample_texts(world, learned, config),
        "config": {f.name: asdict(config)[f.name] for f in fields(RunConfig)}
        | {"ratings": config.ratings.name},
        "versions": {
            name: version(name) for name in ("bellman-to-rlhf", "jax", "numpy", "optax")
        },
    }


def sample_texts(
    world: World, learned: Learned, config: RunConfig
) -> list[dict[str, Any]]:
    """Three prompts, and three completions of each by the base, SFT and PPO models."""
    key = jax.random.key(config.seed)
    models = {name: getattr(learned.models, field) for name, field in _MODELS.items()}
    completions = {
        name: np.asarray(
            bandit.pull_all(
                model, key, jnp.asarray(world.prompts), 3, world.completion_length
            ).completions
        )
        for name, model in models.items()
    }
    chosen = [0, 1, world.num_prompts - 1]
    return [
        {
            "prompt": world.decode(world.prompts[i]).removesuffix(" ..."),
            **{
                name: [world.decode(c) for c in completions[name][i]] for name in models
            },
        }
        for i in chosen
    ]


def run_picture(report: dict[str, Any]) -> bytes:
    """The run's picture as a PNG, from the numbers of its report."""
    drawing = _estimated(report) if "estimates" in report else _exact(report)
    png = io.BytesIO()
    drawing.savefig(png, format="png", dpi=150, metadata={"Software": None})
    return png.getvalue()


def _exact(report: dict[str, Any]):
    numbers = [Value(**row) for row in report["frontier"]]
    path = [
        (row["update"], Value(*(row[name] for name in Value._fields)))
        for row in report["path"]
    ]
    return plots.run_figure(
        numbers,
        path,
        Value(**report["optimum"]),
        report["config"]["ppo"]["kl_weight"],
        report["share_to_optimum"],
    )


def _estimated(report: dict[str, Any]):
    rows = report["estimates"]["path"]
    names = "kl_k1", "learned", "gold"
    means, errors = (
        np.array([[row[name][what] for name in names] for row in rows])
        for what in ("mean", "standard_error")
    )
    return plots.estimated_run_figure([row["update"] for row in rows], means, errors)


def values_table(report: dict[str, Any]) -> Table:
    """SFT, PPO and the exact optimum, side by side."""
    table = Table(title="Exact values, over every completion of every prompt")
    table.add_column("policy")
    for name in ("gold reward", "learned reward", "KL (nats)", "J", "share of the way"):
        table.add_column(name, justify="right")
    start, best = report["reference"]["objective"], report["optimum"]["objective"]
    for name, title in ROWS.items():
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
    """Base, SFT and PPO by samples; each number with its standard error."""
    found = report["estimates"]
    table = Table(
        title=f"Estimates (± standard error), {found['completions']:,} sampled "
        "completions each; no exact optimum is known"
    )
    table.add_column("policy")
    heads = ("gold reward", "learned reward", "KL by k1 (nats)", "entropy (nats)", "J")
    for head in heads:
        table.add_column(head, justify="right")
    columns = "gold", "learned", "kl_k1", "entropy", "objective"
    for name in ("base", "reference", "ppo"):
        numbers = [Estimate(**found[name][column]) for column in columns]
        style = "bold" if name == "ppo" else None
        table.add_row(
            ROWS[name], *(f"{x:.3f} ± {se:.3f}" for x, se in numbers), style=style
        )
    return table


def samples_table(report: dict[str, Any]) -> Table:
    """What the three models write, side by side."""
    table = Table(title="Samples (... where the length limit cut a completion off)")
    for name in ("prompt", *_MODELS):
        table.add_column(name)
    for row in report["samples"]:
        table.add_row(row["prompt"], *("\n".join(row[name]) for name in _MODELS))
        table.add_section()
    return table


def write_run(
    folder: Path, report: dict[str, Any], models: TrainedModels, world: World
) -> None:
    """`report.json`, `reward_kl.png` and a checkpoint of each model, all or nothing."""
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    described = description(world, report["world"], report["seed"])
    files = {
        f"{name}.safetensors": partial(
            checkpoints.save_checkpoint,
            params=model,
            description={**described, "model": name},
        )
        for name, model in models._asdict().items()
    }
    files["reward_kl.png"] = lambda path: path.write_bytes(run_picture(report))
    files["report.json"] = lambda path: path.write_text(text)
    write_files(folder, files)


def description(world: World, name: str, seed: int) -> dict[str, Any]:
    """What a checkpoint says of itself: `ask` reads it."""
    return {"world": name, "vocabulary": world.vocabulary, "seed": seed}


def _plain(value: EstimatedValue) -> dict[str, dict[str, float]]:
    return {name: each._asdict() for name, each in value._asdict().items()}


_MODELS = {"base": "base", "SFT": "reference", "PPO": "policy"}
