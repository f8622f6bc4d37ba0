"""The main job: RLHF on real human ratings, held against its exact optimum.

    python -m lm_bandit [--seed 1] [--world wide] [--ppo.kl-weight 0.1] [--help]
    python -m lm_bandit ask runs/pocket-0 "praise: the film was" [--count 8] [--help]
    python -m lm_bandit compare [--seeds 8] [--out DIR] [--help]
    python -m lm_bandit lab [overoptimisation] [--seeds 10] [--out DIR] [--help]
    python -m lm_bandit label [--out FILE.jsonl] [--help]
    python -m lm_bandit --data movie-reviews [--help]
    python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl] [--help]

Nothing is written before all is done.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from rich.console import Console
from tyro.conf import Positional, arg

from lm_bandit import ask as answers
from lm_bandit import checkpoints, label, pipeline, report
from lm_bandit.alternatives import comparison, results
from lm_bandit.diagnostics import BrokenRun
from lm_bandit.feedback.annotators import People
from lm_bandit.lab.command import Lab
from lm_bandit.oracle import estimates
from lm_bandit.real_text import command as real_text
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from lm_bandit.world import WORD_RATINGS, named_world, pocket_world
from mdp.interface.command_line import run
from mdp.interface.compilation import keep_compiled_programs
from mdp.interface.configs import require_positive
from mdp.interface.progress import BarProgress


@dataclass(frozen=True)
class MainCommand(pipeline.RunConfig):
    """RLHF on real human ratings, held against its exact optimum."""

    world: Literal["pocket", "wide"] = "pocket"  # wide: estimates, no exact optimum
    out: Path | None = None  # folder for the report and figure [runs/WORLD-SEED]

    def run(self) -> None:
        """Learn, measure, write and show; nothing is written before all is done."""
        folder = self.out or Path("runs") / f"{self.world}-{self.seed}"
        rlhf(self, self.world, folder, Console())


@dataclass(frozen=True)
class AskCommand:
    """What a checkpoint answers to a prompt, and what that is worth."""

    checkpoint: Positional[Path]  # a run's folder, or one of its .safetensors
    prompt: Positional[str]  # in the world's words: "praise: the film was"
    count: int = 8  # completions to sample
    temperature: float = 1.0  # of sampling and scoring
    seed: int = 0
    ratings: Path = WORD_RATINGS  # those of the run

    def __post_init__(self):
        require_positive(self, "count", "temperature")

    def run(self) -> None:
        """Load, sample, score and show."""
        path, beside = answers.checkpoint_files(self.checkpoint)
        policy, world = answers.load_for_world(path, self.ratings, Transformer)
        scorer = (
            answers.load_for_world(beside, self.ratings, RewardModel)[0]
            if beside
            else None
        )
        prompt = answers.encode_prompt(world, policy, self.prompt)
        how = self.count, self.temperature, self.seed
        said = answers.sampled_answers(policy, scorer, world, prompt, *how)
        Console().print(answers.answers_table(self.prompt, said, scorer is not None))


@dataclass(frozen=True)
class CompareCommand(comparison.CompareConfig):
    """PPO and its alternatives: equal budgets, many seeds, the exact truth."""

    out: Path | None = None  # a new folder for runs.csv, comparison.json and .png
    overwrite: bool = False  # write even if that folder is there already

    def run(self) -> None:
        """Learn, judge, show and write; nothing is written before all is done."""
        if self.out is not None and self.out.exists() and not self.overwrite:
            raise ValueError(
                f"--out must be a new folder, got {self.out}: try --overwrite"
            )
        world = pocket_world(self.ratings)
        keep_compiled_programs()
        console = Console()
        progress = BarProgress(console, pipeline.STAGES)
        try:
            with progress.bars:
                found = comparison.compare_methods(world, self, progress)
        except KeyboardInterrupt:
            console.print(f"Stopped during {progress.current}; nothing was written.")
            raise SystemExit(130) from None
        console.print(results.comparison_table(found, progress.seconds))
        for line in results.broken_runs(found):
            console.print(line, highlight=False)
        if self.out is not None:
            for path in results.write_comparison(self.out, found):
                console.print(f"wrote {path}", highlight=False)
        console.print(f"{sum(progress.seconds.values()):.0f} s in all", highlight=False)


@dataclass(frozen=True)
class LabelCommand(pipeline.RunConfig):
    """You are the annotator: compare completions, and see a model tuned to your taste.

    Answer at a key press (a, b, t for a tie, s to skip, u to undo, q to quit), or by a
    word a line from a pipe. Each answer is saved before the next question; the same
    command goes on where the last one stopped. What was learned goes to a folder with
    the file's name.
    """

    file: Annotated[Path, arg(name="out")] = Path("runs/labels.jsonl")  # JSON Lines
    train: bool = True  # at the end, RLHF on your taste: about a minute

    def run(self) -> None:
        """Ask, sum up, and learn."""
        world = named_world("pocket", self.ratings)
        console = Console(highlight=False)
        session = label.Session(self.file, world, self.seed)
        try:
            label.hold_session(session, label.typed_commands(), console.print)
        except KeyboardInterrupt:
            count = len(session.journal.records)
            console.print(f"\nStopped; {count} answers are in {self.file}.")
            raise SystemExit(130) from None
        given = session.answers()
        console.print(label.session_summary(world, given, self.file))
        if self.train and len(given.prompts) >= label.MIN_ANSWERS:
            belief = label.infer_taste(world, given)
            rng = np.random.default_rng(self.seed)
            people = label.sample_annotators(rng, world, belief)
            folder = self.file.with_suffix("")
            console.print("Gold is what the raters like, learned what you do.\n")
            told = f"{len(given.prompts)} answers in {self.file.name}"
            rlhf(self, "pocket", folder, console, people, told)


def rlhf(
    config: pipeline.RunConfig,
    name: str,
    folder: Path,
    console: Console,
    people: People | None = None,
    feedback: str = "simulated annotators, on the ratings",
) -> None:
    """Learn from these people, measure, write and show."""
    world = named_world(name, config.ratings)
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()  # or refuse now, not in a minute
    keep_compiled_programs()
    progress = BarProgress(console, pipeline.STAGES)
    exactly = name == "pocket"
    try:
        with progress.bars:
            learned = pipeline.train_models(world, config, progress, people)
            if exactly:
                truth = pipeline.measure_exactly(world, learned, config, progress)
                found = report.run_report(world, learned, truth, config)
            else:
                measured = estimates.measure_by_sampling(
                    world, learned, config, progress
                )
                found = report.estimated_run_report(world, learned, measured, config)
        found |= {"feedback": feedback, "seconds": progress.seconds}
        report.write_run(folder, found, learned.models, world)
    except BrokenRun as broken:
        path = folder / "last_good.safetensors"
        told = report.description(world, name, config.seed)
        checkpoints.save_checkpoint(path, broken.last_good, told, overwrite=True)
        raise ValueError(f"PPO, {broken}; the last good policy is in {path}") from None
    except KeyboardInterrupt:
        console.print(f"Stopped during {progress.current}; nothing was written.")
        raise SystemExit(130) from None
    values = report.values_table if exactly else report.estimates_table
    console.print(values(found), report.samples_table(found))
    if exactly:
        console.print(
            f"{found['completions']:,} completions enumerated: {found['ended']:,} "
            f"end and are scored one by one, {found['cut_off']:,} are cut off."
        )
    console.print(
        f"{sum(progress.seconds.values()):.0f} s in all. Written to {folder}/: "
        "report.json, reward_kl.png and a checkpoint of each model"
    )


COMMANDS = {
    "ask": AskCommand,
    "compare": CompareCommand,
    "label": LabelCommand,
    "lab": Lab,
}


def main(args: Sequence[str] | None = None) -> int:
    """Parse, run, show."""
    args = sys.argv[1:] if args is None else args
    if args and args[0] in COMMANDS:
        command = COMMANDS[args[0]]
        usage = f"python -m lm_bandit {args[0]}"
        return run(command, args[1:], usage, command.__doc__)
    if any(arg.split("=")[0] in ("--data", "--corpus") for arg in args):
        command = real_text.RealTextCommand
        return run(command, args, "python -m lm_bandit", real_text.__doc__)
    return run(MainCommand, args, "python -m lm_bandit", __doc__)


if __name__ == "__main__":
    raise SystemExit(main())
