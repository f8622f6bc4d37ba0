"""What the exercises are held against: numpy, and sums that are written out.

None of them may call what is exercised; `oracle` sees to it.
"""

import numpy as np

from lm_bandit.text import END
from tests.book.oracle import oracle


@oracle
def softmax(numbers):
    """exp of each number, by their sum, in double precision."""
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
    from lm_bandit.transformer import hidden_states

    last = np.asarray(hidden_states(params, text)[-1], float)
    return softmax(np.asarray(params.wte, float) @ last / temperature)
