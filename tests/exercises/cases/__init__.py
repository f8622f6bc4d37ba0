"""Inputs on which the answers of an exercise are compared, one module per floor."""

from collections.abc import Callable
from typing import Any


def inputs_named(names: str) -> Callable[..., dict[str, Any]]:
    """Return a function that gives these names, in order, to its arguments."""

    def case(*values: Any) -> dict[str, Any]:
        return dict(zip(names.split(), values, strict=True))

    return case
