"""Judge every student's file of every exercise.

All files of an exercise are judged by one worker, one after another, each in a process
of its own (see tests/exercises/isolation/). Equal programs are judged once.
First the worker judges the book's own function. If that does not pass, nobody is
marked; if it does, its time says how long a submission may take.
"""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from tests.classroom.submissions import Submission, attempt, program_of, remarks
from tests.exercises import diagnosis
from tests.exercises.check import Worker, check, judge
from tests.exercises.manifest import Diagnosis, Exercise
from tests.exercises.sources import reference, solution
from tests.exercises.words import NO_MARK, Verdict

LEAST_SECONDS, TIMES_AS_LONG = 5.0, 10.0  # that a submission may take
SEEDS = (0, 1)  # of the cases
# Findings, and ends of a test, that speak against a solution.
WRONG = {"difference", "exception", "failed", "broken", "raised", "error"}


class Mark(NamedTuple):
    """The result of a student's file of one exercise; one row of the table."""

    student: str
    exercise: str
    state: str  # "passed", "failed", "no mark", "open", "missing" or "not graded"
    trap: int = 0  # the number of the named trap, from 1; 0 if there is none
    message: str = ""  # the trap's sentence, or what else is wrong
    seconds: float = 0.0  # that the submission took
    remark: str = ""  # tells who else has the same lines

    @property
    def passed(self) -> bool:
        """Whether the exercise is passed."""
        return self.state == "passed"


def grade(
    submissions: list[Submission],
    workers: int = 1,
    report: Callable[[list[Mark]], None] = lambda _: None,
    seeds: tuple[int, ...] = SEEDS,
) -> list[Mark]:
    """Return a mark for each submission, in their order.

    `report` gets the marks of each exercise as soon as they are known.
    """
    by_exercise: dict[str, list[Submission]] = defaultdict(list)
    for each in submissions:
        by_exercise[each.exercise.id].append(each)
    waiting: queue.SimpleQueue[list[Submission]] = queue.SimpleQueue()
    # Long exercises come first, so that no worker is left alone with one at the end.
    for listed in sorted(by_exercise.values(), key=_patience, reverse=True):
        waiting.put(listed)
    marks: dict[tuple[str, str], Mark] = {}
    lock = threading.Lock()

    def work() -> None:
        worker = Worker(is_patient=False)  # the limits are measured here
        try:
            while True:
                listed = waiting.get_nowait()
                try:
                    done = _graded(listed, worker, seeds)
                except Exception as error:  # other exercises still get their marks
                    done = _not_graded(listed, f"{type(error).__name__}: {error}")
                with lock:
                    marks.update({(m.student, m.exercise): m for m in done})
                    report(done)
        except queue.Empty:
            worker.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():  # so that Ctrl-C is heard
            thread.join(0.5)
    says = remarks(submissions)
    return [
        marks[key]._replace(remark=says.get(key, ""))
        for key in ((each.student, each.exercise.id) for each in submissions)
    ]


def _patience(submissions: list[Submission]) -> float:
    return submissions[0].exercise.time_limit


def _graded(
    submissions: list[Submission], worker: Worker, seeds: tuple[int, ...]
) -> list[Mark]:
    """The marks for one exercise."""
    exercise = submissions[0].exercise
    try:
        if not all(each.trouble for each in submissions):  # else nothing is to run
            exercise = _with_time_limit(exercise, worker, seeds)
    except RuntimeError as error:
        return _not_graded(submissions, str(error))
    known: dict[str, Mark] = {}
    marks = []
    for each in submissions:
        if each.trouble:
            name, state = each.student, each.state
            marks.append(Mark(name, exercise.id, state, message=each.trouble))
            continue
        program = program_of(each)
        if program not in known:
            known[program] = _mark(each, exercise, worker, seeds)
        marks.append(known[program]._replace(student=each.student))
    return marks


def _not_graded(submissions: list[Submission], why: str) -> list[Mark]:
    return [
        Mark(each.student, each.exercise.id, "not graded", message=why)
        for each in submissions
    ]


def _mark(
    submission: Submission,
    exercise: Exercise | Diagnosis,
    worker: Worker,
    seeds: tuple[int, ...],
) -> Mark:
    """Judge one file."""
    start = time.monotonic()
    try:
        if isinstance(exercise, Diagnosis):
            verdict = diagnosis.check(exercise, attempt(submission), worker)
        else:
            own = attempt(submission)
            verdict = check(exercise, own, worker=worker, seeds=seeds)
    except (OSError, ValueError, RuntimeError) as error:
        verdict = Verdict("not graded", f"{type(error).__name__}: {error}")
    message = verdict.reason
    state = "no mark" if message.startswith(NO_MARK) else verdict.state
    return Mark(
        submission.student,
        exercise.id,
        "not graded" if message.startswith("The check itself failed") else state,
        verdict.trap,
        "" if state == "passed" else message,
        round(time.monotonic() - start, 2),
    )


def _with_time_limit(
    exercise: Exercise | Diagnosis, worker: Worker, seeds: tuple[int, ...]
) -> Exercise | Diagnosis:
    """The exercise with the limit that fits this machine, by the book's own solution.

    It also fills the caches, which submissions may only read.
    """
    own, test = reference(exercise)._replace(file="reference.py"), ""
    if isinstance(exercise, Diagnosis):
        test = f"{exercise.imports}\n{solution(exercise)}"
    patience = 10 * exercise.time_limit
    found = judge(exercise, own, seeds, test, patience, worker, "to write")
    wrong = [f for f in found if f["what"] in WRONG or f.get("outcome") in WRONG]
    if wrong or not any(finding["what"] == "done" for finding in found):
        says = [finding.get("message", "") for finding in wrong or found]
        reason = next(filter(None, says), "it does not end")
        raise RuntimeError(f"On this machine the book's own does not pass: {reason}")
    taken = next(f["seconds"] for f in found if f["what"] == "time")
    limit = max(LEAST_SECONDS, TIMES_AS_LONG * taken)
    return exercise._replace(time_limit=min(limit, max(exercise.time_limit, 3 * taken)))
