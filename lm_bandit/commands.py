"""The commands of `python -m lm_bandit`: run, show and write.

The flags of each command are in `__main__.py`. The files of a run are written at its
end, all together, before anything is shown.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lm_bandit import pipeline, report
from lm_bandit.alternatives import comparison, results
from lm_bandit.alternatives.config import CompareConfig
from lm_bandit.alternatives.starts import Start
from lm_bandit.checkpoints import keep_last_good
from lm_bandit.config import RunConfig
from lm_bandit.diagnostics import BrokenRun
from lm_bandit.feedback.annotators import People
from lm_bandit.oracle.exact import Value
from lm_bandit.world import World, named_world, pocket_world
from mdp.interface import stopping
from mdp.interface.command_line import Terminal, name_files
from mdp.interface.files import read_json
from mdp.interface.jobs import Runner
from mdp.interface.processes import ProcessesConfig
from mdp.interface.progress import BarProgress, Progress
from mdp.interface.runs import FollowedRun, digest_of, open_run, settings_of
from mdp.interface.workers import WorkersConfig
from policy_gradient import devices

ANSWERS = "answers.jsonl"  # in the folder of `label`


def rlhf(
    config: RunConfig,
    name: str,
    folder: Path,
    overwrite: bool,
    people: People | None = None,
    feedback: str = "simulated annotators, on the ratings",
    answers: Path | None = None,
    share: ProcessesConfig | None = None,
) -> None:
    """Run all steps with these people, write the results and show them.

    The people may come from a file of answers; other answers are other settings.
    Several processes may `share` every batch; the first of them writes and shows.
    """
    share = share or ProcessesConfig()
    # A command of `__main__` cannot be sent to another process; its settings can.
    only = RunConfig(**{f.name: getattr(config, f.name) for f in fields(RunConfig)})
    follow = partial(train_along, only, name, folder, people)
    if share.process_id > 0:
        return follow(share)
    console = Terminal()
    world = named_world(name, config.ratings)
    settings = settings_of(config, feedback=feedback, answers=answers)
    with open_run(folder, settings, report.FILES, overwrite) as run:
        if run.finished:
            found = read_json(folder / report.FILES[0])
            console.print("This run is finished; --overwrite makes it anew.")
        else:
            progress = BarProgress(console, pipeline.STAGES, run)
            with progress.shown(), together(share, follow):
                learned, measured = learn(world, name, folder, config, progress, people)
                found = report.run_report(world, learned, measured, config)
                picture = report.run_picture(measured, config.ppo.kl_weight)
                found |= {"feedback": feedback, "seconds": progress.seconds}
                found |= {"compiling_seconds": progress.compiling}
                run.write(report.run_files(found, picture, learned, world))
    show(found, folder, console)


def train_along(
    config: RunConfig,
    name: str,
    folder: Path,
    people: People | None,
    share: ProcessesConfig,
) -> None:
    """Train as one of several processes, which shows nothing and writes nothing."""
    progress = Progress(FollowedRun(folder))
    with together(share, partial(train_along, config, name, folder, people)):
        world = named_world(name, config.ratings)
        pipeline.train_models(world, config, progress, people)


@contextmanager
def together(
    share: ProcessesConfig, follow: Callable[[ProcessesConfig], None]
) -> Iterator[None]:
    """Train on the devices of all processes inside; see `ProcessesConfig.joined`."""
    with share.joined(follow):
        devices.use(share.devices, share.sharded)
        yield


def learn(
    world: World,
    name: str,
    folder: Path,
    config: RunConfig,
    progress: BarProgress,
    people: People | None,
) -> tuple[pipeline.Learned, pipeline.Truth | pipeline.Estimates]:
    """Train all models and measure them; a broken run leaves its last good model.

    Raises ValueError where the run broke.
    """
    try:
        ready = pipeline.prepare(world, config, progress, people)
        if name != "pocket":
            learned = pipeline.improve(world, ready, config, progress)
            found = pipeline.measure_by_sampling(world, learned, config, progress)
            return learned, found
        with ThreadPoolExecutor(max_workers=1) as oracle:  # beside PPO's training
            solution = oracle.submit(
                pipeline.solve,
                world,
                ready.base,
                ready.fixed.reference,
                ready.fixed.reward_model,
                config.ppo,
            )
            learned = pipeline.improve(world, ready, config, progress)
        return learned, pipeline.measure_exactly(
            world, learned, config, progress, solution.result()
        )
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
        "report.json, history.csv, reward_kl.png and a checkpoint of each model"
    )


def compare(
    config: CompareConfig, folder: Path | None, overwrite: bool, share: WorkersConfig
) -> None:
    """Compare all methods, show the results and write them."""
    world = pocket_world(config.ratings)
    files = [one.rpartition(":")[0] for one in config.methods if ":" in one]
    digests = {file: digest_of(Path(file)) for file in files}
    settings = settings_of(config, files=digests)
    console = Terminal()
    with open_run(folder, settings, results.FILES, overwrite, only_new=True) as run:
        progress = BarProgress(console, pipeline.STAGES, run)
        # In this process, two threads: each trains on a core of its own.
        with progress.shown(), share.executor(threads=2) as executor:
            runner = Runner(executor, progress, (Value, Start))
            compared = comparison.compare_methods(world, config, runner)
            paths = run.write(results.comparison_files(compared))
    console.print(results.comparison_table(compared, progress.seconds), "")
    for line in comparison.broken_runs(compared):
        console.print(line)
    name_files(console, paths)
    console.print(f"{sum(progress.seconds.values()):.0f} s in all")


def label_pairs(config: RunConfig, folder: Path, train: bool, overwrite: bool) -> None:
    """Ask questions, show a summary, and learn from the answers in the folder."""
    # Only here, as scipy's statistics take a while to import.
    from lm_bandit import label

    file = folder / ANSWERS
    world = named_world("pocket", config.ratings)
    console = Terminal()
    session = label.Session(file, world, config.seed)

    def line() -> str:
        count = len(session.journal.records)
        return f"Stopped; {count} answers are in {file}."

    stopping.tell(line)
    try:
        label.hold_session(session, label.typed_commands(), console.print)
    except KeyboardInterrupt:
        console.print(f"\n{line()}")
        raise SystemExit(130) from None
    answers = session.answers()
    console.print(label.session_summary(world, answers, file))
    if train and len(answers.prompts) >= label.MIN_ANSWERS:
        rng = np.random.default_rng(config.seed)
        taste = label.infer_taste(world, answers)
        people = label.sample_annotators(rng, world, taste)
        console.print("Gold is what the raters like, learned what you do.\n")
        feedback = f"{len(answers.prompts)} answers in {file.name}"
        rlhf(config, "pocket", folder, overwrite, people, feedback, file)
