"""Random inputs on which no term of an equation can go missing unnoticed."""

import jax
import jax.numpy as jnp
import numpy as np

from lm_bandit import sft, transformer
from lm_bandit.config import TransformerConfig
from lm_bandit.oracle.exact import LogProbs, Problem
from policy_gradient.trajectory import Trajectory
from tests.policy_gradient.inputs import array, mask

__all__ = [
    "array",
    "attention",
    "bigram_loss",
    "completions",
    "mask",
    "model",
    "policy",
]
__all__ += ["predictions", "problem", "token_view"]


def attention(rng, queries, keys, width, start, heads=()):
    """Of both signs, and large enough that the softmax is not nearly even."""
    shapes = (queries, keys, keys)
    names = ("queries", "keys", "values")
    numbers = (rng.normal(0.0, 1.5, (*heads, n, width)) for n in shapes)
    return dict(zip(names, map(array, numbers), strict=True)) | {"start": start}


def completions(rng, length=5):
    """Of every length, and one that was cut off; after the end stands anything."""
    rows = rng.integers(1, 4, (length + 1, length))
    for i in range(length):
        rows[i, i] = 0
    rows[1, 3] = 0
    return jnp.asarray(rng.permutation(rows))


def model(seed, num_layers=1, d_model=4, vocabulary_size=5, context=5):
    """A transformer whose weights, biases and gains are all random.

    The numbers are drawn by numpy: compiling `init` would take seconds.
    """
    config = TransformerConfig(num_layers=num_layers, num_heads=2, d_model=d_model)
    shapes = jax.eval_shape(
        lambda: transformer.init(jax.random.key(0), vocabulary_size, context, config)
    )
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: array(rng.normal(0.0, 0.5, x.shape)), shapes)


def predictions(rng, num_texts=3, length=5, num_tokens=4):
    """Prompts of one or two tokens, completions of different lengths, and padding.

    The first text has no prompt: it is learned from its first token, which nothing
    predicts.
    """
    weights = np.zeros((num_texts, length))
    for row, end in zip(weights, rng.permutation(length - 2)[:num_texts], strict=True):
        row[rng.integers(1, 3) : 3 + end] = 1.0
    weights[0, :2] = 1.0
    log_probs = np.log(rng.dirichlet(np.ones(num_tokens), (num_texts, length - 1)))
    return {
        "log_probs": array(np.maximum(log_probs, -9.0)),
        "tokens": jnp.asarray(rng.integers(num_tokens, size=(num_texts, length))),
        "weights": array(weights),
    }


def bigram_loss(table, texts):
    """SFT's loss, twice, of a model that sees one token: table[token] are its logits.

    It is a language model, and small enough for pencil and paper.
    """
    log_probs = jax.nn.log_softmax(table)[texts.tokens[:, :-1]]
    loss = sft.cross_entropy(log_probs, texts.tokens, texts.weights)
    return loss, loss


def policy(rng, num_prompts=2, num_ended=4, num_cut_off=2):
    """Log-probabilities of all that could be said, for every prompt."""
    size = num_ended + num_cut_off
    log_probs = np.log(rng.dirichlet(np.ones(size), num_prompts) * 0.9 + 0.1 / size)
    return LogProbs(log_probs[:, :num_ended], log_probs[:, num_ended:])


def problem(rng, num_ended=4, num_cut_off=2):
    """Two prompts; two completions tie, and the penalty is not the least reward."""
    gold, learned = rng.normal(0.0, 1.0, (2, 2, num_ended))
    learned[:, 3] = learned[:, 0]
    learned[:, 1] = -3.0
    return Problem(
        reference=policy(rng, 2, num_ended, num_cut_off),
        gold=gold,
        learned=learned,
        kl_weight=rng.uniform(0.5, 0.8),
        penalty=-2.0,
    )


def token_view(rng, length, limit=4):
    """A completion of so many tokens; what stands on the padding is not 0."""
    mask = (np.arange(limit) < length).astype(float)
    goes_on = array(np.append(mask[1:], 0.0))
    rewards, values = rng.normal(0.0, 1.0, (2, limit))
    return Trajectory(
        observations=jnp.asarray(rng.integers(1, 5, (limit, 2 + limit))),
        actions=jnp.asarray(rng.integers(1, 5, limit)),
        log_probs=array(-rng.uniform(0.2, 2.0, limit)),
        rewards=array(rewards),
        discounts=goes_on,
        values=array(values),
        next_values=array(np.append(values[1:], 0.0)) * goes_on,
        continues=goes_on,
        mask=array(mask),
    )
