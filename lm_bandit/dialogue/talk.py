"""A dialogue of two turns: the second prompt depends on the first answer.

    first prompt  ->  answer a  ->  second prompt x(a)  ->  answer b  ->  the end
                      earns r(a)                            earns r(x, b)

A whole turn is one action, as in the bandit, but now there are two of them: a dialogue
is an episode of an MDP whose states are prompts. The objective pays for both turns,

    J(pi) = E[ sum over turns of  r - beta log(pi / pi_ref) ]

The soft backup solves it from the back. Where the user's reply is certain, the value of
the start is beta log Z with Z a sum over whole dialogues, as if each were one answer:

    v(start)  =  beta log sum_(a, b)  pi_ref(a) pi_ref(b | x(a)) exp((r + r') / beta)

If the user is random, v(start) is less than this sum: the policy chooses its own
answers, and not the user's replies.

Source: Levine (2018), sections 2 and 3.1, for both statements.
Shapes: S prompts, the first of them 0; A answers to each.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

import mdp

Answers = Float[np.ndarray, "S A"]  # a number for each answer to each prompt
Charged = Float[np.ndarray, "*n S A"]


class Talk(NamedTuple):
    """A dialogue of two turns, as tables."""

    prompts: tuple[str, ...]  # the first, and then those that the user may reply with
    answers: tuple[tuple[str, ...], ...]  # [S][A]
    replies: Float[np.ndarray, "A S"]  # probability of each prompt after an answer
    rewards: Answers  # of an answer, by itself
    reference: Answers  # pi_ref
    kl_weight: float  # beta


def train_talk(kl_weight: float = 0.3) -> Talk:
    """Return a dialogue in which a question earns nothing, but a better second prompt.

    Raters like an apology, and like it less to be asked back. But only after a question
    does the user say what an answer can help with.
    """
    first = ("I am so sorry !", "take a taxi .", "where to ?", "calm down .")
    second = ("sorry again .", "wait here .", "ask the guard .", "bus 7 , platform 2 .")
    prompts = ("my train is late", "sorry does not help", "taxis cost a fortune")
    return Talk(
        prompts=(*prompts, "to the airport"),
        answers=(first, second, second, second),
        replies=np.eye(4)[[1, 2, 3, 1]],
        rewards=np.array(
            [
                [0.8, 0.4, 0.0, -1.0],
                [0.0, 0.1, 0.4, -0.3],
                [0.2, 0.3, 0.5, 0.2],
                [-0.2, -0.5, 0.3, 1.8],
            ]
        ),
        reference=np.array(
            [
                [0.45, 0.25, 0.2, 0.1],
                [0.4, 0.3, 0.2, 0.1],
                [0.3, 0.3, 0.3, 0.1],
                [0.3, 0.3, 0.2, 0.2],
            ]
        ),
        kl_weight=kl_weight,
    )


def talk_mdp(talk: Talk, policy: Answers | None = None) -> mdp.MDP:
    """Return the MDP of a dialogue; the last state is the end.

    With a policy, each answer also pays beta log(pi / pi_ref), so that the value of the
    start under this policy is J.
    """
    num_prompts, num_answers = talk.rewards.shape
    shape = num_prompts + 1, num_answers, num_prompts
    probs, rewards = np.zeros(shape), np.zeros(shape)
    probs[0], probs[1:, :, 0] = talk.replies, 1.0
    rewards[:-1] = charged(talk, policy)[:, :, None]
    next_states = np.full(shape, num_prompts)
    next_states[0] = np.arange(num_prompts)
    table = mdp.MDP(
        probs=probs,
        next_states=next_states,
        rewards=rewards,
        discounts=np.where(next_states == num_prompts, 0.0, 1.0),
        available=np.ones(shape[:2], bool),
        start=np.eye(num_prompts + 1)[0],
    )
    return mdp.validate(table)


def charged(talk: Talk, policy: Float[np.ndarray, "*n S A"] | None) -> Charged:
    """Return r - beta log(pi / pi_ref) of each answer, or r without a policy."""
    if policy is None:
        return talk.rewards
    return talk.rewards - talk.kl_weight * np.log(policy / talk.reference)


def talk_objective(
    talk: Talk, policy: Float[np.ndarray, "*n S A"]
) -> Float[np.ndarray, "*n"]:
    """Return J of each policy, exactly: the value of the first turn and of the next."""
    values = (policy * charged(talk, policy)).sum(-1)  # of the turns by themselves
    later = (policy[..., 0, :] @ talk.replies * values).sum(-1)
    return np.asarray(values[..., 0] + later)


def optimal_values(talk: Talk) -> Float[np.ndarray, "S"]:
    """Return the value of each prompt under pi*: two soft backups from the end."""
    table, values = talk_mdp(talk), np.zeros(len(talk.prompts) + 1)
    for _ in range(2):
        values = mdp.soft_backup(
            table, values, with_end(talk.reference), talk.kl_weight
        )
    return values[:-1]


def optimal_answers(talk: Talk) -> Answers:
    """Return pi* = pi_ref exp((q - v) / beta), which looks ahead to the second turn."""
    values = optimal_values(talk)
    earned = mdp.action_values(talk_mdp(talk), np.append(values, 0.0))[:-1]
    return talk.reference * np.exp((earned - values[:, None]) / talk.kl_weight)


def best_of_each_turn(talk: Talk) -> Answers:
    """Return the policy at which learning ends if each turn is a bandit of its own.

    pi  =  pi_ref exp(r / beta) / Z      prompt by prompt
    """
    weights = talk.reference * np.exp(talk.rewards / talk.kl_weight)
    return weights / weights.sum(1, keepdims=True)


def sum_over_dialogues(talk: Talk) -> float:
    """Return beta log Z, with Z the sum over all dialogues, user's words included."""
    total = 0.0
    for answer, reply in np.ndindex(*talk.replies.shape):
        prob = talk.reference[0, answer] * talk.replies[answer, reply]
        earned = talk.rewards[0, answer] + talk.rewards[reply]
        total += prob * talk.reference[reply] @ np.exp(earned / talk.kl_weight)
    return talk.kl_weight * float(np.log(total))


def with_end(policy: Answers) -> Float[np.ndarray, "S+1 A"]:
    """Return the policy with a row for the end, where nothing is said."""
    return np.vstack([policy, np.full((1, policy.shape[1]), 1 / policy.shape[1])])
