"""Tables that explain themselves: words stay whole, and every column has a meaning."""

import numpy as np
import pytest

import mdp
from mdp.__main__ import main
from mdp.fast.learners import start_value
from mdp.interface.command_line import Terminal
from mdp.interface.tables import explained_table
from tests.shown import lines_at

COLUMNS = {"policy": "", "share of the way": "from the start to the end", "text": ""}
ROWS = [("a policy with a long name that wraps", "-12.345 ± 0.001", "word " * 30), ()]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_texts_wrap_at_words_and_numbers_never(width):
    table = explained_table("Title", COLUMNS, ROWS, {"way": "road"}, texts=("text",))
    lines = lines_at(table, width)
    assert max(map(len, lines)) <= width
    assert sum("-12.345 ± 0.001" in line for line in lines) == 1
    told = {"Title", *" ".join([*COLUMNS, *COLUMNS.values()]).split(), "way", "road"}
    allowed = told | {word for cell in ROWS[0] for word in cell.split()}
    assert {word for line in lines for word in line.split()} - allowed <= {"─" * width}


def test_a_text_in_a_table_is_data():
    shown = "\n".join(lines_at(explained_table("[red]\x1b", {"a": ""}, [("[b]\t",)])))
    assert "[red]\\x1b" in shown
    assert "[b]\\t" in shown


def test_the_greedy_policy_is_valued_where_it_goes_and_nowhere_else():
    """Up, right along the row above the cliff, down: 13 steps of -1."""
    cliff = mdp.worlds.cliff_walking()
    world = mdp.worlds.find("cliff_walking")
    up, right, down = (world.actions.index(arrow) for arrow in "↑→↓")
    policy = np.zeros((cliff.num_states, cliff.num_actions))
    policy[:, up] = 1  # for ever, from most states
    assert np.isnan(start_value(cliff, policy))
    start = int(cliff.start.argmax())
    path, state = [(start, up)], start - 12
    path += [(state + i, right) for i in range(11)] + [(state + 11, down)]
    for s, a in path:
        policy[s] = np.eye(cliff.num_actions)[a]
    assert start_value(cliff, policy) == pytest.approx(-13)


def test_learn_shows_that_q_learning_has_found_what_it_falls_short_of(capsys):
    """It falls off the cliff while it explores; its greedy policy does not."""
    flags = "learn cliff_walking --algorithms q_learning --seeds 5 --num-episodes 400"
    assert main(flags.split()) == 0
    (row,) = [
        x for x in capsys.readouterr().out.splitlines() if x[:10] == "q_learning"
    ][-1:]
    _, while_learning, _, _, greedy, _, error, optimum = row.split()
    assert float(while_learning) < -25
    assert (greedy, error, optimum) == ("-13", "0", "-13")


@pytest.mark.slow
def test_every_table_of_the_command_line_fits_80_columns(monkeypatch, capsys):
    monkeypatch.setattr("mdp.__main__.console", Terminal(width=80))
    for command in ("worlds", "solve taxi", "solve frozen_lake"):
        assert main(command.split()) == 0
        shown = capsys.readouterr().out
        assert max(map(len, shown.splitlines())) <= 80
        assert "…" not in shown
