"""Checks of the numbers in an algorithm's config, each with an error of one line.

A config is a frozen dataclass. `sweepable` also makes it a tree to jax: its floats are
data, so that `vmap` can map over several values of them. Its integers, words and
switches are part of the compiled program.

    configs = [replace(config, step_size=x) for x in (0.1, 0.2)]
    jax.tree.map(lambda *x: np.array(x), *configs)    # one config that holds two values
"""

import sys
from dataclasses import fields
from typing import Any, TypeVar

from mdp.checks import require_range

Config = TypeVar("Config", bound=type)

_waiting: list[type] = []  # classes that jax does not know yet


def sweepable(config_class: Config) -> Config:
    """Register a config class with jax: its floats become the leaves of a tree.

    Where jax is not imported yet, the class waits for `register_sweepable`, because a
    command line needs the fields of a config at once, and jax half a second later.
    """
    _waiting.append(config_class)
    if "jax" in sys.modules:
        register_sweepable()
    return config_class


def register_sweepable() -> None:
    """Register all waiting classes; code that maps over configs calls it first."""
    while _waiting:
        _register(_waiting.pop())


def _register(config_class: type) -> None:
    """Make a config class a tree to jax.

    The checks of the class run when a config is made, and not again on what jax puts in
    the place of its floats.
    """
    import jax

    names = [field.name for field in fields(config_class)]
    floats = [field.name for field in fields(config_class) if field.type is float]
    rest = [name for name in names if name not in floats]

    def flatten(config: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        children = [(jax.tree_util.GetAttrKey(n), getattr(config, n)) for n in floats]
        return children, tuple(getattr(config, n) for n in rest)

    def unflatten(constants: tuple[Any, ...], leaves: Any) -> Any:
        config: Any = object.__new__(config_class)
        values = [*zip(floats, leaves, strict=True), *zip(rest, constants, strict=True)]
        for name, value in values:
            object.__setattr__(config, name, value)
        return config

    jax.tree_util.register_pytree_with_keys(config_class, flatten, unflatten)


def require_positive(config: Any, *names: str) -> None:
    """Raise ValueError at the first field that is not above 0."""
    for name in names:
        value = getattr(config, name)
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")


def require_not_negative(config: Any, *names: str) -> None:
    """Raise ValueError at the first field that is below 0."""
    for name in names:
        value = getattr(config, name)
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")


def require_in_unit_interval(config: Any, *names: str) -> None:
    """Raise ValueError at the first field that is not in [0, 1]."""
    require_range(config, 0, 1, *names)


def require_divisor(name: str, part: int, whole_name: str, whole: int) -> None:
    """Raise ValueError where `part` does not divide `whole`."""
    if part < 1:
        raise ValueError(f"{name} must be at least 1, got {part}")
    if whole % part:
        raise ValueError(f"{name} must divide {whole_name} = {whole}, got {part}")
