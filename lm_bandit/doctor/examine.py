"""The command `python -m lm_bandit doctor`: read the folder of a run, ask the rules.

    report.json     the settings of the run
    history.csv     a line of numbers for each update of PPO

Anything but a finished run costs one line.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from lm_bandit.doctor.rules import Finding, diagnose
from mdp.interface.command_line import Terminal
from mdp.interface.files import read_json, read_lines

REPORT, HISTORY = "report.json", "history.csv"
# The settings that the rules read.
READ: dict[str, type | tuple[type, ...]] = {
    "temperature": (int, float),
    "view": str,
    "reward_scaling": str,
    "epochs": int,
    "minibatches": int,
}
# The curves that they read.
CURVES = (
    *("score", "score_error", "kl", "objective", "reward", "length", "kl_weight"),
    *("sampler_gap", "padding_gap", "value_gap", "score_gap", "length_bonus"),
    *("loss", "approx_kl", "clip_fraction", "gradient_norm", "first_ratio"),
    "fingerprint",
)


def show_finding(folder: Path) -> None:
    """Print what is wrong with a finished run, or that its history looks healthy."""
    finding, updates = examine(folder)
    console = Terminal()
    if finding is None:
        console.print(
            f"The history of {updates} updates looks healthy: no rule of the doctor "
            "speaks. Whether the reward is the right one, no history can tell."
        )
        return
    console.print(f"Fault: {finding.fault}\n")
    console.print(f"What was seen: {finding.saw}")
    console.print(f"What it means: {finding.means}")
    console.print(f"Where to look: {finding.look}")


def examine(folder: Path) -> tuple[Finding | None, int]:
    """Return what is found in the folder of a run, and the run's number of updates.

    Raises ValueError, in one line, where the folder holds no finished run of PPO.
    """
    report, history = folder / REPORT, folder / HISTORY
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected the folder of a run, got none")
    if not report.is_file():
        raise ValueError(f"{folder}: expected a finished run, got no {REPORT} in it")
    settings = read_json(report).get("config")
    settings = settings.get("ppo") if isinstance(settings, dict) else None
    if not isinstance(settings, dict) or not history.is_file():
        raise ValueError(
            f"{folder}: expected a run of RLHF on a world with its {HISTORY}, got "
            "another one, or one of an earlier version"
        )
    for name, kind in READ.items():
        if not isinstance(settings.get(name), kind):
            raise ValueError(f"{report}: config.ppo.{name} is missing or damaged")
    curves = read_history(history)
    return diagnose(curves, settings), len(curves["score"])


def read_history(path: Path) -> dict[str, Float[np.ndarray, "n"]]:
    """Return the curves in a file: a header of names, and a line for each update."""
    lines = [(number, text.strip().split(",")) for number, text in read_lines(path)]
    names = lines[0][1] if lines else []
    if missing := [name for name in CURVES if name not in names]:
        raise ValueError(f"{path}: expected a column {missing[0]}, got none")
    rows = []
    for number, cells in lines[1:]:
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            rows.append([])
        if len(rows[-1]) != len(names):
            raise ValueError(f"{path}, line {number}: expected {len(names)} numbers")
    if not rows:
        raise ValueError(f"{path}: expected a line for each update, got none")
    return dict(zip(names, np.array(rows).T, strict=True))
