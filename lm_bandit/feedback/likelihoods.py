"""What an answer says about the reward: one likelihood for each kind of feedback.

A reward is never observed, only answers that are likelier the more they agree with it.
A loss is the mean surprise, - log P(answer | scores).

    comparison   P(a before b) = sigmoid(r_a - r_b)                     Bradley & Terry
    with errors  P(a before b) = eta sigmoid(r_a - r_b) + (1 - eta) sigmoid(r_b - r_a)
    ranking      the mean of - log sigmoid(r_i - r_j) over its C(K, 2) pairs, or
                 P(y_1, .., y_K) = prod_i exp(r_i) / sum_{j >= i} exp(r_j)
                                                                        Plackett & Luce
    score        s = offset + scale r + noise, or  P(s <= k) = sigmoid(cut_k - r)
    label        P(okay) = sigmoid(r)

Comparisons and rankings fix r up to a constant per prompt; scores and labels fix that
too, but on a scale that is each annotator's own (`crowd.py`).

Source: Bradley & Terry (1952); Luce (1959); Plackett (1975); McCullagh (1980) for the
cuts; Chen et al. (2013) for the errors; Ouyang et al. (2022), eq. 1, for the pairs
of a ranking; Touvron et al. (2023, "Llama 2"), eq. 2, for the margin.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Scalar


def noisy_pairwise_loss(
    chosen: Float[Array, "n"],
    rejected: Float[Array, "n"],
    reliability: Float[Array, "n"],
) -> Scalar:
    """- log( eta sigmoid(d) + (1 - eta) sigmoid(-d) ),    d = r(chosen) - r(rejected)

    The answer says what was meant with probability eta only. Below 1/2 it says the
    opposite, and pushes the scores apart the other way; at 1/2 it teaches nothing.
    Unlike smoothing, which pulls the scores together, this is the likelihood of answers
    that were turned around: its optimum has the scale of those that were not.

    Source: Chen et al. (2013), the model of Crowd-BT.
    """
    meant = jnp.log(reliability) + jax.nn.log_sigmoid(chosen - rejected)
    turned = jnp.log1p(-reliability) + jax.nn.log_sigmoid(rejected - chosen)
    return -jnp.mean(jnp.logaddexp(meant, turned))


def ranking_loss(scores: Float[Array, "n K"]) -> Scalar:
    """- 1 / C(K, 2) sum_{i < j} log sigmoid(r_i - r_j), of scores in the order given.

    Weighted so, because the pairs of one ranking are not C(K, 2) opinions: they share
    their completions, and a model that counts each in full overfits.

    Source: Ouyang et al. (2022), eq. 1.
    """
    better, worse = jnp.triu_indices(scores.shape[-1], k=1)
    return -jnp.mean(jax.nn.log_sigmoid(scores[:, better] - scores[:, worse]))


def plackett_luce_loss(scores: Float[Array, "n K"]) -> Scalar:
    """- sum_i [ r_i - log sum_{j >= i} exp(r_j) ], of scores in the order given.

    The best is chosen first, by a softmax over all; then the best of the rest.

    Source: Plackett (1975); Luce (1959).
    """
    of_the_rest = jax.lax.cumlogsumexp(scores, axis=1, reverse=True)
    return -jnp.mean(jnp.sum(scores - of_the_rest, axis=1))


def score_loss(
    rewards: Float[Array, "n"],
    scores: Int[Array, "n"],
    offsets: Float[Array, "n"],
    scales: Float[Array, "n"],
) -> Scalar:
    """(s - offset - scale r)^2: a score is read on its annotator's own scale.

    Half of it is the surprise where a score errs by N(0, 1).
    """
    return jnp.mean((scores - offsets - scales * rewards) ** 2)


def ordinal_loss(
    rewards: Float[Array, "n"], scores: Int[Array, "n"], cuts: Float[Array, "9"]
) -> Scalar:
    """- log P(s), where P(s <= k) = sigmoid(cut_k - r), for rising cuts.

    Nothing is assumed of the steps between scores: from 9 to 10 may be further than
    from 5 to 6. Source: McCullagh (1980), the proportional odds model.
    """
    lower = jnp.concatenate([jnp.array([-jnp.inf]), cuts])[scores - 1]
    upper = jnp.concatenate([cuts, jnp.array([jnp.inf])])[scores - 1]
    # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a)), without a loss
    # of digits where both are near 1.
    log_probs = (
        jax.nn.log_sigmoid(upper - rewards)
        + jax.nn.log_sigmoid(rewards - lower)
        + jnp.log1p(-jnp.exp(lower - upper))
    )
    return -jnp.mean(log_probs)


def label_loss(rewards: Float[Array, "n"], okay: Bool[Array, "n"]) -> Scalar:
    """- log sigmoid(r) where the label is okay, - log sigmoid(-r) where it is not."""
    return -jnp.mean(jax.nn.log_sigmoid(jnp.where(okay, rewards, -rewards)))
