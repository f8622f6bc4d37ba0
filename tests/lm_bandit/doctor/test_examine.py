"""What is no finished run costs the doctor one line."""

import pytest

from lm_bandit import __main__ as command_line
from lm_bandit.config import RLHFConfig
from mdp.interface.files import csv_text, json_text
from tests.lm_bandit.doctor.test_rules import sick_history, sound_history


def write_run(folder, curves):
    rows = [list(curves), *zip(*curves.values(), strict=True)]
    (folder / "history.csv").write_text(csv_text(rows))
    (folder / "report.json").write_text(json_text({"config": {"ppo": RLHFConfig()}}))


def test_a_healthy_run_and_a_sick_one(tmp_path, capsys):
    write_run(tmp_path, sound_history())
    assert command_line.main(["doctor", str(tmp_path)]) == 0
    assert "looks healthy" in capsys.readouterr().out
    write_run(tmp_path, sick_history("kl-sign"))
    assert command_line.main(["doctor", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Fault: kl-sign" in said
    assert "The reward is score + 0.07 KL" in said
    assert "Where to look: rewards.token_rewards" in said


def change(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        ("report.json", None, "expected a finished run, got no report.json"),
        ("history.csv", None, "with its history.csv, got another one"),
        ("report.json", lambda text: text[:-9], "must be JSON"),
        ("report.json", lambda text: "{}", "got another one"),
        ("report.json", lambda text: change(text, '"epochs": 4', '"epochs": []'), "ep"),
        ("history.csv", lambda text: "", "expected a column score, got none"),
        ("history.csv", lambda text: change(text, "kl_weight", "beta"), "kl_weight"),
        ("history.csv", lambda text: text.splitlines()[0], "a line for each update"),
        ("history.csv", lambda text: text[:-30], "line 41: expected 18 numbers"),
        ("history.csv", lambda text: change(text, "0.07", "much"), "line 2: expected"),
    ],
)
def test_what_is_no_run_costs_one_line(file, damage, says, tmp_path, capsys):
    write_run(tmp_path, sound_history())
    path = tmp_path / file
    text = path.read_text()
    path.unlink()
    if damage:
        path.write_text(damage(text))
    assert command_line.main(["doctor", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert says in message
    assert message.count("\n") == 1


def test_a_folder_that_is_not_there_costs_one_line(tmp_path, capsys):
    assert command_line.main(["doctor", str(tmp_path / "none")]) == 2
    assert "expected the folder of a run, got none" in capsys.readouterr().err
