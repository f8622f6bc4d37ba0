"""You are the annotator: each question tells most, and no answer is lost."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit
from scipy.stats import spearmanr

from lm_bandit import __main__ as command_line
from lm_bandit.feedback import annotators, linear_reward, records
from lm_bandit.feedback.records import ComparisonRecord
from lm_bandit.label import Session, hold_session, infer_taste
from lm_bandit.label.taste import crowd_agreement, word_claims


def records_in(path):
    return [records.parse_record(line) for line in path.read_bytes().splitlines()]


def preferred(world, tastes, question):
    """The answer of somebody with these tastes."""
    liking = dict(zip(world.vocabulary, tastes, strict=True))
    a, b = (sum(liking[word] for word in set(y.split())) for y in question[1:])
    sign = 1 if question.prompt.startswith("praise") else -1
    return "tie" if a == b else "a" if sign * (a - b) > 0 else "b"


def test_a_session_continues_where_the_last_one_stopped(world, tmp_path):
    path = tmp_path / "mine.jsonl"
    shown = []
    commands = iter(["a", "2", " Tie ", "quit", "a"])
    hold_session(Session(path, world), commands, shown.append)
    first = records_in(path)
    assert "A praise prompt asks for praise, a complaint prompt for compl" in shown[0]
    questions = [shown[i].split("\n")[1:] for i in range(1, 7, 2)]
    prompts, sides_a, sides_b = zip(*questions, strict=True)
    sides_a, sides_b = ([side[5:] for side in sides] for sides in (sides_a, sides_b))
    assert first == [
        ComparisonRecord(prompts[0], sides_a[0], sides_b[0]),
        ComparisonRecord(prompts[1], sides_b[1], sides_a[1]),
        ComparisonRecord(prompts[2], sides_a[2], sides_b[2], tied=True),
    ]
    hold_session(Session(path, world), iter(["b"]), shown.append)
    assert shown[10].split() == shown[7].split()  # asked again, as it had no answer
    later = records_in(path)
    assert later[:3] == first
    assert len({frozenset(record[:3]) for record in later}) == 4


def test_undo_takes_back_the_last_answer_or_skip(world, tmp_path):
    session = Session(tmp_path / "mine.jsonl", world)
    asked = []

    def act(command):
        asked.append(session.next())
        return session.act(asked[-1], command)

    assert not act("undo")
    for command in ("a", "skip", "b", "skip"):
        assert act(command)
    assert len(set(asked[1:])) == 4  # a skipped question is not asked again at once
    for count, question in ((2, asked[4]), (1, asked[3]), (1, asked[2]), (0, asked[1])):
        assert act("undo")
        assert len(session.journal.records) == count
        assert session.next() == question
    assert not act("undo")


def test_undo_leaves_the_answers_of_earlier_sessions_alone(world, tmp_path):
    path = tmp_path / "mine.jsonl"
    hold_session(Session(path, world), iter("ab"), lambda text: None)
    before = path.read_bytes()
    shown = []
    hold_session(Session(path, world), iter(["a", "undo", "undo"]), shown.append)
    assert path.read_bytes() == before
    assert "There is nothing to undo." in shown


def test_a_second_session_on_a_file_is_refused_while_the_first_one_lasts(
    world, tmp_path
):
    first = Session(tmp_path / "mine.jsonl", world)
    with pytest.raises(ValueError, match=r"mine\.jsonl is in use by another session"):
        Session(tmp_path / "mine.jsonl", world)
    del first
    Session(tmp_path / "mine.jsonl", world)


def test_messages_say_what_was_wrong(world, tmp_path):
    shown = []
    session = Session(tmp_path / "x.jsonl", world)
    hold_session(session, iter(["undo", "what", ""]), shown.append)
    assert shown[3] == "There is nothing to undo."
    assert shown[6] == "Expected a, b, tie, skip, undo or quit, got 'what'."
    assert shown[9].endswith("got ''.")


def test_the_next_question_leaves_the_smallest_determinant(world, tmp_path):
    session = Session(tmp_path / "mine.jsonl", world)
    for _ in range(4):
        session.act(session.next(), "a")
    mean, covariance = infer_taste(world, session.answers())
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


@pytest.mark.parametrize("seed", range(2))
def test_24_answers_tell_an_odd_taste(seed, world, tmp_path):
    # Measured on five seeds: .79 to .91, where the mean of the raters has .2 to .6.
    rng = np.random.default_rng(seed)
    odd = rng.choice(world.rated, 7, replace=False)
    me = annotators.hire(rng, world, 1)
    me = annotators.with_opposite_tastes(me, np.array([True]), odd)
    session = Session(tmp_path / "mine.jsonl", world, seed)
    for _ in range(24):
        question = session.next()
        session.act(question, preferred(world, me.tastes[0], question))
    answers = session.answers()
    mine, raters = (
        spearmanr(weights, me.tastes[0][world.rated]).statistic
        for weights in (
            infer_taste(world, answers).mean,
            linear_reward.gold_weights(world),
        )
    )
    assert mine > max(0.7, raters)
    named = [x for x in word_claims(world, answers) if not 0.1 < x.above < 0.9]
    asked = [world.vocabulary.index(x.word) for x in word_claims(world, answers)]
    mean = me.tastes[0][asked].mean()
    right = [
        (me.tastes[0][world.vocabulary.index(word)] > mean) == (above > 0.5)
        for word, _, above in named
    ]
    assert sum(right) >= 0.9 * len(named)
    total, agreed, one_rater = crowd_agreement(world, answers)
    assert total <= 24
    assert agreed / total < one_rater  # somebody with an odd taste


PROMPT = "praise: the film was"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (ComparisonRecord("the cat was", "good", "bad"), "field prompt: expected one"),
        (ComparisonRecord(PROMPT, "good", "evil"), "unknown words ['evil']"),
        (ComparisonRecord(PROMPT, "good and bad and", "bad"), "at most 3"),
        (ComparisonRecord(PROMPT, "good <end>", "bad"), "at most 3 words"),
        (records.ScoreRecord(PROMPT, "good", 3), "expected comparisons"),
    ],
)
def test_a_file_of_something_else_is_refused(record, message, tmp_path, capsys):
    path = tmp_path / "answers.jsonl"
    path.write_bytes(records.format_record(record))
    assert command_line.main(["label", "--out", str(tmp_path)]) == 2
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1
    assert "answers.jsonl" in refused
    assert message in refused
    assert path.read_bytes() == records.format_record(record)


@pytest.mark.slow
def test_a_killed_command_loses_no_answer(tmp_path, monkeypatch, capsys):
    path = tmp_path / "answers.jsonl"
    killed = subprocess.Popen(
        [sys.executable, "-m", "lm_bandit", "label", "--out", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    killed.stdin.write("a\nb\ntie\n")
    killed.stdin.flush()
    while "3 answered" not in killed.stdout.readline():
        pass
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(records_in(path)) == 3
    with (tmp_path / "commands").open("w+") as commands:
        commands.write("q\n")
        commands.seek(0)
        monkeypatch.setattr(sys, "stdin", commands)
        assert command_line.main(["label", "--out", str(tmp_path), "--no-train"]) == 0
    shown = capsys.readouterr().out
    assert "3 answered" in shown
    assert "3 answers in" in shown
    assert "At least 8 answers are needed" in shown
