"""A long run in stages, each of which is done once.

    config.json, tokenizer.json, and one .safetensors file each of
    base  ->  reference  ->  reward_model, judge  ->  policy

A finished stage is a checkpoint in the run's folder. The same command again reads it
and goes on with the next: a stage's random numbers are its own, so that a run that was
stopped ends as one that was not. Another configuration is another run: it is refused,
or starts anew if that is asked for.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_bandit import checkpoints
from lm_bandit.real_text import tokenizer
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from mdp.interface.files import write_files
from mdp.interface.progress import Progress

Model = Transformer | RewardModel
NAMES = ("base", "reference", "reward_model", "judge", "policy")
CONFIG, REPORT = "config.json", "report.json"


class Stages:
    """The stages of one run, in its folder."""

    def __init__(self, folder: Path, config: dict[str, Any], progress: Progress):
        self.folder = folder
        self.config = config
        self.progress = progress
        self.resumed: list[str] = []  # the stages that were done before

    def begin(self, overwrite: bool) -> None:
        """Open the folder; raises ValueError where it holds another run."""
        path = self.folder / CONFIG
        self.folder.mkdir(parents=True, exist_ok=True)
        if overwrite:
            files = (CONFIG, REPORT, tokenizer.FILE, *map(self._file, NAMES))
            for name in files:
                (self.folder / name).unlink(missing_ok=True)
        if path.exists():
            self._require_same(path)
        else:
            write_json(path, self.config)

    def keep(self, words) -> None:
        """Write the tokenizer beside the checkpoints; a run has only one."""
        path = self.folder / tokenizer.FILE
        text = words.to_str(pretty=True)
        if path.exists() and path.read_text("utf-8") != text:
            raise ValueError(f"{path}: is of other texts; try --overwrite")
        save = {tokenizer.FILE: lambda file: file.write_text(text, "utf-8")}
        write_files(self.folder, save)

    def stage(
        self,
        name: str,
        title: str,
        steps: int,
        make: Callable[[Callable[..., None]], tuple[Model, dict[str, Any]]],
    ) -> tuple[Model, dict[str, Any]]:
        """The model of a stage, and what was measured: from its file, or made now."""
        path = self.folder / self._file(name)
        if path.exists():
            model, told = checkpoints.load_checkpoint(path)
            if told.get("stage") != name:
                raise ValueError(f"{path}: expected the stage {name} of a run on text")
            self.resumed.append(name)
            self.progress.seconds[title] = told["seconds"]
            return model, told["measured"]
        with self.progress.stage(title, steps) as report:
            model, measured = make(report)
        seconds = round(self.progress.seconds[title], 1)
        told = {"stage": name, "seconds": seconds, "measured": measured}
        checkpoints.save_checkpoint(path, model, {**told, "tokenizer": tokenizer.FILE})
        return model, measured

    def _file(self, name):
        return f"{name}.safetensors"

    def _require_same(self, path):
        try:
            before = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} must be JSON, got {error}") from None
        now, before = _flat(self.config), _flat(before)
        for name in [*now, *before]:
            if now.get(name) != before.get(name):
                raise ValueError(
                    f"{path}: the run in this folder has {name} = {before.get(name)}, "
                    f"got {now.get(name)}: try another --out, or --overwrite"
                )


def write_json(path: Path, found: dict[str, Any]) -> None:
    """A file of JSON that appears when complete."""
    text = json.dumps(found, indent=2, allow_nan=False) + "\n"
    write_files(path.parent, {path.name: lambda file: file.write_text(text, "utf-8")})


def _flat(config, prefix=""):
    """The leaves of a nested config, by their dotted names."""
    if not isinstance(config, dict):
        return {prefix: config}
    parts = [_flat(v, f"{prefix}.{k}" if prefix else k) for k, v in config.items()]
    return {name: value for part in parts for name, value in part.items()}
