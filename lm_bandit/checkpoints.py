"""Checkpoints: a model in one safetensors file, under the names that GPT-2 gave.

    wte.weight [V, D]                     ln_f.weight [D]        ln_f.bias [D]
    wpe.weight [C, D]
    h.0.ln_1.weight [D]                   h.0.ln_1.bias [D]
    h.0.attn.c_attn.weight [D, 3 D]       h.0.attn.c_attn.bias [3 D]
    h.0.attn.c_proj.weight [D, D]         h.0.attn.c_proj.bias [D]
    h.0.ln_2.weight [D]                   h.0.ln_2.bias [D]
    h.0.mlp.c_fc.weight [D, 4 D]          h.0.mlp.c_fc.bias [4 D]
    h.0.mlp.c_proj.weight [4 D, D]        h.0.mlp.c_proj.bias [D]
    h.1. ...
    score.weight [1, D]                   score.bias [1]         (reward models)

The file cannot execute code, and holds float32 bit for bit. Its header holds the
description of the model, as JSON with the fields of GPT-2's own config, so that a model
and its description cannot be mixed up. Hugging Face's library reads our files:

    with safe_open(path, "pt") as file:
        config = GPT2Config(**json.loads(file.metadata()["description"]))
    model = GPT2LMHeadModel(config).eval()
    model.transformer.load_state_dict(load_file(path))

and we read theirs, the released GPT-2 included: where the header has no description,
`load_checkpoint` looks for the `config.json` that Hugging Face puts beside the file.

Source: Radford et al. (2019), and the names in its released code (openai/gpt-2).
Shapes: V tokens in the vocabulary, C tokens of context, width D.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from lm_bandit.config import TransformerConfig
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import Activation, Transformer, init
from lm_bandit.world import END
from mdp.checks import shown
from mdp.interface.files import parse_json, read_json, write_files
from policy_gradient.training import BrokenRun

FORMAT_VERSION = 1
LAST_GOOD = "last_good.safetensors"  # of a run that broke
SIZES = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
# Two names of GELU by tanh, GPT-2's own first, and that of the exact GELU.
ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh", "gelu")
# GPT-2's names for the parts of `Block`, in the same order.
PARTS = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")


def save_checkpoint(
    path: Path,
    params: Transformer | RewardModel,
    description: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write a model and its description; the file appears when it is complete.

    The sizes of the model are added to the description. Raises ValueError where the
    file exists (without `overwrite`), where the description contradicts the model, or
    where a number is not a finite float32.
    """
    if path.exists() and not overwrite:
        raise ValueError(f"{path}: exists, and is replaced only if that is asked for")
    trunk = params.trunk if isinstance(params, RewardModel) else params
    own = {
        "format_version": FORMAT_VERSION,
        **_architecture(trunk.activation.name),
        **_sizes(trunk),
    }
    for name, value in own.items():
        _require(description.get(name, value), value, f"{path}: {name}")
    ends = {"bos_token_id": END, "eos_token_id": END}

    tensors = _named(trunk)
    if isinstance(params, RewardModel):
        tensors |= {"score.weight": params.head, "score.bias": params.bias}
    shapes = dict(_shapes(own, scores=isinstance(params, RewardModel)))
    for name, tensor in tensors.items():
        tensor = np.asarray(tensor)
        _require(str(tensor.dtype), "float32", f"{path}: {name}")
        _require_finite(tensor, f"{path}: {name}")
        tensors[name] = np.ascontiguousarray(tensor.reshape(shapes[name]))
    header = {
        "format": "pt",  # Hugging Face's word for the layout; it refuses files without
        "description": json.dumps({**ends, **description, **own}),
    }
    write_files(path.parent, {path.name: _in_order(serialize(tensors, header))})


def load_checkpoint(path: Path) -> tuple[Transformer | RewardModel, dict[str, Any]]:
    """Return the model in a file, and its description.

    The model is a `RewardModel` if the file holds a `score`. Raises ValueError, which
    names the file, what was expected and what was found, where the file is anything but
    a whole GPT-2 of finite float32 numbers.
    """
    if not path.exists():
        raise ValueError(f"{path}: expected a checkpoint, got no such file")
    if not path.is_file():
        got = "a folder" if path.is_dir() else "a device or a pipe"
        raise ValueError(f"{path}: expected a safetensors file, got {got}")
    try:
        file = safe_open(path, framework="numpy")
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: expected a safetensors file, got {error}") from None
    with file:
        description = _read_description(path, file.metadata() or {})
        # Hugging Face's models with a head put a prefix before the names of the trunk,
        # and its older files keep the causal mask as if it were learned.
        stored = {
            name.removeprefix("transformer."): name
            for name in file.keys()  # noqa: SIM118
            if not name.endswith((".attn.bias", ".attn.masked_bias"))
        }
        scores = "score.weight" in stored
        # One by one: the description may claim more layers than memory can hold.
        shapes = {}
        for name, shape in _shapes(description, scores):
            if name not in stored:
                raise ValueError(f"{path}: expected tensor {name}, got none")
            shapes[name] = shape
        if unknown := sorted(stored.keys() - shapes.keys()):
            raise ValueError(f"{path}: expected no tensor {unknown[0]}, got one")
        tensors = {}
        for name, shape in shapes.items():
            header = file.get_slice(stored[name])
            _require(header.get_dtype(), "F32", f"{path}: {name}")
            _require(header.get_shape(), list(shape), f"{path}: {name}")
            tensors[name] = file.get_tensor(stored[name])
            _require_finite(tensors[name], f"{path}: {name}")
    trunk = _stacked(tensors, description)
    if not scores:
        return trunk, description
    head, bias = tensors["score.weight"][0], tensors["score.bias"][0]
    return RewardModel(trunk, jnp.asarray(head), jnp.asarray(bias)), description


def keep_last_good(
    broken: BrokenRun, folder: Path, description: Mapping[str, Any]
) -> str:
    """Save the last good model of a broken run, and return a line about both."""
    stage = next(iter(getattr(broken, "__notes__", [])), "PPO")
    line = f"{stage}, {broken}"
    if broken.last_good is None:
        return line
    path = folder / LAST_GOOD
    save_checkpoint(path, broken.last_good, description, overwrite=True)
    return (
        f"{line}; the last good {'policy' if stage == 'PPO' else 'model'} is in {path}"
    )


def _sizes(trunk: Transformer) -> dict[str, int]:
    """Return the sizes of a model, under the names of GPT-2's config."""
    (vocabulary, width), context = trunk.wte.shape, trunk.wpe.shape[0]
    layers, _, _, heads, _ = trunk.h.c_attn.w.shape
    return dict(zip(SIZES, (vocabulary, context, width, layers, heads), strict=True))


def _shapes(
    sizes: Mapping[str, Any], scores: bool
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and shape of every tensor in a file."""
    V, C, D, L, _ = (sizes[name] for name in SIZES)
    weights = ((D,), (D, 3 * D), (D, D), (D,), (D, 4 * D), (4 * D, D))
    yield from (("wte.weight", (V, D)), ("wpe.weight", (C, D)))
    for layer in range(L):
        for part, shape in zip(PARTS, weights, strict=True):
            yield f"h.{layer}.{part}.weight", shape
            yield f"h.{layer}.{part}.bias", shape[-1:]
    yield from (("ln_f.weight", (D,)), ("ln_f.bias", (D,)))
    if scores:
        yield from (("score.weight", (1, D)), ("score.bias", (1,)))


def _named(trunk: Transformer) -> dict[str, Any]:
    """Return every tensor under its name, layer by layer, in our own shapes."""
    named = {"wte.weight": trunk.wte, "wpe.weight": trunk.wpe}
    for part, (weights, biases) in zip(PARTS, trunk.h, strict=True):
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            named[f"h.{layer}.{part}.weight"] = weight
            named[f"h.{layer}.{part}.bias"] = bias
    return named | {"ln_f.weight": trunk.ln_f.g, "ln_f.bias": trunk.ln_f.b}


def _stacked(
    tensors: Mapping[str, np.ndarray], sizes: Mapping[str, Any]
) -> Transformer:
    """Return the model of named tensors, layers stacked and heads apart.

    It is the inverse of `_named`.
    """
    V, C, D, L, H = (sizes[name] for name in SIZES)
    kinds = [f"{part}.{kind}" for part in PARTS for kind in ("weight", "bias")]
    leaves = [
        tensors["wte.weight"],
        tensors["wpe.weight"],
        *(np.stack([tensors[f"h.{i}.{kind}"] for i in range(L)]) for kind in kinds),
        tensors["ln_f.weight"],
        tensors["ln_f.bias"],
    ]
    config = TransformerConfig(num_layers=L, num_heads=H, d_model=D)
    like = jax.eval_shape(lambda key: init(key, V, C, config), jax.random.key(0))
    flat = jax.tree.unflatten(jax.tree.structure(like), leaves)
    trunk = jax.tree.map(lambda x, leaf: jnp.asarray(leaf.reshape(x.shape)), like, flat)
    return trunk._replace(activation=Activation(_activation(sizes)))


def _architecture(activation: str) -> dict[str, Any]:
    """Return our transformer's choices among those that GPT-2's config leaves open."""
    return {
        "model_type": "gpt2",
        "activation_function": activation,
        "layer_norm_epsilon": 1e-5,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "tie_word_embeddings": True,
    }


def _activation(description: Mapping[str, Any]) -> str:
    """Return the name of the activation; where there is none, it is GPT-2's."""
    return description.get("activation_function", ACTIVATIONS[0])


def _in_order(data: bytes) -> bytes:
    """Return a safetensors file with its header sorted: equal models, equal bytes."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:start]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # the tensors stay aligned
    return len(header).to_bytes(8, "little") + header + data[start:]


def _read_description(path: Path, header: Mapping[str, str]) -> dict[str, Any]:
    """Return the description, from the header or a file beside, once it is checked."""
    source = f"{path}: description"
    text = header.get("description")
    if text is None:
        beside = path.parent / "config.json"
        if not beside.exists():
            raise ValueError(
                f"{path}: expected a description in the header or a config.json "
                "beside the file, got neither"
            )
        source, description = str(beside), read_json(beside)
    else:
        description = parse_json(text, source)
    for name in SIZES:
        size = description.get(name)
        if type(size) is not int or size < 1:
            _refuse(f"{source}: {name}", "a positive integer", size)
    expected = _architecture(_activation(description))
    for name, value in {"format_version": FORMAT_VERSION, **expected}.items():
        _require(description.get(name, value), value, f"{source}: {name}")
    if _activation(description) not in ACTIVATIONS:
        raise ValueError(
            f"{source}: activation_function must be one of {', '.join(ACTIVATIONS)}, "
            f"got {_activation(description)}"
        )
    D, H = description["n_embd"], description["n_head"]
    if D % H:
        raise ValueError(f"{source}: n_head must divide n_embd = {D}, got {H}")
    return description


def _require(got: Any, expected: Any, name: str) -> None:
    if got != expected:
        _refuse(name, expected, got)


def _refuse(name: str, expected: Any, got: Any) -> NoReturn:
    words = shown(got).strip("'")  # a file may hold texts of any length
    raise ValueError(f"{name} must be {expected}, got {words}")


def _require_finite(tensor: np.ndarray, name: str) -> None:
    if bad := tensor.size - np.isfinite(tensor).sum():
        raise ValueError(f"{name} must be finite, got {bad} values that are not")
