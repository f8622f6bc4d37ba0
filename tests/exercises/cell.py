"""Answer a question from a notebook cell: JSON in, JSON out. See mdp/exercises.py."""

import json
import sys

from tests.exercises import workbook
from tests.exercises.commands import judged
from tests.exercises.manifest import Diagnosis, find
from tests.exercises.sources import Candidate


def main() -> None:
    """Answer the question on the standard input."""
    question = json.load(sys.stdin)
    try:
        exercise = find(question["exercise"])
    except ValueError as error:
        answer = {"state": "failed", "text": str(error)}
    else:
        source, name = question["source"], question["name"]
        verdict = judged(exercise, Candidate(source, name, "your cell", is_file=False))
        answer = {"state": verdict.state, "text": verdict.text}
        if isinstance(exercise, Diagnosis) and verdict.state != "passed":
            answer["picture"] = str(workbook.picture(exercise))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
