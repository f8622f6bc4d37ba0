"""Strange command lines: each ends with 0, or with 2 and one line that says why.

Every command here is quick, or refused because a file or a world in it is missing.
"""

import contextlib
import io

import matplotlib as mpl
from hypothesis import strategies as st

mpl.use("Agg")

from lm_bandit.__main__ import main as language
from mdp.__main__ import main as planning
from policy_gradient.__main__ import main as gradients
from tests.fuzz.strange import LONGEST_MESSAGE, each_count, no_hang, tried

COMMANDS = (
    (planning, "worlds gambler"),
    (planning, "solve student --method policy_iteration --discount 0.5"),
    (
        planning,
        "learn short_corridor --algorithms sarsa --seeds 2 --seed 0 --window 2 "
        "--num-episodes 5 --max-steps 9 --step-size 0.1 --exploration 0.2",
    ),
    (gradients, "algorithms"),
    (
        gradients,
        "compare --worlds none.py:world --algorithms ppo --seeds 2 --steps 9 "
        "--time-limit 3 --checkpoints 2 --first-seed 0 --sweep step_size=0.1,0.2",
    ),
    (language, "--ratings none.csv --seed 0 --num-babble 9 --ppo.kl-weight 0.1"),
    (language, "--ratings none.csv --ppo.view token --model.d-model 8 --world wide"),
    (language, "ask none praise --count 2 --temperature 1 --seed 0"),
    (language, "compare --ratings none.csv --seeds 2 --first-seed 0 --ppo.pulls 8"),
    (language, "lab --seeds 2 none"),
    (language, "doctor none"),
    (language, "label --ratings none.csv --seed 0 --out labels"),
    (language, "--corpus none.txt --preferences none.jsonl --seed 0 --held-out 0.1"),
)
WORDS = (
    *("-1", "0", "1", "nan", "inf", "-inf", "1e400", "9223372036854775807"),
    *("9223372036854775808", "-9223372036854775809", "9" * 5000, "one", "", "0x10"),
    *("1_0", "٣", "True", "None", "--", "-", "--no", "[red]", "\x1b[31m", "a\nb", "é"),
    *("none/below", ".", "/dev/null", "--seed=-1", "--help", "\ud800", "ppo", "1.5"),
)


@st.composite
def command_lines(draw):
    """A command, and its words with some replaced, left out, repeated or misspelt."""
    main, line = draw(st.sampled_from(COMMANDS))
    words = line.split()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(words)))
        how = draw(st.sampled_from(["replace", "replace", "add", "drop", "misspell"]))
        if how == "add":
            words.insert(at, draw(st.sampled_from(WORDS)))
        elif at < len(words):
            letter = draw(st.integers(0, len(words[at])))
            new = {"replace": [draw(st.sampled_from(WORDS))], "drop": []}
            misspelt = words[at][:letter] + words[at][letter + 1 :]
            words[at : at + 1] = new.get(how, [misspelt])
    return main, words


@each_count
def test_a_command_line_works_or_is_refused_in_one_line(cases, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    def check(given):
        main, words = given
        out, complaint = io.StringIO(), io.StringIO()
        try:
            with (
                no_hang(),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(complaint),
            ):
                status = main(words)
        except SystemExit as stop:
            status, is_help = stop.code, True
        else:
            is_help = False
        assert not (is_help and status), "only --help leaves on its own"
        assert not is_help or "usage" in out.getvalue()
        assert status in (0, 2)
        if status == 2:
            message = complaint.getvalue()
            assert message.startswith("error: ")
            assert message.count("\n") == 1
            assert len(message) <= LONGEST_MESSAGE
            assert "__tyro" not in message
            assert "write None" not in message
            assert not [*tmp_path.iterdir()], "nothing was begun"

    tried(5 + cases // 10, check, command_lines())
