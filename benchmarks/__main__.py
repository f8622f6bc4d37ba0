"""The command line: `python -m benchmarks mdp [--json FILE]`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import mdp
from benchmarks.race import run_race, show

SUITES = {"mdp": mdp.races}


def main() -> None:
    """Run the races of one suite, and show and save what came of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the figures")
    parser.add_argument("--rounds", type=int, default=7, help="of each race (7)")
    parser.add_argument("--only", metavar="WORD", default="", help="races named so")
    options = parser.parse_args()
    races = [race for race in SUITES[options.suite]() if options.only in race.name]
    if not races or options.rounds < 1:
        parser.error(f"no race is named {options.only!r}, or --rounds is not positive")
    try:
        results = [found for race in races for found in run_race(race, options.rounds)]
    except ImportError as error:
        parser.exit(2, f"{error}: pip install -e '.[benchmarks,gym]'\n")
    show(results)
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in results], indent=2))


if __name__ == "__main__":
    sys.exit(main())
