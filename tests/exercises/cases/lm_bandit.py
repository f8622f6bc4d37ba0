"""Inputs on which answers to the third floor's exercises are compared, smallest first.

The first input of each exercise can be checked by hand, where no model is needed; the
last ones use every term of the equation. Two views, at the end, say what is compared
where an answer alone is not enough.
"""

import jax
import jax.numpy as jnp
import numpy as np

from lm_bandit.oracle.exact import LogProbs, Problem
from tests.exercises.cases import inputs_named
from tests.exercises.same import shape_of
from tests.lm_bandit import inputs
from tests.lm_bandit.inputs import array

WRITING, OVER = 800, 100  # texts that go on, and texts that have ended


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
    for temperature in (0.5, 1.0):
        yield {"logits": array(0.0, 1.0), "temperature": temperature}
    for temperature in (0.7, 2.0):
        logits = rng.normal(0.0, 1.5, (2, 3))
        yield {"logits": array(logits), "temperature": temperature}
    # What exp makes of this is too large for seven digits.
    yield {"logits": array(30.0, 29.0, 28.0), "temperature": 0.25}


def draws(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 0.7, 4)
    case = inputs_named("key logits ended temperature")
    for numbers in ([0.0, 0.7, -0.7], logits):
        yield case(jax.random.key(seed), array(numbers), jnp.array(False), 0.6)


def texts_of_a_model(seed):
    params = inputs.model(seed)
    one = {"params": params, "prompts": jnp.array([[1, 4]])}
    # One that ends, with something behind the end; one that was cut off.
    yield one | {"completions": jnp.array([[3, 0, 2]]), "temperature": 1.0}
    yield one | {"completions": jnp.array([[2, 3, 1]]), "temperature": 0.5}


def predictions_and_texts(seed):
    rng = np.random.default_rng(seed)
    # The first token is a prompt, the second is to be learned; 0 pads.
    log_probs = np.log([[[0.25, 0.75, 0.0 + 1e-9], [0.5, 0.25, 0.25]]])
    case = inputs_named("log_probs tokens weights")
    yield case(array(log_probs), jnp.array([[0, 1, 0]]), array([[0.0, 1.0, 0.0]]))
    # A whole text, as in pretraining: the first token counts, but nothing predicts it.
    yield case(array(log_probs), jnp.array([[0, 1, 0]]), array([[1.0, 1.0, 0.0]]))
    for _ in range(2):
        yield inputs.predictions(rng)


def scores_of_pairs(seed):
    rng = np.random.default_rng(seed)
    yield {"chosen": array([2.0]), "rejected": array([1.0])}
    chosen, rejected = rng.normal(0.0, 2.0, (2, 4))
    yield {"chosen": array(chosen), "rejected": array(rejected)}
    yield {"chosen": array([-100.0, 1.0]), "rejected": array([100.0, -1.0])}


def two_policies(seed):
    rng = np.random.default_rng(seed)
    sure, even = (LogProbs(np.log([[p]]), np.log([[1 - p]])) for p in (0.8, 0.5))
    yield {"policy": sure, "other": even}
    yield {"policy": inputs.policy(rng), "other": inputs.policy(rng)}


def problems(seed):
    rng = np.random.default_rng(seed)
    half = np.log([[0.5]])
    small = {"reference": LogProbs(half, half), "gold": np.array([[3.0]])}
    small |= {"learned": np.array([[1.0]]), "kl_weight": 0.5, "penalty": -1.0}
    yield {"problem": Problem(**small)}
    yield {"problem": inputs.problem(rng)}


def problems_and_draws(seed):
    for case, n in zip(problems(seed), (2, 3), strict=True):
        yield case | {"n": n}


def scored_completions(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("score log_ratios mask kl_weight at_end")
    for at_end in (False, True):
        log_ratios, mask = array([1.0, -2.0, 4.0]), array([1.0, 1.0, 0.0])
        yield case(array(3.0), log_ratios, mask, 0.5, at_end)
    for length in (1, 4, 3):
        score, log_ratios = rng.normal(0.0, 2.0), rng.normal(0.0, 1.0, 4)
        mask, kl_weight = array(1.0 * (np.arange(4) < length)), rng.uniform(0.1, 0.5)
        yield case(array(score), array(log_ratios), mask, kl_weight, length == 3)


def returns_of_prompts(seed):
    rng = np.random.default_rng(seed)
    ways = ("leave_one_out", "average", "constant", "none")
    # As many completions as prompts: then jax reports no error if shapes are confused.
    for returns in ([[4.0, 0.0], [10.0, -2.0]], rng.normal(1.0, 3.0, (2, 4))):
        for baseline in ways:
            yield {"returns": array(returns), "baseline": baseline, "constant": 0.5}


def groups_of_rewards(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("rewards divide_by_deviation leave_out_own")
    # The deviation of 0.01 and -0.01 is so small that the 1e-4 matters.
    small = [0.01, -0.01]
    for rewards in ([4.0, 0.0], [-4.0] * 3, small, rng.normal(1.0, 3.0, 4)):
        for divide in (False, True):
            for leave_out in (False, True):
                yield case(array(rewards), divide, leave_out)


def numbers_to_scale(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("x mask scaling")
    for scaling in ("scale", "whiten", "none"):
        yield case(array([5.0, 1.0, 9.0]), array([1.0, 1.0, 0.0]), scaling)
    for scaling in ("scale", "whiten"):
        x, mask = rng.normal(1.0, 2.0, (3, 4)), inputs.mask(rng, 3, 4)
        yield case(array(x), array(mask), scaling)


def advantages_and_values(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("advantages values mask whiten")
    for whiten in (False, True):
        advantages, values = array([4.0, 0.0, 7.0]), array([1.0, -2.0, 0.5])
        yield case(advantages, values, array([1.0, 1.0, 0.0]), whiten)
    advantages, values = rng.normal(0.5, 2.0, (2, 3, 4))
    yield case(array(advantages), array(values), array(inputs.mask(rng, 3, 4)), True)


def token_views(seed):
    rng = np.random.default_rng(seed)
    for length in (1, 3, 2):
        yield {"tokens": inputs.token_view(rng, length)}


def masks_and_ways(seed):
    small = array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    larger = inputs.mask(np.random.default_rng(seed), 3, 5)
    for mask in (small, array(larger)):
        for over_tokens in ("sum", "sequence_mean", "token_mean"):
            yield {"mask": mask, "over_tokens": over_tokens}


def measured_kls(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("kl_weight kl target gain")
    # The fourth is so near to its target that only the division keeps it unclipped.
    for kl in (12.0, 5.5, 10.5, 10.05, 5.9, 30.0, *rng.uniform(2.0, 20.0, 2)):
        gain = 0.5 if kl == 30.0 else rng.uniform(0.2, 0.8)
        weight = 0.2 if kl > 10.0 else rng.uniform(0.05, 0.5)
        yield case(array(weight), array(kl), 6.0 if kl < 6 else 10.0, gain)


def view_of_draws(function, inputs):
    """Facts that hold for every correct sampler, measured on many texts at once."""
    key, logits, _, temperature = inputs.values()
    num_tokens = len(logits)
    texts = jnp.broadcast_to(logits, (WRITING + OVER, num_tokens))
    ended = jnp.arange(WRITING + OVER) >= WRITING
    answer = function(key, texts, ended, temperature)
    shapes = tuple(map(shape_of, answer)) if isinstance(answer, tuple) else answer
    parts = {"pair of shapes (tokens, log-probabilities)": shapes}
    if shapes != (ended.shape, ended.shape):
        return parts
    tokens, told = map(np.asarray, answer)
    again = np.asarray(function(key, texts, ended, temperature)[0])
    other = np.asarray(function(jax.random.key(99), texts, ended, temperature)[0])
    weights = np.exp(np.asarray(logits, float) / temperature)
    probs = weights / weights.sum()
    shares = np.bincount(tokens[:WRITING], minlength=num_tokens) / WRITING
    errors = np.sqrt(probs * (1 - probs) / WRITING)
    drawn = [told[:WRITING][tokens[:WRITING] == token] for token in range(num_tokens)]
    return parts | {
        "the tokens are whole numbers": bool(tokens.dtype.kind == "i"),
        "returned log-probability of each token": np.array(
            [some.mean() if some.size else 0.0 for some in drawn], np.float32
        ),
        "each token is drawn as often as pi_T says": bool(
            (abs(shares - probs) < 4.5 * errors).all()
        ),
        "number of different tokens drawn": int((shares > 0).sum()),
        "after the end every token is END": bool((tokens[WRITING:] == 0).all()),
        "after the end every log-probability is 0": bool((told[WRITING:] == 0).all()),
        "the same key gives the same tokens": bool((again == tokens).all()),
        "another key gives other tokens": bool((other != tokens).any()),
    }


def compiled_answer(function, inputs):
    """The answer of the compiled function: a transformer has many operations."""
    return jax.jit(function)(*inputs.values())
