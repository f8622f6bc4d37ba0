"""Show values, worlds and episodes as text, to be checked with pencil and paper."""

import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.exercises.patterns.pairs import is_numeric
from tests.exercises.same import is_jax_array, is_key

MOST_LINES = 24


def show_inputs(inputs: Mapping[str, Any]) -> str:
    """The inputs, one a line; a large one gets a block of lines."""
    return "\n".join(f"{name} = {_shown(value)}" for name, value in inputs.items())


def show_result(value: Any, fields: tuple[str, ...] = ()) -> str:
    """A result as text; of several fields, only those that are compared."""
    if isinstance(value, Mapping):
        return show_inputs(value)
    names = [n for n in getattr(value, "_fields", ()) if not fields or n in fields]
    if names:
        return "\n".join(f"{name} = {_shown(getattr(value, name))}" for name in names)
    return _shown(value)


def _shown(value: Any) -> str:
    own = {
        "MDP": _shown_world,
        "Episode": _shown_episode,
        "Trajectory": _shown_trajectory,
        "Transformer": _shown_model,
    }.get(type(value).__name__)
    if own:
        return own(value)
    if is_jax_array(value):
        if is_key(value):
            *high, low = sys.modules["jax"].random.key_data(value).tolist()
            return "a key" if any(high) else f"jax.random.key({low})"
        value = np.asarray(value)
    if isinstance(value, list) and is_numeric(value):
        return f"a list: {_shown(np.asarray(value))}"
    if isinstance(value, np.ndarray) and value.ndim:
        value = value + 0.0 if value.dtype.kind == "f" else value  # -0 becomes 0
        text = np.array2string(
            value, precision=5, suppress_small=True, separator=", ", threshold=60
        )
        return text if "\n" not in text else "\n" + textwrap.indent(text, "    ")
    value = value.item() if isinstance(value, np.ndarray | np.generic) else value
    text = f"{value + 0.0:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _shown_world(mdp: Any) -> str:
    """Every outcome that can happen in a world."""
    num_states, num_actions, _ = mdp.probs.shape
    lines = []
    for s, a in np.ndindex(num_states, num_actions):
        if not mdp.available[s, a]:
            lines.append(f"state {s}, action {a}: not available")
        for b in np.flatnonzero(mdp.probs[s, a]):
            discount = mdp.discounts[s, a, b]
            lines.append(
                f"state {s}, action {a}: with probability {mdp.probs[s, a, b]:.4g} "
                f"to state {mdp.next_states[s, a, b]}, "
                f"reward {mdp.rewards[s, a, b]:.4g}, discount {discount:.4g}"
                + (" (ends)" if discount == 0 else "")
            )
    size = f"{_count(num_states, 'state')} and {_count(num_actions, 'action')}"
    return _block(f"an MDP of {size}", lines)


def _shown_episode(episode: Any) -> str:
    """Every step of an episode, and whether the last step ended it."""
    lines = [
        f"t = {t}: in state {state} action {action}, reward {reward:.4g}, "
        f"discount {discount:.4g}, to state {next_state}"
        for t, (state, action, reward, discount, next_state) in enumerate(
            zip(*episode, strict=True)
        )
    ]
    end = "cut off" if episode.discounts[-1] else "ended"
    return _block(f"an episode of {_count(len(lines), 'step')}, {end}", lines)


def _shown_trajectory(trajectory: Any) -> str:
    """Every step of a trajectory, and where an episode stops."""
    lines = []
    columns = "rewards", "discounts", "values", "next_values", "continues"
    rows = zip(*(np.asarray(getattr(trajectory, c)) for c in columns), strict=True)
    for t, (reward, discount, value, next_value, continues) in enumerate(rows):
        stop = "" if continues else ": cut off" if discount else ": the episode ended"
        lines.append(
            f"t = {t}: reward {reward:.4g}, discount {discount:.4g}, value "
            f"{value:.4g}, next value {next_value:.4g}, continues {continues:g}{stop}"
        )
    return _block(f"a trajectory of {_count(len(lines), 'step')}", lines)


def _shown_model(model: Any) -> str:
    """The size of a model; its numbers are too many for a pencil."""
    (num_tokens, width), context = model.wte.shape, len(model.wpe)
    blocks, _, _, heads, _ = model.h.c_attn.w.shape
    size = f"{_count(blocks, 'block')} of {_count(heads, 'head')}, width {width}"
    return f"a transformer: {num_tokens} tokens, a context of {context}, {size}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _block(title: str, lines: list[str]) -> str:
    """A title, and below it the first lines, indented."""
    if len(lines) > MOST_LINES:
        rest = len(lines) - MOST_LINES + 1
        lines = [*lines[: MOST_LINES - 1], f"... and {rest} more"]
    return "\n    ".join([title, *lines])
