"""Damaged checkpoints: their bytes, their descriptions, their tensors.

A file that claims more than it holds must be refused before memory is set aside for it.
"""

import json
import tracemalloc

import jax
import numpy as np
from hypothesis import strategies as st
from safetensors.numpy import save

from lm_bandit.checkpoints import load_checkpoint
from lm_bandit.reward_model import RewardModel
from tests.fuzz.strange import STRANGE_JSON, changed, damaged, each_count, taken, tried

V, C, D = 6, 5, 4
DESCRIPTION = dict(
    zip(
        "vocab_size n_positions n_embd n_layer n_head".split(),
        (V, C, D, 1, 2),
        strict=True,
    )
)
MOST_MEMORY = 20_000_000  # bytes


def tensors():
    """A model of one block with random numbers, under GPT-2's names."""
    rng = np.random.default_rng(0)
    parts = {"wte.weight": (V, D), "wpe.weight": (C, D), "ln_f": (D,)}
    block = {"ln_1": (D,), "attn.c_attn": (D, 3 * D), "attn.c_proj": (D, D)}
    block |= {"ln_2": (D,), "mlp.c_fc": (D, 4 * D), "mlp.c_proj": (4 * D, D)}
    parts |= {f"h.0.{name}": shape for name, shape in block.items()}
    named = {}
    for name, shape in parts.items():
        if name.endswith(".weight"):
            named[name] = shape
        else:
            named[f"{name}.weight"], named[f"{name}.bias"] = shape, shape[-1:]
    return {n: rng.normal(size=shape).astype(np.float32) for n, shape in named.items()}


def require_model(model, description):
    trunk = model.trunk if isinstance(model, RewardModel) else model
    assert trunk.wte.shape == (description["vocab_size"], description["n_embd"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(model))


@each_count
def test_a_checkpoint_is_a_model_or_refused(cases, tmp_path):
    path, whole = tmp_path / "policy.safetensors", tensors()
    kinds = [np.float64, np.float16, np.int32, np.bool_]

    def check(data):
        stored = dict(whole)
        text = json.dumps(data.draw(changed(DESCRIPTION, STRANGE_JSON)))
        if data.draw(st.booleans()):
            text, name = json.dumps(DESCRIPTION), data.draw(st.sampled_from([*whole]))
            how = data.draw(st.sampled_from(["kind", "gone", "cut", "nan", "twice"]))
            if how == "gone":
                del stored[name]
            elif how == "twice":
                stored[
                    data.draw(st.sampled_from(["h.1.ln_1.bias", "score.weight"]))
                ] = stored[name]
            else:
                kind = data.draw(st.sampled_from(kinds))
                new = {"kind": whole[name].astype(kind), "cut": whole[name][..., :1]}
                stored[name] = new.get(how, np.full_like(whole[name], np.nan))
        given = save(stored, {"format": "pt", "description": text})
        if data.draw(st.integers(0, 2)) == 0:
            given = data.draw(damaged(given))
        path.write_bytes(given)
        found = taken(lambda: load_checkpoint(path), str(path))
        if found is not None:
            require_model(*found)
        assert path.read_bytes() == given

    path.write_bytes(save(whole, {"description": json.dumps(DESCRIPTION)}))
    require_model(*load_checkpoint(path))
    tried(cases, check, st.data())


@each_count
def test_a_small_file_takes_little_memory_whatever_it_claims(cases, tmp_path):
    path, sizes = tmp_path / "policy.safetensors", [1, 2, 10**6, 10**9, 2**63, 10**30]

    def check(data):
        claimed = {name: data.draw(st.sampled_from(sizes)) for name in DESCRIPTION}
        few = data.draw(
            st.sampled_from(
                [{}, tensors(), {"wte.weight": np.zeros((1, 1), np.float32)}]
            )
        )
        path.write_bytes(save(few, {"description": json.dumps(claimed)}))
        tracemalloc.start()
        assert taken(lambda: load_checkpoint(path), str(path)) is None
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < MOST_MEMORY

    tried(cases, check, st.data())


@each_count
def test_a_config_beside_a_checkpoint(cases, tmp_path):
    path, beside = tmp_path / "model.safetensors", tmp_path / "config.json"
    path.write_bytes(save(tensors(), {"format": "pt"}))

    def check(data):
        given = json.dumps(data.draw(changed(DESCRIPTION, STRANGE_JSON))).encode()
        if data.draw(st.booleans()):
            given = data.draw(damaged(given))
        beside.write_bytes(given)
        found = taken(lambda: load_checkpoint(path), str(beside), str(path))
        if found is not None:
            require_model(*found)

    tried(cases, check, st.data())
