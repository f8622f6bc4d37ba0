"""Worlds and algorithms by name: those of this book, and those in a file of yours.

    cliff  frozenlake  ppo        a name of `mdp.worlds` or of `contenders.BUILT_IN`
    mine.py:coin                  the object `coin` in the file mine.py

Source: none; it is the border at which names become functions.
"""

import difflib
import importlib.util
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import mdp
from mdp import MDP
from policy_gradient.comparison.contenders import (
    BUILT_IN,
    Contender,
    UserAlgorithm,
    call,
    contender,
)

REFERENCE = "value_iteration"  # takes no steps: it knows the model


def find_world(given: str | Callable[[], MDP]) -> tuple[str, MDP]:
    """The name and the MDP. Raises ValueError where there is none."""
    if isinstance(given, str) and ":" not in given:
        world = mdp.worlds.find(given)
        return world.name, world.make()
    name, made = _named(given)
    model = made if isinstance(made, MDP) else call(name, made)
    if not isinstance(model, MDP):
        raise ValueError(
            f"world {name} must be an MDP or return one, got {type(model).__name__}"
        )
    return name, mdp.validate(model)


def find_algorithm(given: str | UserAlgorithm | Contender) -> Contender:
    """The contender of that name. Raises ValueError where there is none."""
    if isinstance(given, str) and ":" not in given:
        if given in BUILT_IN:
            return BUILT_IN[given]
        known = [*BUILT_IN, REFERENCE]
        nearest = difflib.get_close_matches(given, known, n=3, cutoff=0.4)
        hint = f" (did you mean {' or '.join(nearest)}?)" if nearest else ""
        raise ValueError(
            f"algorithm must be one of {', '.join(known)}, got {given!r}{hint}"
        )
    if isinstance(given, Contender):
        return given
    name, function = _named(given)
    if not callable(function):
        raise ValueError(
            f"algorithm {name} must be a function, got {type(function).__name__}"
        )
    return contender(name, function)


def _named(given: str | Callable) -> tuple[str, Any]:
    """What a function is called; or what a file holds by the name after the colon."""
    if not isinstance(given, str):
        return given.__name__, given
    path, _, name = given.rpartition(":")
    module = _load(path)
    if not hasattr(module, name):
        known = [known for known in vars(module) if not known.startswith("_")]
        nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
        raise ValueError(
            f"{path} must define {name!r}, got a file with {', '.join(nearest)}"
        )
    return name, getattr(module, name)


@cache
def _load(path: str) -> ModuleType:
    """The file, run once."""
    spec = importlib.util.spec_from_file_location("of_the_user", path)
    if spec is None:
        raise ValueError(f"{path!r} must be a Python file, mine.py say")
    module = importlib.util.module_from_spec(spec)
    call(path, spec.loader.exec_module, module)
    return module
