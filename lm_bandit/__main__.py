"""The main job: RLHF on a tiny transformer, compared with its exact optimum.

    python -m lm_bandit [--seed 1] [--world wide] [--ppo.kl-weight 0.1]
    python -m lm_bandit ask runs/pocket-0 "praise: the film was" [--count 8]
    python -m lm_bandit compare [--methods ppo mine.py:train] [--out FOLDER]
    python -m lm_bandit lab [overoptimisation] [--seeds 10] [--out FOLDER]
    python -m lm_bandit examine [grpo | mine.py:my_loss] [--out FOLDER]
    python -m lm_bandit sums [--scratchpad] [--out FOLDER]
    python -m lm_bandit doctor runs/pocket-0
    python -m lm_bandit label [--out FOLDER]
    python -m lm_bandit --data movie-reviews
    python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl]

With --help, each of them explains its own flags. The files of a run are written at its
end, all together, before anything is shown. A run that was stopped goes on where it
was, with the same command.
"""

from mdp.interface import stopping

if __name__ == "__main__":
    stopping.watch()  # first: the imports of a command take seconds

import inspect
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from lm_bandit.alternatives.config import METHODS, CompareConfig
from lm_bandit.config import RunConfig
from lm_bandit.lab.command import Lab
from lm_bandit.losses.command import ExamineCommand
from lm_bandit.real_text.config import RealTextRun
from lm_bandit.sums.command import SumsCommand
from lm_bandit.world import WORD_RATINGS
from mdp.checks import CheckedConfig
from mdp.interface.command_line import run
from mdp.interface.compilation import (
    compile_quickly,
    fix_threads,
    keep_compiled_programs,
    prepare_card,
)
from mdp.interface.configs import require_positive
from mdp.interface.processes import ProcessesConfig
from mdp.interface.workers import WorkersConfig

# A command imports what it needs when it runs: `--help` does not wait for jax.


@dataclass(frozen=True)
class MainCommand(RunConfig):
    """RLHF on a tiny transformer, compared with its exact optimum."""

    common: ClassVar[tuple[str, ...]] = (
        *("--world", "--seed", "--out", "--overwrite", "--num-comparisons"),
        *("--ppo.kl-weight", "--ppo.num-updates", "--ppo.pulls", "--ppo.step-size"),
        "--ppo.baseline",
    )

    # The small world, or a large one with estimates in place of the exact optimum. The
    # world of sums has a command of its own: python -m lm_bandit sums.
    world: Literal["pocket", "wide", "sums"] = "pocket"
    # Folder for the report, the picture and the models [runs/WORLD-SEED]; the same
    # command goes on where it was stopped.
    out: Path | None = None
    # Replace the run in that folder, if it has other settings or is finished.
    overwrite: bool = False
    # The processes and devices that share every batch.
    share: Annotated[ProcessesConfig, OmitArgPrefixes] = field(
        default_factory=ProcessesConfig
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.world == "sums":
            raise ValueError("--world sums is a command: python -m lm_bandit sums")

    def run(self) -> None:
        """Run all steps and show the results."""
        from lm_bandit import commands

        folder = self.out or Path("runs") / f"{self.world}-{self.seed}"
        commands.rlhf(self, self.world, folder, self.overwrite, share=self.share)


@dataclass(frozen=True)
class RealTextCommand(RealTextRun):
    """RLHF on real text: film reviews that people rated, or texts of your own.

        python -m lm_bandit --data movie-reviews
        python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl]

    Each finished stage is kept in --out: if the command is stopped, the same command
    continues from there.
    """

    common: ClassVar[tuple[str, ...]] = (
        *("--data", "--corpus", "--preferences", "--out", "--overwrite", "--seed"),
        *("--prompt-length", "--completion-length", "--ppo.kl-weight"),
        "--ppo.num-updates",
    )

    def run(self) -> None:
        """Train what is not trained yet, measure, show and write."""
        from lm_bandit.real_text.command import run_stages

        run_stages(self)


@dataclass(frozen=True)
class AskCommand(CheckedConfig):
    """Sample a checkpoint's answers to a prompt, with their scores."""

    # Folder of a run, on a world or on real text, or one of its .safetensors files.
    checkpoint: Positional[Path]
    # Prompt: in a world's words, such as "praise: the film was"; real text is free.
    prompt: Positional[str]
    # Number of completions to sample.
    count: int = 8
    # Temperature of sampling and of the log-probabilities.
    temperature: float = 1.0
    # Seed of the samples.
    seed: int = 0
    # CSV file of the ratings with which the run was made.
    ratings: Path = WORD_RATINGS

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "count", "temperature")

    def run(self) -> None:
        """Load the models, sample, score and show."""
        from lm_bandit import ask

        ask.show_answers(
            self.checkpoint,
            self.prompt,
            self.count,
            self.temperature,
            self.seed,
            self.ratings,
        )


@dataclass(frozen=True)
class CompareCommand(CompareConfig):
    """PPO and its alternatives: equal budgets, many seeds, exact values."""

    common: ClassVar[tuple[str, ...]] = (
        *("--methods", "--seeds", "--first-seed", "--seed", "--out", "--overwrite"),
        *("--num-comparisons", "--ppo.kl-weight", "--ppo.num-updates", "--ppo.pulls"),
    )

    # Folder for runs.csv, comparison.json and comparison.png; without it nothing is
    # written. With it, the same command goes on where it was stopped.
    out: Path | None = None
    # Replace the results in that folder.
    overwrite: bool = False
    # The processes or the cluster that share the runs.
    share: Annotated[WorkersConfig, OmitArgPrefixes] = field(
        default_factory=WorkersConfig
    )

    @staticmethod
    def names() -> dict[str, Iterable[str]]:
        """Return the names that the command takes, for its help."""
        return {"--methods": (name.replace(" ", "_") for name in METHODS)}

    def run(self) -> None:
        """Compare all methods, show the results and write them."""
        from lm_bandit import commands

        commands.compare(self, self.out, self.overwrite, self.share)


@dataclass(frozen=True)
class LabelCommand(RunConfig):
    """You are the annotator: compare completions, and see a model tuned to your taste.

    Answer with one key (a, b, t for a tie, s to skip, u to undo, q to quit), or through
    a pipe with one word a line. Each answer is saved before the next question; the same
    command goes on where the last one stopped.
    """

    common: ClassVar[tuple[str, ...]] = (
        *("--out", "--train", "--overwrite", "--seed", "--num-comparisons"),
        *("--ppo.kl-weight", "--ppo.num-updates", "--ppo.pulls", "--ppo.step-size"),
        "--ppo.baseline",
    )

    # Folder for answers.jsonl, your answers, and for what is learned from them: the
    # report, the picture and the models.
    out: Path = Path("runs/labels")
    # Run RLHF on your taste at the end, which takes about a minute.
    train: bool = True
    # Replace the results that were learned from other answers; the answers stay.
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.out.suffix == ".jsonl":
            raise ValueError(
                f"--out must be a folder, got {self.out}: put a file of answers into a "
                "folder as answers.jsonl, and name the folder"
            )

    def run(self) -> None:
        """Ask questions, show a summary, and learn from the answers."""
        from lm_bandit import commands

        commands.label_pairs(self, self.out, self.train, self.overwrite)


@dataclass(frozen=True)
class DoctorCommand(CheckedConfig):
    """Read the history of a finished run, and name the fault that it shows.

    The doctor says what it saw, with the numbers, what that means and where to look; or
    that the history looks healthy. Chapter 12 explains its rules.
    """

    # Folder of a finished run, such as runs/pocket-0.
    folder: Positional[Annotated[Path, arg(metavar="RUN")]]

    def run(self) -> None:
        """Read the history, ask every rule, and show what it found."""
        from lm_bandit.doctor.examine import show_finding

        show_finding(self.folder)


COMMANDS = {
    "ask": AskCommand,
    "compare": CompareCommand,
    "examine": ExamineCommand,
    "label": LabelCommand,
    "lab": Lab,
    "sums": SumsCommand,
    "doctor": DoctorCommand,
}


def main(args: Sequence[str] | None = None) -> int:
    """Parse a command line and run its command; return the exit status."""
    keep_compiled_programs()
    prepare_card()
    args = sys.argv[1:] if args is None else args
    program = "python -m lm_bandit"
    if args and args[0] in COMMANDS:
        command = COMMANDS[args[0]]
        compile_quickly()
        fix_threads()
        return run(
            command, args[1:], f"{program} {args[0]}", inspect.getdoc(command) or ""
        )
    # Models of real text are larger: they use all cores.
    if any(flag.split("=")[0] in ("--data", "--corpus") for flag in args):
        text = inspect.getdoc(RealTextCommand) or ""
        return run(RealTextCommand, args, program, text)
    compile_quickly()
    fix_threads()
    return run(MainCommand, args, program, __doc__ or "")


if __name__ == "__main__":
    raise SystemExit(main())
