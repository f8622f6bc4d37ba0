"""Hugging Face on our model: the same weights, under the names of GPT-2.

Each peer runs on its fastest number of threads, which is found before the clock starts.
"""

import json
import os
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from lm_bandit import checkpoints
from lm_bandit.transformer import Transformer

NEW_TOKENS = 16
STEP_SIZE = 1e-3  # of Adam, annealed to 0


class Written(NamedTuple):
    """Completions, and how many tokens were generated for them."""

    completions: Int[np.ndarray, "n C"]
    tokens: int


def torch_device() -> str | None:
    """Return where the peers compute: on a card if torch finds one, or None.

    None means that torch or transformers are not installed.
    """
    if not (find_spec("torch") and find_spec("transformers")):
        return None
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def hugging_face(params: Transformer, room: int = 0):
    """Return our model as a GPT2LMHeadModel; `room` adds tokens of probability 0."""
    be_quiet()
    from safetensors import safe_open
    from safetensors.torch import load_file
    from transformers import GPT2Config, GPT2LMHeadModel

    if room:
        params = params._replace(
            wte=jnp.concatenate([params.wte, jnp.tile(_never(params), (room, 1))])
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        checkpoints.save_checkpoint(path, params, {})
        with safe_open(path, "pt") as file:
            config = GPT2Config(**json.loads(file.metadata()["description"]))
        config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0
        config.bos_token_id, config.eos_token_id = 0, 0
        config.pad_token_id = config.vocab_size - 1
        model = GPT2LMHeadModel(config)
        model.transformer.load_state_dict(load_file(path))
    return model.to(torch_device())


def ours(weights: dict, config) -> Transformer:
    """Return the trunk of a GPT2LMHeadModel as our model, without its last token."""
    from safetensors.torch import save_file

    trunk = {
        name.removeprefix("transformer."): tensor.clone()
        for name, tensor in weights.items()
        if name.startswith("transformer.")
    }
    trunk["wte.weight"] = trunk["wte.weight"][:-1].clone()
    description = {**config.to_dict(), "vocab_size": config.vocab_size - 1}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file(trunk, path, {"description": json.dumps(description, default=str)})
        return checkpoints.load_checkpoint(path)[0]


def fine_tuning(params, tokens, rows, compiled: bool):
    """Return a function that takes one optimiser step for each row of `rows`."""
    import torch

    start = hugging_face(params)
    tokens, rows = (
        torch.tensor(np.asarray(x)).to(start.device) for x in (tokens, rows)
    )

    def train(num_steps=None) -> Float[np.ndarray, "updates"]:
        model.load_state_dict(start.state_dict())
        optimizer = torch.optim.Adam(model.parameters(), lr=STEP_SIZE, fused=True)
        losses = []
        for step, some in enumerate(rows[:num_steps]):
            optimizer.param_groups[0]["lr"] = STEP_SIZE * (1 - step / len(rows))
            batch = tokens[some.long()].long()
            optimizer.zero_grad(set_to_none=True)
            loss = forward(input_ids=batch, labels=batch, use_cache=False).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).cpu().numpy()

    model = hugging_face(params)
    forward = torch.compile(model) if compiled else model
    take_fastest(lambda: train(1))
    return train


def reward_modelling(params, chosen, rejected, rows):
    """Return a function that takes one step on the pairwise loss for each row."""
    import torch
    from transformers import GPT2ForSequenceClassification

    trunk = hugging_face(params)
    trunk.config.num_labels = 1
    model = GPT2ForSequenceClassification(trunk.config).to(trunk.device)
    model.transformer.load_state_dict(trunk.transformer.state_dict())
    torch.nn.init.zeros_(model.score.weight)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    chosen, rejected, rows = (
        torch.tensor(np.asarray(x)).long().to(model.device)
        for x in (chosen, rejected, rows)
    )

    def train(num_steps=None) -> Float[np.ndarray, "updates"]:
        model.load_state_dict(start)
        optimizer = torch.optim.Adam(model.parameters(), lr=STEP_SIZE, fused=True)
        losses = []
        for step, some in enumerate(rows[:num_steps]):
            optimizer.param_groups[0]["lr"] = STEP_SIZE * (1 - step / len(rows))
            batch = torch.cat([chosen[some], rejected[some]])
            optimizer.zero_grad(set_to_none=True)
            scores = model(input_ids=batch, use_cache=False).logits[:, 0]
            better, worse = scores.chunk(2)
            loss = -torch.nn.functional.logsigmoid(better - worse).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).cpu().numpy()

    take_fastest(lambda: train(1))
    return train


def generation(params, prompts):
    """Return a function that samples `NEW_TOKENS` tokens per prompt, with its cache."""
    import torch

    model = hugging_face(params).eval()
    prompts = torch.tensor(np.asarray(prompts)).long().to(model.device)

    @torch.inference_mode()
    def generate(count=NEW_TOKENS) -> Written:
        texts = model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=True,
            top_k=0,
            use_cache=True,
        )
        new = texts[:, prompts.shape[1] :].cpu().numpy()
        return Written(new, new.size)

    take_fastest(lambda: generate(2))
    return generate


def _never(params: Transformer) -> Float[jax.Array, "D"]:
    """Return an embedding whose logit is -30 in every context.

    A hidden state is g z + b, and the mean of z is 0: its product with c / g is
    c b / g.
    """
    inverse = 1.0 / params.ln_f.g
    products = inverse @ params.ln_f.b
    if abs(products) < 1e-3:  # a new model, whose texts are not read
        return -inverse
    return -30.0 * inverse / products


def take_fastest(run) -> None:
    """Set torch's number of threads to the one with which `run` is fastest.

    On a card it does not matter.
    """
    import torch

    if torch_device() == "cuda":
        return
    seconds = {}
    for count in range(1, (os.cpu_count() or 1) + 1):
        torch.set_num_threads(count)
        run()
        began = time.perf_counter()
        run()
        seconds[count] = time.perf_counter() - began
    torch.set_num_threads(min(seconds, key=seconds.get))


def be_quiet() -> None:
    """Silence the warnings of transformers."""
    warnings.simplefilter("ignore")
    import transformers

    transformers.logging.set_verbosity_error()
