"""The folder of a run: whose config it must have, and what --overwrite removes."""

import pytest
from tokenizers import Tokenizer, models

from lm_bandit.real_text import stages
from mdp.interface.progress import Progress


def test_another_config_is_another_run_and_overwriting_spares_other_files(tmp_path):
    tokenizer = Tokenizer(models.BPE())
    first = {"seed": 0, "ppo": {"kl_weight": 0.25}}
    for _ in range(2):  # the same run may be opened again
        stages.Stages(tmp_path, first, Progress()).open(tokenizer, overwrite=False)
    second = stages.Stages(tmp_path, {"seed": 0, "ppo": {"kl_weight": 1.5}}, Progress())
    with pytest.raises(ValueError, match=r"has ppo\.kl_weight = 0\.25, got 1\.5: try"):
        second.open(tokenizer, overwrite=False)
    for name in ("mine.txt", "report.json", "judge.safetensors"):
        (tmp_path / name).touch()
    second.open(tokenizer, overwrite=True)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"config.json", "tokenizer.json", "mine.txt"}
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="made from other texts; try --overwrite"):
        second.open(tokenizer, overwrite=False)


def test_a_checkpoint_of_something_else_is_refused(tmp_path, monkeypatch):
    run = stages.Stages(tmp_path, {}, Progress())
    (tmp_path / "base.safetensors").touch()
    other = (None, {"stage": "judge"})
    monkeypatch.setattr(stages.checkpoints, "load_checkpoint", lambda path: other)
    with pytest.raises(ValueError, match="expected the stage base of a run on text"):
        run.stage("base", "pretraining", 1, lambda report: None)
