"""What the exercises are held against: numpy, and sums that are written out.

None of them may call what is exercised; `oracle` sees to it.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from lm_bandit.generate import completion_log_prob
from lm_bandit.transformer import hidden_states
from lm_bandit.world import END
from tests.exercises.oracle import oracle

_states = jax.jit(hidden_states)


@oracle
def softmax(numbers):
    """The exponential of each number, by their sum, in double precision."""
    weights = [np.exp(float(x) - float(max(numbers))) for x in numbers]
    return np.array(weights) / sum(weights)


@oracle
def attended(queries, keys, values, start):
    """One query of one head after another, over what it may see."""
    queries, keys, values = (np.asarray(x, float) for x in (queries, keys, values))
    rows = []
    for i, query in enumerate(queries):
        seen = range(start + i + 1)
        weights = softmax([query @ keys[j] / np.sqrt(len(query)) for j in seen])
        rows.append(sum(weights[j] * values[j] for j in seen))
    return np.array(rows)


@oracle
def said(completion):
    """The tokens up to and including the first END."""
    tokens = []
    for token in completion:
        tokens.append(int(token))
        if token == END:
            break
    return tokens


@oracle
def next_token(params, text, temperature):
    """pi(. | text) of a transformer that reads the text alone."""
    # What comes later cannot be seen: one length will do, and is compiled once.
    padded = np.zeros(params.wpe.shape[0], int)
    padded[: len(text)] = text
    states = np.asarray(_states(params, padded), float)
    return softmax(np.asarray(params.wte, float) @ states[len(text) - 1] / temperature)


@oracle
def all_that_can_be_drawn(q, scores, n):
    """The chance of each completion to be the best of n draws, draw by draw.

    Ties go to one of those drawn, at random.
    """
    chances = np.zeros(len(q))
    for drawn in itertools.product(range(len(q)), repeat=n):
        best = max(scores[y] for y in drawn)
        winners = [y for y in drawn if scores[y] == best]
        for y in winners:
            chances[y] += np.prod([q[i] for i in drawn]) / len(winners)
    return chances


@oracle
def summed_log_prob_gradient(policy, weighted):
    """Return the sum of w grad log pi(y|x), over a list of (w, x, y)."""
    weights, prompts, completions = (jnp.array(x) for x in zip(*weighted, strict=True))

    def total(policy):
        return weights @ completion_log_prob(policy, prompts, completions)

    return jax.jit(jax.grad(total))(policy)
