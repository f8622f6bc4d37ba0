"""Inputs of the exercises on rewards that can be verified, smallest first."""

import jax.numpy as jnp
import numpy as np

from tests.exercises.cases import inputs_named
from tests.lm_bandit import inputs
from tests.lm_bandit.inputs import array


def prompts_and_answers(seed):
    case = inputs_named("prompt completion")
    for answer in ("7", "8", "0 7", "7 +", "", "7 ...", "3 4", "= 7"):
        yield case("3 + 4 =", answer)
    for answer in ("1 2", "2", "1 3", "1 2 1", "2 1", "7 5"):
        yield case("7 + 5 =", answer)
    first, second = np.random.default_rng(seed).integers(10, size=2)
    total = " ".join(str(first + second))
    yield case(f"{first} + {second} =", total)
    yield case("1 + 3 + 2 =", "6")
    yield case("1 + 3 + 2 =", "4")


def right_answers_of_draws(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("right drawn tries")
    yield case(np.array([0, 1, 2]), 2, 1)
    yield case(np.array([0, 1, 2, 3, 4]), 4, 2)
    yield case(rng.integers(0, 11, (2, 3)), 10, 5)
    yield case(np.array([3, 150, 0]), 200, 100)


def chances_and_prices(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("success kl_weight")
    yield case(np.array([0.5, 0.2]), 1.0)
    yield case(rng.uniform(0.05, 0.9, 3), 0.3)
    yield case(rng.uniform(0.001, 0.1, (2, 2)), 0.1)
    yield case(np.array([0.2, 0.7]), 1e-3)


def values_of_prefixes(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("values rewards next_prefixes")
    chain = jnp.array([[2, 1], [2, 2]])
    yield case(array(0.5, 2.0), array([[0.0, -0.25], [1.0, -3.0]]), chain)
    # Two words, at most two tokens before the end: prefixes 1 and 2 follow prefix 0.
    tree = jnp.array([[3, 1, 2], [3, 3, 3], [3, 3, 3]])
    for _ in range(2):
        values, rewards = rng.normal(size=3), rng.normal(0.5, 2.0, (3, 3))
        yield case(array(values), array(rewards), tree)


def masks_and_lengths(seed):
    small = array([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    larger = inputs.mask(np.random.default_rng(seed), 3, 5)
    for mask in (small, array(larger)):
        for over_tokens in ("constant", "sequence_mean", "token_mean"):
            yield {"mask": mask, "over_tokens": over_tokens}


def ratios_and_ranges(seed):
    rng = np.random.default_rng(seed)
    names = "log_probs old_log_probs advantages weights lower upper"
    case = inputs_named(names)
    old = array(np.log([[0.2, 0.4]]))
    for ratio in (1.5, 0.5, 1.24):
        for sign in (1.0, -1.0):
            now = old + jnp.log(array([[ratio, 1.1]]))
            weights = array([[1.0, 0.0]])
            yield case(now, old, array([[sign, sign]]), weights, 0.2, 0.28)
    rows = array(rng.uniform(-2.0, -0.5, (3, 4)))
    moved = rows + array(rng.normal(0.0, 0.5, (3, 4)))
    weights = array(inputs.mask(rng, 3, 4) * 0.5)
    yield case(moved, rows, array(rng.normal(0.0, 2.0, (3, 4))), weights, 0.1, 0.4)
