"""python -m tests handout: make a folder for students."""

import argparse
from pathlib import Path

from tests.classroom.handout import hand_out
from tests.exercises.words import wrapped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `handout` to its parser."""
    parser.add_argument("out", type=Path, metavar="OUT", help="the new folder")
    say = "floors, chapters, ids or words, such as floor1,5,reinforce; without it, all"
    parser.add_argument("--select", metavar="NAMES", help=say)
    say = "a TOML or CSV file of names and dates, such as floor1 = 2026-10-01"
    parser.add_argument("--due", type=Path, metavar="FILE", help=say)


def run_handout(parsed: argparse.Namespace) -> int:
    """Make the folder, and say what to do with it."""
    names = [name for name in (parsed.select or "").split(",") if name.strip()]
    if parsed.select is not None and not names:
        raise ValueError("--select names no exercise; without it, all are handed out")
    ids = hand_out(parsed.out, names, parsed.due)
    count = f"{len(ids)} exercise{'s' * (len(ids) != 1)}"
    text = f"{parsed.out} is ready, with {count}. Its README.md tells students "
    print(
        wrapped(f"{text}what to do; they hand in the folder workbook/, and notebooks.")
    )
    return 0
