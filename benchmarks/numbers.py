"""The numbers that the README names, with their spread: `python -m benchmarks.numbers`.

Every run below has a seed of its own for all that is random, so it has its own
pretrained model, reference and reward model. The spread shows what a reader may meet:
another kind of processor changes the last digits of a sum, and training turns them into
larger differences.

    numbers.json     every run's numbers, by the commands that a reader runs, too
    sentences()      the sentences of README.md and GUIDE.md; a test compares them
"""

import csv
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

FILE = Path(__file__).with_name("numbers.json")
SEEDS = range(8)  # of the main job
STARTS, RUNS = range(4), 2  # of the comparison: seeds of the models, runs of each
EXACT = ("base", "reference", "ppo", "optimum")


def main() -> None:
    """Run all commands, and write their numbers."""
    found = {"main job": [main_job(seed) for seed in SEEDS], "comparison": comparison()}
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(*sentences(found).values(), sep="\n\n")


def main_job(seed: int) -> dict[str, float]:
    """Return the exact numbers of `python -m lm_bandit --seed SEED`."""
    with tempfile.TemporaryDirectory() as folder:
        _run("--seed", seed, "--out", folder)
        report = json.loads((Path(folder) / "report.json").read_text())
    exact = {f"{x} {y}": value for x in EXACT for y, value in report[x].items()}
    names = ("share_to_optimum", "reward_model_accuracy")
    return exact | {name: report[name] for name in names}


def comparison() -> dict[str, list[float]]:
    """Return the share of the way of each run of each method, over all starts."""
    shares: dict[str, list[float]] = defaultdict(list)
    for start in STARTS:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            flags = ("--seed", start, "--seeds", RUNS, "--shared-start")
            _run("compare", *flags, "--out", out)
            about = json.loads((out / "comparison.json").read_text())
            rows = list(csv.DictReader((out / "runs.csv").open(encoding="utf-8")))
        known = about["starts"][0]
        low, high = (known[x]["objective"] for x in ("reference", "optimum"))
        most = max(int(row["completions"]) for row in rows)
        for row in rows:
            if int(row["completions"]) == most:
                share = (float(row["objective"]) - low) / (high - low)
                shares[row["method"]].append(share)
    return dict(shares)


def sentences(found: dict[str, Any]) -> dict[str, str]:
    """Return each sentence that names numbers, by the file that it stands in."""
    runs = found["main job"]

    def spread(name: str, form: str) -> str:
        values = [run[name] for run in runs]
        low, middle, high = min(values), median(values), max(values)
        return f"{middle:{form}} ({low:{form}} to {high:{form}})"

    methods = sorted(found["comparison"].items(), key=lambda pair: -median(pair[1]))
    ways = "; ".join(
        f"{name} {median(x):.0%} ({min(x):.0%} to {max(x):.0%})" for name, x in methods
    )
    return {
        "README.md": (
            f"Over {len(runs)} seeds, each with its own reference and reward model, "
            f"PPO covers {spread('share_to_optimum', '.1%')} of the way to the exact "
            "optimum: the median, and the range. The optimum stands at "
            f"{spread('optimum kl', '.1f')} nats of KL, and its gold reward is "
            f"{spread('optimum gold', '.1f')}; your own numbers should lie in these "
            "ranges."
        ),
        "GUIDE.md": (
            f"Over {len(STARTS)} reward models, with {RUNS} runs each, the methods "
            f"cover this much of the way to the optimum (median and range): {ways}."
        ),
    }


def _run(*flags: object) -> None:
    command = [sys.executable, "-m", "lm_bandit", *map(str, flags)]
    subprocess.run([*command, "--overwrite"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
