"""The command `python -m lm_bandit sums`: tune against a verifier, and say exactly what
it did.

sums.json   every number, with the versions of the packages and the machine
sums.png    pass@k, and the way to the optimum
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lm_bandit.sums.config import SumsConfig
from mdp.interface.command_line import Terminal, name_files
from mdp.interface.files import Content, json_text, machine, png_bytes, versions
from mdp.interface.progress import BarProgress
from mdp.interface.runs import open_run, settings_of
from mdp.interface.tables import explained_table

FILES = ("sums.json", "sums.png")
COLUMNS = {
    "policy": "",
    "right": "the share of answers that are right, pass@1",
    "pass@16": "the chance that one of 16 answers to a prompt is right",
    "pass@256": "likewise, of 256 answers",
    "hardest": "the chance of a right answer to the hardest prompt",
    "% of way": "(J - J_ref) / (J* - J_ref)",
    "to 99%": "updates until J is 99% of the way, - where it is not: the median",
}
WORDS = {
    "base": "pretrained on texts with wrong sums",
    "reference": "after SFT on the format; pi_ref",
    "optimum": "pi*, which multiplies the odds of a right answer by exp(1 / beta)",
    "outcome": "PPO with the exact advantage of the whole text",
    "process": "PPO with the exact advantage q - v of each token",
}


@dataclass(frozen=True)
class SumsCommand(SumsConfig):
    """Tune a model of sums against a program that checks the answer.

        python -m lm_bandit sums                six methods on "3 + 4 ="
        python -m lm_bandit sums --scratchpad   a step is written before the answer

    Accuracy, pass@k and the distance to the optimum are exact: every completion of
    every prompt is enumerated.
    """

    common: ClassVar[tuple[str, ...]] = (
        *("--scratchpad", "--noise", "--kl-weight", "--num-updates", "--pulls"),
        *("--seeds", "--seed", "--out", "--overwrite"),
    )

    # Folder for sums.json and sums.png; without it nothing is written.
    out: Path | None = None
    # Replace the results in that folder.
    overwrite: bool = False

    def run(self) -> None:
        """Train, show the results and write them."""
        console = Terminal()
        with open_run(self.out, settings_of(self), FILES, self.overwrite) as run:
            progress = BarProgress(console, {"start": "pretraining and SFT"}, run)
            with progress.shown():
                found, figure = _results(self, progress)
            files: dict[str, Content] = {}
            if self.out:
                files = dict(
                    zip(FILES, (json_text(found), png_bytes(figure)), strict=True)
                )
            paths = run.write(files)
        console.print(_table(found), "")
        name_files(console, paths)
        console.print(f"{sum(progress.seconds.values()):.0f} s in all")


def _results(command: SumsCommand, progress: BarProgress) -> tuple[dict[str, Any], Any]:
    """Run all steps; return the report and the picture."""
    from lm_bandit.oracle import exact
    from lm_bandit.sums import plots, train
    from lm_bandit.sums.pass_at_k import optimal_success

    with progress.stage("start", 1) as report:
        student = train.prepare_student(command)
        report(1)
    known = {
        "base": train.success_of(student, student.base),
        "reference": train.success_of(student, student.fixed.reference),
    }
    known["optimum"] = optimal_success(known["reference"], command.kl_weight)
    tuned = {}
    for name, config in command.methods().items():
        with progress.stage(name, 1) as report:
            tuned[name] = train.tune_student(student, name, config, command.seeds)
            report(1)
    rows = {name: _row(np.array([probs])) for name, probs in known.items()}
    rows |= {name: _runs(runs, known["reference"]) for name, runs in tuned.items()}
    problem = student.problem
    found = {
        "settings": settings_of(command),
        "prompts": len(student.sums.terms),
        "J_reference": exact.policy_value(problem, problem.reference).objective,
        "J_optimum": exact.optimal_objective(problem),
        "policies": rows,
        "versions": versions(),
        "machine": machine(),
    }
    success = {name: runs.success for name, runs in tuned.items()}
    shares = {name: runs.shares for name, runs in tuned.items()}
    return found, plots.sums_figure(known, success, shares)


def _runs(runs: Any, reference: Any) -> dict[str, Any]:
    """Return the exact numbers of the runs of a method."""
    from lm_bandit.sums.pass_at_k import crossing
    from lm_bandit.sums.plots import TRIES
    from lm_bandit.sums.train import updates_to_goal

    ahead = [crossing(reference, probs, TRIES) for probs in runs.success]
    return _row(runs.success) | {
        "share": float(runs.shares[:, -1].mean()),
        "shares": runs.shares,
        "updates_to_99": updates_to_goal(runs.shares),
        "reference_ahead_from": ahead,
    }


def _row(success: Any) -> dict[str, Any]:
    """Return the exact numbers of a policy, means over its runs."""
    from lm_bandit.sums.pass_at_k import pass_at_k

    tries = np.array([1, 16, 256])
    solved = np.mean([pass_at_k(probs, tries) for probs in success], axis=0)
    return {
        **{f"pass@{k}": float(x) for k, x in zip(tries, solved, strict=True)},
        "hardest": float(success.min(1).mean()),
        "success": success,
    }


def _table(found: Mapping[str, Any]) -> Any:
    """Return the table of all policies, with what the curves say below it."""
    rows = []
    for name, row in found["policies"].items():
        cells = [f"{row[f'pass@{k}']:.2%}" for k in (1, 16, 256)]
        cells += [f"{row['hardest']:.2%}"]
        if "share" in row:
            cells += [f"{row['share']:.1%}", _median(row["updates_to_99"])]
        else:
            way = {"reference": "0.0%", "optimum": "100.0%"}.get(name, "")
            cells += [way, ""]
        rows.append((name, *cells))
    notes = [_crossings(found["policies"])]
    title = f"{found['prompts']} sums; J* = {found['J_optimum']:.4f}"
    return explained_table(title, COLUMNS, rows, WORDS, notes)


def _median(updates: list[int | None]) -> str:
    """Return the median of numbers of which some may be too large to be known."""
    ordered = sorted(updates, key=lambda n: (n is None, n))
    middle = ordered[len(ordered) // 2]
    return "-" if middle is None else str(middle)


def _crossings(policies: Mapping[str, Any]) -> str:
    """Return one sentence: whether tuning lost what the reference could do."""
    ahead = {
        name: row["reference_ahead_from"]
        for name, row in policies.items()
        if "share" in row
    }
    lost = {name: sum(k is not None for k in runs) for name, runs in ahead.items()}
    runs = max(map(len, ahead.values()))
    told = ", ".join(f"{name} {count}" for name, count in lost.items())
    return (
        f"Runs of {runs} in which the reference solves more prompts than the tuned "
        f"policy, for some number of tries up to 4,096: {told}. The optimum never "
        "falls behind."
    )
