"""The main job: RLHF on real human ratings, compared with its exact optimum.

    python -m lm_bandit [--seed 1] [--world wide] [--ppo.kl-weight 0.1] [--help]
    python -m lm_bandit ask runs/pocket-0 "praise: the film was" [--count 8] [--help]
    python -m lm_bandit compare [--seeds 8] [--out DIR] [--help]
    python -m lm_bandit lab [overoptimisation] [--seeds 10] [--out DIR] [--help]
    python -m lm_bandit label [--out FILE.jsonl] [--help]
    python -m lm_bandit --data movie-reviews [--help]
    python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl] [--help]

The files of a run are written at its end, all together, before anything is shown. A run
that was stopped goes on where it was, with the same command.
"""

import sys

from mdp.interface import stopping

if __name__ == "__main__":
    stopping.watch()  # first: the imports below take seconds

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from tyro.conf import Positional, arg

from lm_bandit import ask, label, pipeline, report
from lm_bandit.alternatives import comparison, results
from lm_bandit.checkpoints import keep_last_good
from lm_bandit.diagnostics import BrokenRun
from lm_bandit.feedback.annotators import People
from lm_bandit.lab.command import Lab
from lm_bandit.real_text import command as real_text
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Transformer
from lm_bandit.world import WORD_RATINGS, World, named_world, pocket_world
from mdp.checks import CheckedConfig
from mdp.interface.command_line import Terminal, name_files, run
from mdp.interface.compilation import fix_threads, keep_compiled_programs
from mdp.interface.configs import require_positive
from mdp.interface.files import read_json
from mdp.interface.progress import BarProgress
from mdp.interface.runs import open_run, settings_of


@dataclass(frozen=True)
class MainCommand(pipeline.RunConfig):
    """RLHF on real human ratings, compared with its exact optimum."""

    # The small world, or a large one with estimates in place of the exact optimum.
    world: Literal["pocket", "wide"] = "pocket"
    # Folder for the report, the figure and the models [runs/WORLD-SEED].
    out: Path | None = None
    # Replace the run in that folder, if it has other settings or is finished.
    overwrite: bool = False

    def run(self) -> None:
        """Run all steps and show the results."""
        folder = self.out or Path("runs") / f"{self.world}-{self.seed}"
        rlhf(self, self.world, folder, Terminal())


@dataclass(frozen=True)
class AskCommand(CheckedConfig):
    """Sample a checkpoint's answers to a prompt, with their scores."""

    # Folder of a run, or one of its .safetensors files.
    checkpoint: Positional[Path]
    # Prompt in the world's words, such as "praise: the film was".
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
        policy_file, scorer_file = ask.checkpoint_files(self.checkpoint)
        policy, world = ask.load_for_world(policy_file, self.ratings, Transformer)
        scorer = None
        if scorer_file is not None:
            scorer, _ = ask.load_for_world(scorer_file, self.ratings, RewardModel)
        prompt = ask.encode_prompt(world, policy, self.prompt)
        answers = ask.sampled_answers(
            policy, scorer, world, prompt, self.count, self.temperature, self.seed
        )
        Terminal().print(ask.answers_table(self.prompt, answers, scorer is not None))


@dataclass(frozen=True)
class CompareCommand(comparison.CompareConfig):
    """PPO and its alternatives: equal budgets, many seeds, exact values."""

    # Folder for runs.csv, comparison.json and comparison.png; with it, the same command
    # goes on where it was stopped.
    out: Path | None = None
    # Replace the results in that folder.
    overwrite: bool = False

    def run(self) -> None:
        """Compare all methods, show the results and write them."""
        world, settings = pocket_world(self.ratings), settings_of(self)
        console = Terminal()
        with open_run(
            self.out, settings, results.FILES, self.overwrite, only_new=True
        ) as run:
            progress = BarProgress(console, pipeline.STAGES, run)
            with progress.shown():
                compared = comparison.compare_methods(world, self, progress)
                paths = run.write(results.comparison_files(compared))
        console.print(results.comparison_table(compared, progress.seconds))
        for line in comparison.broken_runs(compared):
            console.print(line)
        name_files(console, paths)
        console.print(f"{sum(progress.seconds.values()):.0f} s in all")


@dataclass(frozen=True)
class LabelCommand(pipeline.RunConfig):
    """You are the annotator: compare completions, and see a model tuned to your taste.

    Answer with one key (a, b, t for a tie, s to skip, u to undo, q to quit), or through
    a pipe with one word a line. Each answer is saved before the next question; the same
    command goes on where the last one stopped. The results go to a folder with the
    file's name.
    """

    # File of your answers, as JSON Lines.
    file: Annotated[Path, arg(name="out")] = Path("runs/labels.jsonl")
    # Run RLHF on your taste at the end, which takes about a minute.
    train: bool = True
    # Replace the results that were learned from other answers.
    overwrite: bool = False

    def run(self) -> None:
        """Ask questions, show a summary, and learn from the answers."""
        world = named_world("pocket", self.ratings)
        console = Terminal()
        session = label.Session(self.file, world, self.seed)

        def line() -> str:
            count = len(session.journal.records)
            return f"Stopped; {count} answers are in {self.file}."

        stopping.tell(line)
        try:
            label.hold_session(session, label.typed_commands(), console.print)
        except KeyboardInterrupt:
            console.print(f"\n{line()}")
            raise SystemExit(130) from None
        answers = session.answers()
        console.print(label.session_summary(world, answers, self.file))
        if self.train and len(answers.prompts) >= label.MIN_ANSWERS:
            rng = np.random.default_rng(self.seed)
            taste = label.infer_taste(world, answers)
            people = label.sample_annotators(rng, world, taste)
            folder = self.file.with_suffix("")
            console.print("Gold is what the raters like, learned what you do.\n")
            feedback = f"{len(answers.prompts)} answers in {self.file.name}"
            rlhf(self, "pocket", folder, console, people, feedback)


def rlhf(
    config: MainCommand | LabelCommand,
    name: str,
    folder: Path,
    console: Terminal,
    people: People | None = None,
    feedback: str = "simulated annotators, on the ratings",
) -> None:
    """Run all steps with these people, write the results and show them."""
    world = named_world(name, config.ratings)
    settings = settings_of(config, feedback=feedback)
    with open_run(folder, settings, report.FILES, config.overwrite) as run:
        if run.finished:
            found = read_json(folder / report.FILES[0])
            console.print("This run is finished; --overwrite makes it anew.")
        else:
            progress = BarProgress(console, pipeline.STAGES, run)
            with progress.shown():
                learned, measured = learn(world, name, folder, config, progress, people)
                found = report.run_report(world, learned, measured, config)
                picture = report.run_picture(measured, config.ppo.kl_weight)
                found |= {"feedback": feedback, "seconds": progress.seconds}
                run.write(report.run_files(found, picture, learned.models, world))
    show(found, folder, console)


def learn(
    world: World,
    name: str,
    folder: Path,
    config: pipeline.RunConfig,
    progress: BarProgress,
    people: People | None,
) -> tuple[pipeline.Learned, pipeline.Truth | pipeline.Estimates]:
    """Train all models and measure them; a broken run leaves its last good model.

    Raises ValueError where the run broke.
    """
    try:
        learned = pipeline.train_models(world, config, progress, people)
        if name == "pocket":
            return learned, pipeline.measure_exactly(world, learned, config, progress)
        return learned, pipeline.measure_by_sampling(world, learned, config, progress)
    except BrokenRun as broken:
        description = report.checkpoint_description(world, name, config.seed)
        raise ValueError(keep_last_good(broken, folder, description)) from None


def show(found: dict[str, Any], folder: Path, console: Terminal) -> None:
    """Show the results of a run by its report."""
    exactly = found["world"] == "pocket"
    table = report.values_table if exactly else report.estimates_table
    samples = report.samples_table(found["samples"], report.SAMPLED)
    console.print(table(found), "", samples, "")
    if exactly:
        console.print(
            f"{found['completions']:,} completions enumerated: {found['ended']:,} "
            f"end and are scored one by one, {found['cut_off']:,} are cut off."
        )
    console.print(
        f"{sum(found['seconds'].values()):.0f} s in all. Written to {folder}/: "
        "report.json, reward_kl.png and a checkpoint of each model"
    )


COMMANDS = {
    "ask": AskCommand,
    "compare": CompareCommand,
    "label": LabelCommand,
    "lab": Lab,
}


def main(args: Sequence[str] | None = None) -> int:
    """Parse a command line and run its command; return the exit status."""
    keep_compiled_programs()
    args = sys.argv[1:] if args is None else args
    program = "python -m lm_bandit"
    if args and args[0] in COMMANDS:
        command = COMMANDS[args[0]]
        fix_threads()
        return run(command, args[1:], f"{program} {args[0]}", command.__doc__ or "")
    # Models of real text are larger: they use all cores.
    if any(flag.split("=")[0] in ("--data", "--corpus") for flag in args):
        return run(real_text.RealTextCommand, args, program, real_text.__doc__ or "")
    fix_threads()
    return run(MainCommand, args, program, __doc__ or "")


if __name__ == "__main__":
    raise SystemExit(main())
