"""Checkpoints: bit for bit, whole or not at all, and the same to Hugging Face."""

import functools
import json
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from lm_bandit import transformer
from lm_bandit.checkpoints import load_checkpoint, save_checkpoint
from lm_bandit.config import TransformerConfig
from lm_bandit.pipeline import TrainedModels
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import hidden_states

TOKENS = jnp.array([3, 1, 4, 1, 5])


@functools.cache
def random_model(seed):
    """Two blocks, three heads, every number random: no gain is 1 and no bias 0."""
    config = TransformerConfig(num_layers=2, num_heads=3, d_model=12)
    leaves, tree = jax.tree.flatten(transformer.init(jax.random.key(0), 6, 5, config))
    rng = np.random.default_rng(seed)
    return tree.unflatten(
        [x + jnp.asarray(0.1 * rng.normal(size=x.shape), x.dtype) for x in leaves]
    )


def random_reward_model(seed):
    head = jnp.asarray(np.random.default_rng(seed).normal(size=12), jnp.float32)
    return RewardModel(random_model(seed), head, jnp.float32(-0.7))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "policy.safetensors"


@pytest.fixture
def saved(path):
    """A checkpoint of `random_model(0)`: its tensors and its header, to be damaged."""
    save_checkpoint(path, random_model(0), {"world": "pocket"})
    with safe_open(path, "numpy") as file:
        return load_file(path), file.metadata()


def test_all_models_of_a_run_come_back_bit_for_bit(tmp_path):
    as_numpy = jax.tree.map(np.asarray, random_model(3))
    models = TrainedModels(
        random_model(0), random_model(1), random_reward_model(2), as_numpy
    )
    for name, model in models._asdict().items():
        file = tmp_path / "runs" / f"{name}.safetensors"
        save_checkpoint(file, model, {"model": name})
        loaded, description = load_checkpoint(file)
        assert description["model"] == name
        assert jax.tree.structure(loaded) == jax.tree.structure(model)
        for one, other in zip(*map(jax.tree.leaves, (loaded, model)), strict=True):
            assert (one.dtype, one.shape) == (np.float32, other.shape)
            assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_the_same_model_is_the_same_file(path, saved, tmp_path):
    """Byte by byte, however often it is saved (the library's own order is random)."""
    for i in range(4):
        save_checkpoint(tmp_path / f"{i}.safetensors", *load_checkpoint(path))
        assert (tmp_path / f"{i}.safetensors").read_bytes() == path.read_bytes()


def test_names_shapes_and_description_are_those_of_gpt_2(saved):
    """Every query first, then every key, then every value; heads side by side."""
    tensors, header = saved
    described = json.loads(header["description"])
    names = "vocab_size n_positions n_embd n_layer n_head eos_token_id world".split()
    assert [described[name] for name in names] == [6, 5, 12, 2, 3, 0, "pocket"]
    assert len(tensors) == 2 + 2 * 12 + 2
    params = random_model(0)
    queries_of_head_2 = tensors["h.1.attn.c_attn.weight"][:, 8:12]
    values_of_head_0 = tensors["h.1.attn.c_attn.bias"][24:28]
    from_head_1 = tensors["h.0.attn.c_proj.weight"][4:8]
    np.testing.assert_array_equal(queries_of_head_2, params.h.c_attn.w[1, :, 0, 2])
    np.testing.assert_array_equal(values_of_head_0, params.h.c_attn.b[1, 2, 0])
    np.testing.assert_array_equal(from_head_1, params.h.attn_c_proj.w[0, 1])


def test_hugging_face_reads_ours_and_we_read_theirs(path, saved, tmp_path):
    """The same log-probabilities, whichever of the two wrote the file."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

    def of_theirs(model):
        with torch.no_grad():
            logits = model(torch.tensor(np.array(TOKENS)[None])).logits[0]
        return torch.log_softmax(logits, -1).numpy()

    def of_ours(params):
        hidden = hidden_states(params, TOKENS)
        return transformer.next_token_log_probs(params, hidden)

    tensors, header = saved
    config = transformers.GPT2Config(**json.loads(header["description"]))
    theirs = transformers.GPT2LMHeadModel(config).eval()
    theirs.transformer.load_state_dict({n: torch.tensor(x) for n, x in tensors.items()})
    assert_allclose(of_theirs(theirs), of_ours(random_model(0)), atol=1e-5)

    torch.manual_seed(1)
    other = transformers.GPT2LMHeadModel(config).eval()
    other.save_pretrained(tmp_path / "theirs")
    ours, description = load_checkpoint(tmp_path / "theirs" / "model.safetensors")
    assert description["architectures"] == ["GPT2LMHeadModel"]
    assert_allclose(of_ours(ours), of_theirs(other), atol=1e-5)

    # And the file that we write is one that `from_pretrained` accepts.
    save_checkpoint(
        tmp_path / "theirs" / "model.safetensors", random_model(0), {}, overwrite=True
    )
    again = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "theirs").eval()
    assert_allclose(of_theirs(again), of_ours(random_model(0)), atol=1e-5)


def test_the_layout_of_the_released_gpt_2_is_read(path, saved):
    """A config beside, names with or without a prefix, masks among the tensors."""
    tensors, header = saved
    config = path.parent / "config.json"
    config.write_text(json.dumps(json.loads(header["description"]) | {"n_ctx": 5}))
    mask = np.tril(np.ones((1, 1, 5, 5), np.float32))
    tensors |= {"h.0.attn.bias": mask, "h.1.attn.bias": mask}
    for prefix in ("", "transformer."):
        stored = {prefix + name: tensor for name, tensor in tensors.items()}
        save_file(stored, path, {"format": "pt"})
        params, description = load_checkpoint(path)
        assert description["n_ctx"] == 5
        assert jax.tree.all(jax.tree.map(np.array_equal, params, random_model(0)))


@pytest.mark.parametrize(
    ("name", "tensor", "complaint"),
    [
        ("h.1.ln_1.weight", None, "expected tensor {}, got none"),
        ("h.2.ln_1.bias", np.zeros(12), "expected no tensor {}, got one"),
        ("lm_head.weight", np.zeros((6, 12)), "expected no tensor {}, got one"),
        (
            "h.0.mlp.c_fc.weight",
            np.zeros((48, 12)),
            "{} must be [12, 48], got [48, 12]",
        ),
        ("ln_f.bias", np.zeros(12, np.float16), "{} must be F32, got F16"),
        ("ln_f.weight", np.full(12, np.nan), "{} must be finite, got 12 values that"),
        ("score.weight", np.zeros((1, 12)), "expected tensor score.bias, got none"),
    ],
)
def test_another_architecture_is_refused(path, saved, name, tensor, complaint):
    tensors, header = saved
    if tensor is None:
        del tensors[name]
    else:
        is_half = tensor.dtype == np.float16
        tensors[name] = tensor if is_half else tensor.astype(np.float32)
    save_file(tensors, path, header)
    complaint = re.escape(f"{path}: {complaint.format(name)}")
    with pytest.raises(ValueError, match=complaint):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["gelu", "gelu_new", "gelu_pytorch_tanh", None])
def test_the_file_says_whether_gelu_is_exact(path, saved, name):
    tensors, header = saved
    description = json.loads(header["description"]) | {"activation_function": name}
    if name is None:  # GPT-2's
        del description["activation_function"]
    save_file(tensors, path, {"description": json.dumps(description)})
    model, _ = load_checkpoint(path)
    x = np.linspace(-4.0, 4.0, 33)
    exact = [z * 0.5 * (1 + math.erf(z / math.sqrt(2))) for z in x]
    error = np.abs(model.activation(jnp.asarray(x)) - np.array(exact)).max()
    assert error < 1e-6 if name == "gelu" else 1e-4 < error < 1e-3
    same = np.allclose(
        hidden_states(model, TOKENS), hidden_states(random_model(0), TOKENS), atol=1e-6
    )
    assert same == (name != "gelu")
    save_checkpoint(path, model, {}, overwrite=True)
    assert load_checkpoint(path)[0].activation == model.activation


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "expected a description in the header or a config.json beside"),
        ("{", "description must be JSON, got Expecting property name"),
        ("[1]", "description must be a JSON object, got [1]"),
        ({"n_head": None}, "n_head must be a positive integer, got None"),
        ({"n_layer": True}, "n_layer must be a positive integer, got True"),
        ({"n_layer": 3}, "expected tensor h.2.ln_1.weight, got none"),
        ({"n_head": 5}, "n_head must divide n_embd = 12, got 5"),
        ({"vocab_size": 7}, "wte.weight must be [7, 12], got [6, 12]"),
        ({"format_version": 2}, "format_version must be 1, got 2"),
        ({"activation_function": "relu"}, "gelu_pytorch_tanh, gelu, got relu"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings must be True, got False"),
    ],
)
def test_a_description_of_another_model_is_refused(path, saved, text, complaint):
    tensors, header = saved
    if isinstance(text, dict):
        text = json.dumps(json.loads(header["description"]) | text)
    save_file(tensors, path, None if text is None else {"description": text})
    with pytest.raises(ValueError, match=re.escape(complaint)) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)


def test_a_damaged_file_no_file_and_a_folder_are_refused_in_one_line(path, saved):
    """The damages: all is lost, the last byte, the end of the header, or all bytes."""
    data = path.read_bytes()
    noise = np.random.default_rng(0).bytes(len(data))
    for damaged in (b"", data[:-1], data[:100], noise):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="expected a safetensors file") as error:
            load_checkpoint(path)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="expected a checkpoint, got no such file"):
        load_checkpoint(path.parent / "none.safetensors")
    with pytest.raises(ValueError, match="expected a safetensors file, got"):
        load_checkpoint(path.parent)


def test_a_file_is_replaced_only_when_asked(path, saved):
    before = path.read_bytes()
    with pytest.raises(ValueError, match=re.escape(f"{path}: exists")):
        save_checkpoint(path, random_model(1), {})
    assert path.read_bytes() == before
    save_checkpoint(path, random_model(1), {}, overwrite=True)
    assert np.array_equal(load_checkpoint(path)[0].wte, random_model(1).wte)


def test_what_cannot_be_saved_leaves_no_file(path):
    good = random_model(0)
    infinite = good._replace(wte=good.wte.at[0, 0].set(jnp.inf))
    double = good._replace(wte=np.zeros((6, 12)))
    for params, description, complaint in [
        (infinite, {}, "wte.weight must be finite, got 1 values that are not"),
        (double, {}, "wte.weight must be float32, got float64"),
        (good, {"n_layer": 3}, "n_layer must be 2, got 3"),
    ]:
        with pytest.raises(ValueError, match=re.escape(f"{path}: {complaint}")):
            save_checkpoint(path, params, description)
    assert not any(path.parent.iterdir())


def test_an_interrupted_save_leaves_the_last_good_checkpoint(path, saved, monkeypatch):
    def half(file, data):
        file.write_text("half")
        raise KeyboardInterrupt

    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.write_bytes", half)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, random_model(1), {}, overwrite=True)
    assert [*path.parent.iterdir()] == [path]
    assert path.read_bytes() == before
