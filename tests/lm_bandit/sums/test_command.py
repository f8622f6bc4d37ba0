"""The command trains, and tells what it found beside the exact optimum."""

import json

import numpy as np
import pytest

from lm_bandit.__main__ import main
from lm_bandit.sums.config import SumsConfig
from lm_bandit.sums.pass_at_k import pass_at_k

METHODS = SumsConfig.methods


@pytest.mark.slow
def test_a_short_run_climbs_towards_the_optimum(tmp_path, monkeypatch, capsys):
    """One of the methods, so that one program is compiled; the world is the usual."""

    def one(self):
        return {"process": METHODS(self)["process"]}

    monkeypatch.setattr(SumsConfig, "methods", one)
    flags = "--seeds 2 --num-updates 10 --pulls 4 --pretraining.num-updates 300"
    assert main(["sums", *flags.split(), "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "The optimum never falls behind." in " ".join(shown.split())
    assert (tmp_path / "sums.png").exists()
    found = json.loads((tmp_path / "sums.json").read_text())
    rows = found["policies"]
    assert found["prompts"] == 100
    assert 0.1 < rows["process"]["share"] < 1.0
    assert np.shape(rows["process"]["shares"]) == (2, 10)
    reference, best = (
        np.array(rows[x]["success"][0]) for x in ("reference", "optimum")
    )
    assert np.all(best >= reference)
    np.testing.assert_allclose(found["J_reference"], reference.mean(), atol=1e-9)
    tries = np.array([16])
    np.testing.assert_allclose(
        rows["base"]["pass@16"],
        pass_at_k(np.array(rows["base"]["success"][0]), tries)[0],
    )


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ("--world sums", "--world sums is a command: python -m lm_bandit sums"),
        ("sums --noise 0.5", "noise must be in [0.0, 0.3], got 0.5"),
        ("sums --pulls 1", "pulls must be at least 2, got 1"),
        ("sums --pulls 3", "minibatches"),
    ],
)
def test_a_mistake_gets_one_line(flags, line, capsys):
    assert main(flags.split()) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
