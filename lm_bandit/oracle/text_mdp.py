"""Text generation is a finite MDP, and a language model is a policy on it.

    state = prefix of a completion,   action = token,   gamma = 1
    the reward comes with the last token: r(x, y) at `END`, the penalty where cut off

It is deterministic, and the nodes of the trie are its states. The bandit of this floor
is the same MDP with the whole completion as one action. So the solvers of `mdp` apply:
value iteration finds the best reward there is, and the soft backup, repeated, gives

    v(empty prefix) = beta log Z(x),   pi*(a|s) = pi_ref(a|s) exp((q - v) / beta)

Source: Ouyang et al. (2022), section 3.5, for the bandit; Levine (2018), section 2.
Shapes: E prefixes and a terminal state, V tokens.
"""

import numpy as np
from jaxtyping import Float

import mdp
from lm_bandit.world import END, World


def text_mdp(world: World, scores: Float[np.ndarray, "E"], penalty: float) -> mdp.MDP:
    """The MDP of one prompt; state i is prefix i of the trie, the last is terminal.

    Args:
        world: its vocabulary and length; the scores are of one of its prompts.
        scores: of each completion that ends, as in `trie.ended_completions`.
        penalty: the reward of a completion that is cut off.
    """
    num_tokens = len(world.vocabulary)
    terminal, words = len(scores), num_tokens - 1
    prefixes = np.arange(terminal)[:, None]
    next_states = prefixes * words + np.arange(num_tokens)
    is_cut_off = next_states >= terminal
    rewards = np.where(is_cut_off, penalty, 0.0)
    rewards[:, END] = scores
    next_states = np.where(is_cut_off, terminal, next_states)
    next_states[:, END] = terminal
    # The terminal state leads to itself, whatever is done there, and earns nothing.
    next_states = np.vstack([next_states, np.full(num_tokens, terminal)])
    rewards = np.vstack([rewards, np.zeros(num_tokens)])
    table = mdp.MDP(
        probs=np.ones((*rewards.shape, 1)),
        next_states=next_states[:, :, None],
        rewards=rewards[:, :, None],
        discounts=np.where(next_states == terminal, 0.0, 1.0)[:, :, None],
        available=np.ones(rewards.shape, bool),
        start=np.eye(1, terminal + 1)[0],
    )
    return mdp.validate(table)


def text_policy(
    token_log_probs: Float[np.ndarray, "E V"],
) -> Float[np.ndarray, "S V"]:
    """The language model as a policy [S, A]: one row of `trie.node_log_probs`."""
    num_tokens = token_log_probs.shape[1]
    anything = np.full((1, num_tokens), 1.0 / num_tokens)  # where the text is over
    return np.vstack([np.exp(token_log_probs), anything])
