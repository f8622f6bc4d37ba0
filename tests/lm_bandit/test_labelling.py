"""You are the annotator: no answer is lost, and few of them tell a taste."""

import os
import pty
import signal
import subprocess
import sys
import termios
import threading

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from scipy.stats import spearmanr

from lm_bandit import __main__ as command_line
from lm_bandit import label as labelling
from lm_bandit import world as text
from lm_bandit.feedback import annotators, linear_reward, records
from lm_bandit.feedback.records import ComparisonRecord
from lm_bandit.label import keyboard as keys
from lm_bandit.label.session import Session, hold_session


@pytest.fixture(scope="module")
def world():
    return text.pocket_world()


def prefers(world, worths, question):
    """What somebody answers who finds each word worth so much."""
    liking = dict(zip(world.vocabulary, worths, strict=True))
    a, b = (sum(liking[word] for word in set(y.split())) for y in question[1:])
    sign = 1 if question.prompt.startswith("praise") else -1
    return "tie" if a == b else "a" if sign * (a - b) > 0 else "b"


def test_a_sitting_goes_on_where_the_last_one_stopped(world, tmp_path):
    path = tmp_path / "mine.jsonl"
    shown = []
    hold_session(
        Session(path, world), iter(["a", "2", " Tie ", "quit", "a"]), shown.append
    )
    first = list(records_in(path))
    questions = [shown[i].split("\n")[1:] for i in range(0, 6, 2)]
    prompts, sides_a, sides_b = zip(*questions, strict=True)
    sides_a, sides_b = ([side[5:] for side in sides] for sides in (sides_a, sides_b))
    assert first == [
        ComparisonRecord(prompts[0], sides_a[0], sides_b[0]),
        ComparisonRecord(prompts[1], sides_b[1], sides_a[1]),
        ComparisonRecord(prompts[2], sides_a[2], sides_b[2], tied=True),
    ]
    hold_session(Session(path, world), iter(["b"]), shown.append)
    assert shown[8].split() == shown[6].split()  # asked again, as it had no answer
    later = list(records_in(path))
    assert later[:3] == first
    assert len({frozenset(record[:3]) for record in later}) == 4


def records_in(path):
    return map(records.parse_record, path.read_bytes().splitlines())


def test_undo_takes_back_the_last_answer_or_skip(world, tmp_path):
    session = Session(tmp_path / "mine.jsonl", world)
    asked = []

    def act(meant):
        asked.append(session.next())
        return session.act(asked[-1], meant)

    assert not act("undo")
    for meant in ("a", "skip", "b", "skip"):
        assert act(meant)
    assert len(set(asked[1:])) == 4  # a skipped question is not asked again at once
    for count, question in ((2, asked[4]), (1, asked[3]), (1, asked[2]), (0, asked[1])):
        assert act("undo")
        assert len(session.journal.records) == count
        assert session.next() == question
    assert not act("undo")


def test_remarks_say_what_was_wrong(world, tmp_path):
    said = []
    hold_session(
        Session(tmp_path / "x.jsonl", world), iter(["undo", "what", ""]), said.append
    )
    assert said[2] == "There is nothing to undo."
    assert said[5] == "Expected a, b, tie, skip, undo or quit, got 'what'."
    assert said[8].endswith("got ''.")


def test_the_next_question_leaves_the_smallest_determinant(world, tmp_path):
    session = Session(tmp_path / "mine.jsonl", world)
    for _ in range(6):
        session.act(session.next(), "a")
    mean, covariance = labelling.infer_taste(world, session.answers())
    information = np.linalg.inv(covariance)
    determinants = {}
    asked = {frozenset(record[:3]) for record in session.journal.records}
    for question, z in session.pool.items():
        p = expit(z @ mean)
        after = information + p * (1 - p) * np.outer(z, z)
        if frozenset(question) not in asked:
            determinants[question] = -np.linalg.slogdet(after).logabsdet
    got = determinants[session.next()]
    assert_allclose(got, min(determinants.values()), rtol=1e-12)


def test_the_differences_are_those_of_the_linear_reward(world):
    rng = np.random.default_rng(0)
    prompts = world.prompts[rng.integers(8, size=50)]
    first, second = rng.integers(len(world.vocabulary), size=(2, 50, 4))
    first[:, -1] = second[:, -1] = text.END
    phi = [
        linear_reward.features(world, jnp.asarray(prompts), jnp.asarray(side))
        for side in (first, second)
    ]
    got = labelling.word_differences(world, prompts, first, second)
    assert_array_equal(got, phi[0] - phi[1])


@pytest.mark.parametrize("seed", range(5))
def test_24_answers_tell_an_odd_taste(seed, world, tmp_path):
    # Measured on these seeds: .79 to .91, where the raters' mean has .2 to .6.
    rng = np.random.default_rng(seed)
    odd = rng.choice(world.rated, 7, replace=False)
    me = annotators.with_opposite_tastes(
        annotators.hire(rng, world, 1), np.array([True]), odd
    )
    session = Session(tmp_path / "mine.jsonl", world, seed)
    for _ in range(24):
        question = session.next()
        session.act(question, prefers(world, me.tastes[0], question))
    given = session.answers()
    believed = labelling.infer_taste(world, given).mean
    right, crowd = (
        spearmanr(worths, me.tastes[0][world.rated]).statistic
        for worths in (believed, linear_reward.gold_weights(world))
    )
    assert right > 0.7
    assert right > crowd
    total, agreed, of_one = labelling.crowd_agreement(world, given)
    assert total <= 24
    assert agreed / total < of_one  # somebody odd


def test_a_tie_is_half_a_win_for_each(world, tmp_path):
    session = Session(tmp_path / "mine.jsonl", world)
    for _ in range(5):
        session.act(session.next(), "tie")
    belief = labelling.infer_taste(world, session.answers())
    assert_allclose(belief.mean, 0.0, atol=1e-12)
    # Of the precision .1, and of one answer each: not of two.
    tied = session.answers()
    taken = labelling.infer_taste(world, tied._replace(tied=None)).covariance
    assert np.trace(taken) >= np.trace(belief.covariance)


def test_stand_ins_answer_as_is_believed(world):
    mean = np.linspace(-2.0, 2.0, len(world.rated))
    certain = linear_reward.Posterior(mean, np.zeros((len(mean), len(mean))))
    rng = np.random.default_rng(0)
    people = labelling.sample_annotators(rng, world, certain)
    good, bad = world.rated[[12, 8]]
    first, second = (np.full((20_000, 4), text.END) for _ in range(2))
    first[:, 0], second[:, 0] = good, bad
    which = np.zeros(20_000, int)
    given = annotators.compare_pairs(
        rng, world, which, np.stack([first, second], 1), people
    )
    wins = (given.chosen[:, 0] == good).mean()
    p = expit(mean[12] - mean[8])
    assert abs(wins - p) < 4 * np.sqrt(p * (1 - p) / 20_000)


def test_where_the_answers_leave_it_open_the_stand_ins_disagree(world, tmp_path):
    session = Session(tmp_path / "mine.jsonl", world)
    for _ in range(8):
        session.act(session.next(), "a")
    belief = labelling.infer_taste(world, session.answers())
    people = labelling.sample_annotators(
        np.random.default_rng(0), world, belief, 20_000
    )
    tastes = people.tastes[:, world.rated]
    deviations = np.sqrt(np.diag(belief.covariance))
    assert_allclose(
        tastes.mean(0), belief.mean, atol=5 * deviations.max() / 20_000**0.5
    )
    assert_allclose(tastes.std(0), deviations, rtol=0.03)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (
            ComparisonRecord("praise: the cat was", "good", "bad"),
            "field prompt: expected one",
        ),
        (
            ComparisonRecord("praise: the film was", "good", "evil"),
            "unknown words ['evil']",
        ),
        (
            ComparisonRecord("praise: the film was", "good and bad and", "bad"),
            "at most 3",
        ),
        (
            ComparisonRecord("praise: the film was", "good <end>", "bad"),
            "at most 3 words",
        ),
        (
            records.ScoreRecord("praise: the film was", "good", 3),
            "expected comparisons",
        ),
    ],
)
def test_a_file_of_something_else_is_refused(record, told, tmp_path, capsys):
    path = tmp_path / "other.jsonl"
    path.write_bytes(records.format_record(record))
    assert command_line.main(["label", "--out", str(path)]) == 2
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1
    assert "other.jsonl" in refused
    assert told in refused
    assert path.read_bytes() == records.format_record(record)


def test_keys_at_a_terminal_need_no_new_line():
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        pressed = keys.typed_commands(terminal)
        for key in "au":
            # The new line comes late: who waits for it reads more than the key.
            threading.Timer(0.2, os.write, (ours, key.encode())).start()
            late = threading.Timer(1.0, os.write, (ours, b"\n"))
            late.start()
            assert next(pressed) == key
            assert late.is_alive()
            late.cancel()
        before = termios.tcgetattr(terminal)
        assert before[3] & termios.ICANON  # the terminal is as it was
        threading.Timer(0.2, os.write, (ours, b"\x04")).start()
        assert list(pressed) == []
    os.close(ours)


def start(path, *flags):
    return subprocess.Popen(
        [sys.executable, "-m", "lm_bandit", "label", "--out", str(path), *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_killed_command_loses_no_answer(tmp_path):
    path = tmp_path / "mine.jsonl"
    killed = start(path)
    killed.stdin.write("a\nb\ntie\n")
    killed.stdin.flush()
    while "3 answered" not in killed.stdout.readline():
        pass
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(list(records_in(path))) == 3
    said, _ = start(path, "--no-train").communicate("q\n")
    assert "3 answered" in said
    assert "3 answers in" in said
    assert "come back for more" in said
