"""Text generation is a finite MDP, and a language model is a policy on it.

    state = prefix of a completion,   action = token,   gamma = 1
    the reward comes with the last token: r(x, y) at `END`, the penalty where cut off

The MDP is deterministic, and its states are the nodes of the trie. The bandit of this
floor is the same MDP with the whole completion as one action. So the solvers of `mdp`
apply: value iteration finds the best reward, and the soft backup, repeated, gives

    v(empty prefix) = beta log Z(x),   pi*(a|s) = pi_ref(a|s) exp((q - v) / beta)

Source: Ouyang et al. (2022), section 3.5, for the bandit; Levine (2018), section 2.
Shapes: E prefixes; S = E + 1 states, the last of them terminal; A = V tokens.
"""

import numpy as np
from jaxtyping import Float

import mdp
from lm_bandit.world import END, World


def text_mdp(world: World, scores: Float[np.ndarray, "E"], penalty: float) -> mdp.MDP:
    """Return the MDP of one prompt; state i is prefix i, and the last one is terminal.

    Args:
        world: its vocabulary and length; the scores are for one of its prompts.
        scores: of each completion that ends, in the order of `trie.ended_completions`.
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
    # The terminal state leads to itself under every action, and earns nothing.
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


def text_policy(log_probs: Float[np.ndarray, "E V"]) -> Float[np.ndarray, "S V"]:
    """Return the language model as a policy [S, A], from one row of `node_log_probs`.

    In the terminal state, where the text is over, every token is equally likely.
    """
    num_tokens = log_probs.shape[1]
    uniform = np.full((1, num_tokens), 1.0 / num_tokens)
    return np.vstack([np.exp(log_probs), uniform])
