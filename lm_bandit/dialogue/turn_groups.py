"""Groups of dialogues: what do they compare an answer of the second turn with?

All dialogues of a group begin with the same prompt. Their second prompts differ, as
they depend on the first answers. So the mean of the group compares answers to different
second prompts. Is the update still right? Every group of G dialogues is written down
with its probability, so that the mean and the variance of the update are exact:

    u  =  sum over groups  P(group)  1/G sum_i sum_t A_it grad log pi(answer_it)

`others` has no bias. Its baseline does not depend on the answer that it judges, and for
each second prompt by itself E[grad log pi] = 0. It is only a bad guess of the value of
that prompt, which costs variance. A baseline that divides by the group's deviation has
a bias. The natural remedy, to compare answers to the same second prompt only, has a
bias, too: a prompt of probability p then counts 1 - (1 - p)^(G - 1) times, because an
answer teaches nothing if no other dialogue has its prompt.

Source: Greensmith et al. (2004), section 3, for baselines and their variance; Shao et
al. (2024), section 4.1.2, for the deviation.
Shapes: S prompts, A answers; D dialogues, G in a group, n = D^G groups; 2 turns.
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lm_bandit.dialogue.talk import Answers, Talk, charged, talk_mdp, with_end
from policy_gradient.exact import softmax_gradient

Returns = Float[np.ndarray, "n G 2"]  # from each turn on
Prompts = Int[np.ndarray, "n G"]  # of the second turn
TINY = 1e-4  # is added to a deviation before dividing by it


class TurnUpdate(NamedTuple):
    """The update of the logits by one group: its mean, and its total variance."""

    mean: Answers
    variance: float


def talk_gradient(talk: Talk, policy: Answers) -> Answers:
    """Return the gradient of J by the logits, by the policy gradient theorem."""
    table = talk_mdp(talk, policy)
    return softmax_gradient(table, with_end(policy))[:-1]


def turn_update(
    talk: Talk,
    policy: Answers,
    size: int,
    advantages_of: Callable[[Returns, Prompts], Returns],
) -> TurnUpdate:
    """Return the update by groups of `size` dialogues, summed over all groups.

    Args:
        talk: the dialogue.
        policy: that has the dialogues.
        size: G; there are D^G groups.
        advantages_of: the advantages of both turns, such as `compared_with_others`.
    """
    first, prompts, second = np.array(
        [
            (a, x, b)
            for (a, x), prob in np.ndenumerate(talk.replies)
            for b in range(talk.rewards.shape[1])
            if prob > 0
        ]
    ).T
    probs = policy[0, first] * talk.replies[first, prompts] * policy[prompts, second]
    earned = charged(talk, policy)
    later = earned[prompts, second]
    returns = np.stack([earned[0, first] + later, later], axis=1)
    # grad log pi by the logits: 1 at the answer, less the probability of each.
    scores = np.zeros((len(probs), 2, *policy.shape))
    rows = np.arange(len(probs))
    for turn, places in enumerate((np.zeros_like(prompts), prompts)):
        scores[rows, turn, places] -= policy[places]
        scores[rows, turn, places, (first, second)[turn]] += 1.0
    groups = np.array(list(product(rows, repeat=size)))
    chances = probs[groups].prod(1)
    advantages = advantages_of(returns[groups], prompts[groups])
    each = np.einsum("ngt,ngtsa->nsa", advantages, scores[groups]) / size
    mean = np.tensordot(chances, each, 1)
    return TurnUpdate(mean, float(chances @ ((each - mean) ** 2).sum((1, 2))))


def compared_with_others(returns: Returns, prompts: Prompts) -> Returns:
    """Return the return from each turn on, less its mean over the other dialogues."""
    size = returns.shape[1]
    return (returns - returns.mean(1, keepdims=True)) * size / (size - 1)


def divided_by_deviation(returns: Returns, prompts: Prompts) -> Returns:
    """Return GRPO's advantages, turn by turn: (return - mean) / deviation."""
    deviation = returns.std(1, keepdims=True)
    return (returns - returns.mean(1, keepdims=True)) / (deviation + TINY)


def compared_at_same_prompt(returns: Returns, prompts: Prompts) -> Returns:
    """Return advantages whose second turn is compared at the same second prompt only.

    An answer that is the only one to its prompt has an advantage of 0.
    """
    advantages = compared_with_others(returns, prompts)
    same = prompts[:, :, None] == prompts[:, None, :]
    count, later = same.sum(2), returns[:, :, 1]
    mean = np.einsum("ngh,nh->ng", same, later) / count
    advantages[:, :, 1] = (later - mean) * count / np.maximum(count - 1, 1)
    return advantages


def compared_with_values(
    talk: Talk, policy: Answers
) -> Callable[[Returns, Prompts], Returns]:
    """Return advantages over the exact value of each prompt, as a perfect critic."""
    values = (policy * charged(talk, policy)).sum(1)
    start = values[0] + policy[0] @ talk.replies @ values

    def advantages_of(returns: Returns, prompts: Prompts) -> Returns:
        return returns - np.stack([np.full(prompts.shape, start), values[prompts]], -1)

    return advantages_of
