"""The results of a run: a report, one picture, the models, tables for the terminal.

    report.json          everything that was measured, and the config
    reward_kl.png        PPO's path in the plane of KL and reward
    NAME.safetensors     a checkpoint of each model, for `python -m lm_bandit ask`

Everything but `seconds` and `machine` is a function of the config, of the versions, and
of the kind of processor: there the same seed gives the same report, on any number of
cores. Files appear whole or not at all.
"""

from dataclasses import asdict, fields
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from lm_bandit import bandit, plots
from lm_bandit.checkpoints import LAST_GOOD, save_checkpoint
from lm_bandit.config import RunConfig
from lm_bandit.oracle.estimates import Estimate
from lm_bandit.oracle.exact import Value
from lm_bandit.pipeline import Estimates, Learned, TrainedModels, Truth
from lm_bandit.world import World, babble_entropy
from mdp.interface.files import Content, json_text, machine, plain, png_bytes, versions

TITLES = {
    "base": "pretrained",
    "reference": "SFT (the reference)",
    "ppo": "PPO",
    "optimum": "exact optimum",
}
# Those of a run; the last is there only after a run that broke.
FILES = (
    *("report.json", "reward_kl.png"),
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
    picture: plots.Figure,
    models: TrainedModels,
    world: World,
) -> dict[str, Content]:
    """Return the report, its picture and a checkpoint of each model, by their names."""
    description = checkpoint_description(world, report["world"], report["seed"])
    files: dict[str, Content] = {
        f"{name}.safetensors": partial(
            save_checkpoint, params=model, description={**description, "model": name}
        )
        for name, model in models._asdict().items()
    }
    files["reward_kl.png"] = png_bytes(picture)
    files["report.json"] = json_text(report)
    return files


def checkpoint_description(world: World, name: str, seed: int) -> dict[str, Any]:
    """Return the description that `ask` needs of a checkpoint."""
    return {"world": name, "vocabulary": world.vocabulary, "seed": seed}


def run_picture(found: Truth | Estimates, kl_weight: float) -> plots.Figure:
    """Draw the picture of a run at this beta, from exact or from estimated values."""
    if isinstance(found, Estimates):
        numbers = np.array([(x.kl_k1, x.learned, x.gold) for _, x in found.path])
        updates = [update for update, _ in found.path]
        return plots.estimated_run_figure(updates, numbers[..., 0], numbers[..., 1])
    best, share = found.values["optimum"], found.share_to_optimum
    return plots.run_figure(found.frontier, found.path, best, kl_weight, share)


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
        cells = [f"{number:.3f}" for number in value]
        cells.append("" if name == "base" else f"{share:.1%}")
        table.add_row(title, *cells, style="bold" if name == "ppo" else None)
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
        cells = [f"{x:.3f} ± {error:.3f}" for x, error in numbers]
        table.add_row(TITLES[name], *cells, style="bold" if name == "ppo" else None)
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
