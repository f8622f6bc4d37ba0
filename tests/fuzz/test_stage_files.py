"""Strange files in the folder of a run on text: its config, and its finished stages."""

import json

from hypothesis import strategies as st

from lm_bandit import checkpoints
from lm_bandit.real_text.stages import CONFIG, Stages
from mdp.interface.progress import Progress
from tests.fuzz.strange import STRANGE_JSON, changed, damaged, each_count, taken, tried
from tests.fuzz.test_checkpoints import DESCRIPTION, tensors


class Words:
    """A tokenizer, as far as a run needs it to open its folder."""

    def to_str(self, pretty):
        return "{}"


def fail(report):
    raise AssertionError("a finished stage is not trained again")


@each_count
def test_the_config_of_a_run_is_the_same_or_refused(cases, tmp_path):
    config = {"seed": 0, "model": {"num_layers": 2}, "corpus": None, "names": ["a"]}

    def check(data):
        given = json.dumps(data.draw(changed(config, STRANGE_JSON))).encode()
        if data.draw(st.booleans()):
            given = data.draw(damaged(given))
        (tmp_path / CONFIG).write_bytes(given)
        stages = Stages(tmp_path, config, Progress())
        taken(lambda: stages.open(Words(), overwrite=False), CONFIG)
        assert (tmp_path / CONFIG).read_bytes() == given

    tried(cases, check, st.data())


@each_count
def test_a_finished_stage_is_read_or_refused(cases, tmp_path):
    path = tmp_path / "base.safetensors"
    about = {"stage": "base", "seconds": 1.5, "measured": {"loss": 2.0}}

    def check(data):
        text = json.dumps({**DESCRIPTION, **about})
        if data.draw(st.booleans()):
            told = data.draw(changed(about, STRANGE_JSON))
            text = json.dumps({**DESCRIPTION, **(told if type(told) is dict else {})})
        else:
            text = text.replace("base", data.draw(st.sampled_from(["policy", "", "b"])))
        path.write_bytes(checkpoints.serialize(tensors(), {"description": text}))
        stages = Stages(tmp_path, {}, Progress())
        found = taken(lambda: stages.stage("base", "title", 1, fail), str(path))
        if found is not None:
            assert isinstance(found[1], dict)
            assert stages.progress.seconds["title"] >= 0

    tried(cases // 2, check, st.data())
