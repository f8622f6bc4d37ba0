"""A long run in stages, each of which is done once.

    config.json, tokenizer.json, and one .safetensors file for each of
    base  ->  reference  ->  reward_model, judge  ->  policy

A finished stage is a checkpoint in the folder of the run. The same command reads it and
continues with the next, or within a stage (`mdp/interface/runs.py`). Each stage has its
own random numbers, so a run that was stopped gives the same result as one that was not.
A run with another configuration is refused, or starts anew with --overwrite.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_bandit import checkpoints
from lm_bandit.real_text.tokens import TOKENIZER_FILE
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from mdp.checks import is_number
from mdp.interface.files import open_file, read_json, write_files, write_json
from mdp.interface.progress import Progress, Report
from mdp.interface.runs import require_same

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAMES = ("base", "reference", "reward_model", "judge", "policy")
CONFIG, REPORT = "config.json", "report.json"

Model = Transformer | RewardModel
Measured = dict[str, Any]  # numbers that a stage's training gave


class Stages:
    """The stages of one run, in its folder."""

    def __init__(self, folder: Path, config: dict[str, Any], progress: Progress):
        """Prepare a run, without touching its folder.

        Args:
            folder: of the run.
            config: everything that the results depend on, in the types of JSON.
            progress: where the time of each stage is reported.
        """
        self.folder = folder
        self.config = config
        self.progress = progress
        self.resumed: list[str] = []  # the stages that were done before

    def check(self, overwrite: bool) -> None:
        """Raise ValueError if the folder holds another run that must stay."""
        config = self.folder / CONFIG
        if config.exists() and not overwrite:
            require_same(read_json(config), self.config, config)

    def open(self, tokenizer: "Tokenizer", overwrite: bool) -> None:
        """Write the config and the tokenizer, or check that they are the same.

        Raises ValueError if the folder holds another run; `overwrite` removes that run.
        """
        self.check(overwrite)
        checkpoint_files = (f"{name}.safetensors" for name in NAMES)
        self.folder.mkdir(parents=True, exist_ok=True)
        if overwrite:
            names = (CONFIG, REPORT, TOKENIZER_FILE, checkpoints.LAST_GOOD)
            for name in (*names, *checkpoint_files):
                (self.folder / name).unlink(missing_ok=True)
        config, words = self.folder / CONFIG, self.folder / TOKENIZER_FILE
        if not config.exists():
            write_json(config, self.config)
        text = tokenizer.to_str(pretty=True)
        if words.exists() and open_file(words).read() != text.encode():
            raise ValueError(f"{words} was made from other texts; try --overwrite")
        write_files(self.folder, {TOKENIZER_FILE: text})

    def stage(
        self,
        name: str,
        title: str,
        steps: int,
        train: Callable[[Report], tuple[Model, Measured]],
    ) -> tuple[Any, Measured]:
        """Return the model of a stage and its measurements, from its file or made now.

        Args:
            name: of the checkpoint.
            title: of the progress bar.
            steps: number of steps of the progress bar.
            train: makes the model; called only if the stage has no file.
        """
        path = self.folder / f"{name}.safetensors"
        if path.exists():
            model, about = checkpoints.load_checkpoint(path)
            told = is_number(about.get("seconds"))
            told = told and isinstance(about.get("measured"), dict)
            if about.get("stage") != name or not told:
                raise ValueError(
                    f"{path}: expected the stage {name} of a run on text, with its "
                    "seconds and what was measured: try --overwrite"
                )
            self.resumed.append(name)
            self.progress.seconds[title] = about["seconds"]
            return model, about["measured"]
        with self.progress.stage(title, steps) as report:
            model, measured = train(report)
        seconds = round(self.progress.seconds[title], 1)
        about = {"stage": name, "seconds": seconds, "measured": measured}
        checkpoints.save_checkpoint(path, model, {**about, "tokenizer": TOKENIZER_FILE})
        return model, measured
