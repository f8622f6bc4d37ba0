"""What numbers must satisfy to configure an algorithm. Errors are one line.

A config is a frozen dataclass, and to jax a tree: its floats are data, so that `vmap`
can map over a sweep of them; its integers, words and switches are part of the program.
"""

from dataclasses import fields
from typing import Any

import jax
import numpy as np


def sweepable(config_class: type) -> type:
    """A class decorator: let jax see the floats of a config as its leaves."""
    floats = [f.name for f in fields(config_class) if f.type in (float, "float")]
    rest = [f.name for f in fields(config_class) if f.name not in floats]
    return jax.tree_util.register_dataclass(config_class, floats, rest)


def require_positive(config: Any, *names: str) -> None:
    """Raise ValueError at the first field that is not above 0."""
    for name, value in _known(config, names):
        if not np.all(np.asarray(value) > 0):
            raise ValueError(f"{name} must be positive, got {value}")


def require_not_negative(config: Any, *names: str) -> None:
    """Raise ValueError at the first field that is below 0."""
    for name, value in _known(config, names):
        if not np.all(np.asarray(value) >= 0):
            raise ValueError(f"{name} must not be negative, got {value}")


def require_in_unit_interval(config: Any, *names: str) -> None:
    """Raise ValueError at the first field that is not in [0, 1]."""
    for name, value in _known(config, names):
        if not np.all((np.asarray(value) >= 0) & (np.asarray(value) <= 1)):
            raise ValueError(f"{name} must be in [0, 1], got {value}")


def require_divisor(name: str, part: int, whole_name: str, whole: int) -> None:
    """Raise ValueError where `part` does not divide `whole`."""
    if whole % part:
        raise ValueError(f"{name} must divide {whole_name} = {whole}, got {part}")


def _known(config: Any, names: tuple[str, ...]):
    """Name and value, of those that are numbers: inside jax they may not be known."""
    for name in names:
        value = getattr(config, name)
        if isinstance(value, (int, float, np.ndarray, np.number)):
            yield name, value
