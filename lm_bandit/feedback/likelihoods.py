"""Likelihoods: the probability of an answer given the reward, for each kind.

A reward is never observed. Answers are observed, and an answer is more likely the more
it agrees with the reward. A loss is the mean of - log P(answer | scores).

    comparison   P(a before b) = sigmoid(r_a - r_b)                     Bradley & Terry
    with errors  P(a before b) = eta sigmoid(r_a - r_b) + (1 - eta) sigmoid(r_b - r_a)
    ranking      the mean of - log sigmoid(r_i - r_j) over its C(K, 2) pairs, or
                 P(y_1, .., y_K) = prod_i exp(r_i) / sum_{j >= i} exp(r_j)
                                                                        Plackett & Luce
    score        s = offset + scale r + noise, or  P(s <= k) = sigmoid(cut_k - r)
    label        P(okay) = sigmoid(r)
    correction   P(edited before original) = sigmoid(r_edited - r_original)
    critique     P(edit) = exp(r_edit) / sum over all edits, and no edit, of exp(r)

`reward_model.py` has the plain loss of comparisons, and that with ties. Comparisons and
rankings fix r up to a constant per prompt. Scores and labels fix the constant too, but
on a scale that belongs to each annotator (`crowd.py`).

Source: Bradley & Terry (1952); Luce (1959); Plackett (1975); McCullagh (1980) for the
cuts; Chen et al. (2013) for the errors; Ouyang et al. (2022), eq. 1, for the pairs of a
ranking.
Shapes: n answers, K completions in a ranking.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Scalar


def noisy_pairwise_loss(
    chosen: Float[Array, "n"],
    rejected: Float[Array, "n"],
    reliability: Float[Array, "n"],
) -> Scalar:
    """Return the loss of comparisons, some of which say the opposite of what was meant.

        - log( eta sigmoid(d) + (1 - eta) sigmoid(-d) ),    d = r(chosen) - r(rejected)

    The reliability eta is the probability that an answer says what was meant. Below 1/2
    the answers push the scores apart the other way; at 1/2 they teach nothing. Label
    smoothing pulls the scores together. This loss does not: its optimum has the scale
    that answers without errors would give.

    Source: Chen et al. (2013), section 3, the model of Crowd-BT; Natarajan et al.
    (2013), section 3, on learning from noisy labels.
    """
    meant = jnp.log(reliability) + jax.nn.log_sigmoid(chosen - rejected)
    reversed_ = jnp.log1p(-reliability) + jax.nn.log_sigmoid(rejected - chosen)
    return -jnp.mean(jnp.logaddexp(meant, reversed_))


def ranking_loss(scores: Float[Array, "n K"]) -> Scalar:
    """Return the loss of rankings, as the mean over their pairs; scores best first.

        - 1/C(K, 2) sum_{i < j} log sigmoid(r_i - r_j)

    The weight is 1 / C(K, 2) because the pairs of a ranking share their completions.
    They are not C(K, 2) independent opinions, and a model that counts each pair in full
    overfits.

    Source: Ouyang et al. (2022), eq. 1.
    """
    better, worse = jnp.triu_indices(scores.shape[-1], k=1)
    return -jnp.mean(jax.nn.log_sigmoid(scores[:, better] - scores[:, worse]))


def plackett_luce_loss(scores: Float[Array, "n K"]) -> Scalar:
    """Return the loss of rankings, as repeated choices of the best; scores best first.

        - sum_i [ r_i - log sum_{j >= i} exp(r_j) ]

    The best completion is chosen by a softmax over all, then the best of the rest.

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
    """Return the mean squared error of scores, each on its annotator's own scale.

        (s - offset - scale r)^2

    Half of it is - log P(s | r), up to a constant, where the noise is N(0, 1).

    Source: Casper et al. (2023), section 3.1, on differences between annotators.
    """
    return jnp.mean((scores - offsets - scales * rewards) ** 2)


def ordinal_loss(
    rewards: Float[Array, "n"], scores: Int[Array, "n"], cuts: Float[Array, "9"]
) -> Scalar:
    """Return the loss of scores as ordered categories, separated by rising cuts.

        - log P(s),    P(s <= k) = sigmoid(cut_k - r),   k = 1 .. 9

    The steps between scores may differ: from 9 to 10 may be further than from 5 to 6.

    Source: McCullagh (1980), the proportional odds model.
    """
    lower = jnp.concatenate([jnp.array([-jnp.inf]), cuts])[scores - 1]
    upper = jnp.concatenate([cuts, jnp.array([jnp.inf])])[scores - 1]
    # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a)): this form keeps
    # its digits where both sigmoids are near 1.
    log_probs = (
        jax.nn.log_sigmoid(upper - rewards)
        + jax.nn.log_sigmoid(rewards - lower)
        + jnp.log1p(-jnp.exp(lower - upper))
    )
    return -jnp.mean(log_probs)


def label_loss(rewards: Float[Array, "n"], okay: Bool[Array, "n"]) -> Scalar:
    """Return the loss of labels: - log sigmoid(r) if okay, else - log sigmoid(-r).

    Source: Cox (1958), the logistic model of a binary answer.
    """
    return -jnp.mean(jax.nn.log_sigmoid(jnp.where(okay, rewards, -rewards)))


def correction_loss(
    edited: Float[Array, "n"], original: Float[Array, "n"], changed: Bool[Array, "n"]
) -> Scalar:
    """Return the loss of corrections, each of which says that its edit is better.

        - 1/n sum over changed texts of log sigmoid(r(x, edited) - r(x, original))

    A text that was left as it is compares nothing: its loss is 0, and not log 2. It is
    an answer, too, so that the sum is divided by n: the fewer texts were changed, the
    less was said.

    Source: Casper et al. (2023), section 3.1, on corrections; Bradley & Terry (1952).
    """
    surprises = -jax.nn.log_sigmoid(edited - original)
    return jnp.mean(jnp.where(changed, surprises, 0.0))


def critique_loss(
    scores: Float[Array, "n K"], okay: Bool[Array, "n"], possible: Bool[Array, "n J"]
) -> Scalar:
    """Return the loss of critiques, each a choice of one edit among all possible ones.

        - log P(e),    P(e) = exp(r(x, e)) / sum over e' of exp(r(x, e'))

    The columns of `scores`, K = 2 + J, are: the text as the critique wants it; the
    original; and J other edits, of which only the `possible` ones exist. To leave the
    text as it is, is a choice, too: the original is among the e'. Where nothing is
    criticised (`okay`), it is what was chosen, and column 1 repeats column 0.

    Source: Jeon, Milli & Dragan (2020), "Reward-rational (implicit) choice".
    """
    # If nothing is criticised, the original itself was chosen, and counts once.
    original = jnp.where(okay, -jnp.inf, scores[:, 1])
    others = jnp.where(possible, scores[:, 2:], -jnp.inf)
    options = jnp.concatenate([scores[:, :1], original[:, None], others], axis=1)
    return -jnp.mean(jax.nn.log_softmax(options)[:, 0])
