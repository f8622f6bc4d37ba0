"""The inputs on which answers are compared, smallest first.

The first of each exercise can be checked by hand, where no model is needed; the last
leave nothing out.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tests.lm_bandit.exercises import inputs
from tests.lm_bandit.exercises.inputs import array


def queries_keys_and_values(seed):
    rng = np.random.default_rng(seed)
    # All keys answer alike: the mean of what may be seen.
    zeros = array([[0.0], [0.0]])
    values = array([[1.0], [3.0]])
    yield {"queries": zeros, "keys": zeros, "values": values, "start": 0}
    yield inputs.attention(rng, 3, 3, 2, 0)
    # Two tokens more, after two that were read before; behind them the cache is empty.
    yield inputs.attention(rng, 2, 5, 4, 2, heads=(2,))


def completions(seed):
    rng = np.random.default_rng(seed)
    for tokens in ([2, 0, 0], [2, 3], [0, 0], [2, 0, 3, 0]):
        yield {"completion": jnp.array(tokens)}
    yield {"completion": inputs.completions(rng)}


def numbers_at_tokens(seed):
    rng = np.random.default_rng(seed)
    for case in completions(seed):
        numbers = rng.permutation(case["completion"].size) + 1.0
        yield {"x": array(numbers.reshape(case["completion"].shape))} | case


def logits_and_temperatures(seed):
    rng = np.random.default_rng(seed)
    yield {"logits": array(0.0, 1.0), "temperature": 0.5}
    yield {"logits": array(0.0, 1.0), "temperature": 1.0}
    yield {"logits": array(rng.normal(0.0, 1.5, (2, 3))), "temperature": 0.7}
    yield {"logits": array(rng.normal(0.0, 1.5, (2, 3))), "temperature": 2.0}
    # What exp makes of this is too large for seven digits.
    yield {"logits": array(30.0, 29.0, 28.0), "temperature": 0.25}


def draws(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 0.7, 4)
    for numbers in ([0.0, 0.7, -0.7], logits):
        yield {
            "key": jax.random.key(seed),
            "logits": array(numbers),
            "ended": jnp.array(False),
            "temperature": 0.6,
        }


def texts_of_a_model(seed):
    params = inputs.model(seed)
    one = {"params": params, "prompts": jnp.array([1, 4])}
    yield one | {"completions": jnp.array([3, 0, 0]), "temperature": 1.0}
    yield one | {"completions": jnp.array([2, 3, 1]), "temperature": 0.5}
    yield {
        "params": params,
        "prompts": jnp.array([[1, 4], [2, 2]]),
        "completions": jnp.array([[0, 0, 0], [3, 0, 2]]),
        "temperature": 0.8,
    }


def predictions_and_texts(seed):
    rng = np.random.default_rng(seed)
    # The first token is a prompt, the second is to be learned; 0 pads.
    log_probs = np.log([[[0.25, 0.75, 0.0 + 1e-9], [0.5, 0.25, 0.25]]])
    yield {
        "log_probs": array(log_probs),
        "tokens": jnp.array([[0, 1, 0]]),
        "weights": array([[0.0, 1.0, 0.0]]),
    }
    for _ in range(2):
        yield inputs.predictions(rng)


def scores_of_pairs(seed):
    rng = np.random.default_rng(seed)
    yield {"chosen": array([2.0]), "rejected": array([1.0])}
    chosen, rejected = rng.normal(0.0, 2.0, (2, 4))
    yield {"chosen": array(chosen), "rejected": array(rejected)}
    yield {"chosen": array([-100.0, 1.0]), "rejected": array([100.0, -1.0])}
