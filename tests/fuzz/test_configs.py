"""Strange configs: a field of every config of the three packages, and of no other."""

import dataclasses
import importlib
import inspect
import math
import pkgutil
from pathlib import Path
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
from hypothesis import strategies as st

import lm_bandit
import mdp
import policy_gradient
from tests.fuzz.strange import each_count, taken, tried, values


def config_classes():
    """Every dataclass of the packages whose fields all have defaults, by its name."""
    found = {}
    for package in (mdp, policy_gradient, lm_bandit):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                for name, value in vars(importlib.import_module(module.name)).items():
                    if dataclasses.is_dataclass(value) and isinstance(value, type):
                        found[name] = value
    return {name: found[name] for name in sorted(found) if name.endswith("Config")}


CONFIGS = config_classes()


def fits(value, kind):
    """Whether a value is one of the kind that a field declares."""
    options = get_args(kind)
    if get_origin(kind) is Literal:
        return type(value) is str and value in options
    if options:  # a union
        return any(fits(value, option) for option in options)
    if kind is float:
        number = isinstance(value, int | float | np.number) and type(value) is not bool
        return number and not math.isnan(value)
    if kind is int:
        whole = isinstance(value, int | np.integer) and type(value) is not bool
        return whole and -(2**63) <= int(value) < 2**63
    return isinstance(value, kind)


def make(kind, **given):
    """Make a config as users do: without the checks of types that test runs add."""
    config = object.__new__(kind)
    inspect.unwrap(kind.__init__)(config, **given)
    return config


def test_there_are_configs_to_try():
    assert {"BanditConfig", "ControlConfig", "PPOConfig", "RLHFConfig"} <= set(CONFIGS)


@each_count
def test_a_config_is_sound_or_refused_by_the_name_of_the_field(cases):
    numbers = st.one_of(
        values(),
        values(),
        st.integers(-3, 3),
        st.sampled_from([-1.0, 1e-9, 0.1, 1.0, 1.5, "value", "policy", Path("a")]),
    )

    def check(data):
        kind = CONFIGS[data.draw(st.sampled_from(list(CONFIGS)))]
        field = data.draw(st.sampled_from(dataclasses.fields(kind)))
        value = data.draw(numbers)
        needed = {"num_updates": 1, "batch_size": 1, "step_size": 0.1}
        given = needed if kind.__name__ == "AdamConfig" else {}
        made = taken(lambda: make(kind, **given | {field.name: value}), field.name)
        if made is not None:
            assert fits(value, field.type), f"{kind.__name__}.{field.name} = {value!r}"

    tried(4 * cases, check, st.data())


@pytest.mark.parametrize("name", ["num_steps", "step_size", "exploration"])
def test_bandits_check_their_numbers(name):
    with pytest.raises(ValueError, match=name):
        mdp.BanditConfig(**{name: -1})
