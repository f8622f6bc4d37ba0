"""The model: a finite Markov decision process, stored as a table of outcomes.

    p(s', r | s, a)  =  Pr{ S_{t+1} = s', R_{t+1} = r  |  S_t = s, A_t = a }

A short list of *outcomes* describes what can follow action a in state s. Each outcome
has a probability, a next state s', a reward r and a discount. The discount is gamma, or
0 where the outcome ends the episode. There is no other sign of an ending: code that
multiplies by the discount cannot look past one.

States and actions are numbered from 0. A *terminal* state is a row like any other:
every action there leads back to it, earns 0 and has discount 0. So its value is 0.

Source: Sutton & Barto (2018), eq. 3.2 (the dynamics), 3.4 and 3.5 (transitions and
expected rewards), section 3.4 (endings).
Shapes: S states, A actions, B outcomes per pair.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mdp import checks

# In `Float[Array, "S A"]` jaxtyping checks the number type and the shape. Array is Any,
# so that one equation serves numpy arrays here and jax arrays (or the tracers of jit
# and grad) in policy_gradient, and mdp never imports jax.
Array = Any

Outcome = tuple[float, int, float, bool]  # probability, next state, reward, terminated


class MDP(NamedTuple):
    """A finite MDP: p(s', r | s, a) as a table of B outcomes for each pair (s, a).

    Pairs with fewer outcomes are padded with outcomes of probability 0. Build an MDP
    with `from_arrays` or `from_outcomes`, which check it, or fill in the fields and
    call `validate`.
    """

    probs: Float[Array, "S A B"]  # probability of each outcome; 0 for padding
    next_states: Int[Array, "S A B"]  # s'
    rewards: Float[Array, "S A B"]  # r
    discounts: Float[Array, "S A B"]  # gamma, or 0 where the outcome ends the episode
    available: Bool[Array, "S A"]  # actions that may be taken; the others have probs 0
    start: Float[Array, "S"]  # distribution of S_0

    @property
    def num_states(self) -> int:
        """Number of states S, terminal states included."""
        return self.probs.shape[0]

    @property
    def num_actions(self) -> int:
        """Number of actions A, the largest in any state."""
        return self.probs.shape[1]

    @property
    def transitions(self) -> Float[np.ndarray, "S A S"]:
        """Transition probabilities as a dense array.

            T(s' | s, a) = sum_r p(s', r | s, a)

        Source: Sutton & Barto (2018), eq. 3.4.
        """
        state, action, _ = np.indices(self.probs.shape)
        dense = np.zeros((self.num_states, self.num_actions, self.num_states))
        # Not `dense[...] += probs`: that keeps one of several outcomes with equal s'.
        np.add.at(dense, (state, action, self.next_states), self.probs)
        return dense

    @property
    def expected_rewards(self) -> Float[Array, "S A"]:
        """Expected reward of each pair.

            r(s, a) = sum_{s', r} p(s', r | s, a) r

        Source: Sutton & Barto (2018), eq. 3.5.
        """
        return (self.probs * self.rewards).sum(-1)

    def with_discount(self, gamma: checks.Number) -> "MDP":
        """Return the MDP with another gamma; outcomes that end the episode still do.

        A discount of 0 means an ending, so after `with_discount(0)` every outcome ends
        the episode.
        """
        gamma = checks.checked_discount(gamma)
        discounts = np.where(self.discounts != 0, gamma, 0.0)
        return self._replace(discounts=checks.read_only(discounts))


def from_arrays(
    transitions: checks.ArrayLike,
    rewards: checks.ArrayLike,
    discount: checks.Number,
    *,
    terminal: checks.ArrayLike = (),
    start: checks.ArrayLike | None = None,
    available: checks.ArrayLike | None = None,
) -> MDP:
    """Return an MDP made from dense arrays of transition probabilities and rewards.

    Args:
        transitions: [S, A, S]; each `transitions[s, a]` is a distribution.
        rewards: [S], earned on *leaving* s by any action; [S, A]; or [S, A, S], earned
            on the way from s to s'.
        discount: gamma, in [0, 1].
        terminal: states in which the episode is over. Entering one has discount 0, and
            their own rows are not used. Rewards [S] must be 0 there: a reward for
            *entering* a terminal state takes rewards [S, A, S].
        start: a state, or the distribution of S_0. Default: uniform over the states
            that are not terminal.
        available: [S, A], True where the action may be taken; the rows of the others
            are not used. Default: True everywhere.

    Raises:
        ValueError: an entry is wrong; the message names it.
    """
    transitions = checks.numbers(transitions, "transitions")
    rewards = checks.numbers(rewards, "rewards")
    shape = transitions.shape
    if len(shape) != 3 or shape[0] != shape[2] or 0 in shape:
        raise ValueError(f"transitions must have shape [S, A, S], got {shape}")
    if rewards.shape not in (shape[:1], shape[:2], shape):
        expected = f"{shape[:1]}, {shape[:2]} or {shape}"
        raise ValueError(f"rewards must have shape {expected}, got {rewards.shape}")
    if available is None:
        available = np.full(shape[:2], True)
    available = checks.entries(available, "available", "hold only True and False", "b")
    if available.shape != shape[:2]:
        got = f"{available.dtype} {available.shape}"
        raise ValueError(f"available must be bool {shape[:2]}, got {got}")

    is_terminal = checks.states_mask(terminal, "terminal", num_states=shape[0])
    if rewards.ndim == 1:
        fits = ~is_terminal | (rewards == 0)
        checks.require(fits, "rewards", "s", "be 0, as s is terminal", rewards)
    rewards = rewards.reshape(rewards.shape + (1,) * (3 - rewards.ndim))
    used = available & ~is_terminal[:, None]
    transitions = np.where(used[:, :, None], transitions, 0.0)
    checks.require_distributions(transitions, "transitions", "s a s'", used)

    # From dense to outcomes: the possible next states first, and as many as needed.
    possible = transitions > 0
    branching = max(1, possible.sum(-1).max())
    next_states = np.argsort(~possible, axis=-1, kind="stable")[..., :branching]
    mdp = MDP(
        probs=np.take_along_axis(transitions, next_states, -1),
        next_states=next_states,
        rewards=np.take_along_axis(np.broadcast_to(rewards, shape), next_states, -1),
        discounts=np.full(next_states.shape, checks.checked_discount(discount)),
        available=available,
        start=checks.distribution_over_states(start, default=~is_terminal),
    )
    return _with_ends(mdp, is_terminal)


def from_outcomes(
    table: checks.Table,
    discount: checks.Number,
    *,
    terminal: checks.ArrayLike = (),
    start: checks.ArrayLike | None = None,
) -> MDP:
    """Return an MDP made from lists of outcomes, as Gymnasium's attribute `P` has them.

        table[s][a] = [(probability, next_state, reward, terminated), ...]

    Args:
        table: nested sequences or dicts. An action that is missing, or whose list is
            empty, is not available in that state.
        discount: gamma, in [0, 1]. An outcome that is `terminated` has discount 0.
        terminal: states in which the episode is over. Entering one has discount 0,
            and their own lists are not used.
        start: a state, or the distribution of S_0. Default: uniform over the states
            that are not terminal.

    Raises:
        ValueError: an entry is wrong; the message names it.
    """
    discount = checks.checked_discount(discount)
    outcomes, num_states = checks.checked_outcomes(table)
    shape = np.max([(num_states - 1, 0, 0), *outcomes], axis=0) + 1
    probs, rewards, discounts = np.zeros((3, *shape))
    next_states = np.zeros(shape, int)
    available = np.zeros(shape[:2], bool)
    for (s, a, b), (prob, next_state, reward, terminated) in outcomes.items():
        probs[s, a, b], next_states[s, a, b] = prob, next_state
        rewards[s, a, b], discounts[s, a, b] = reward, 0.0 if terminated else discount
        available[s, a] = True
    is_terminal = checks.states_mask(terminal, "terminal", num_states)
    distribution = checks.distribution_over_states(start, default=~is_terminal)
    mdp = MDP(probs, next_states, rewards, discounts, available, distribution)
    return _with_ends(mdp, is_terminal)


def validate(mdp: MDP) -> MDP:
    """Return the MDP with read-only arrays, so that no algorithm can change its world.

    Raises:
        ValueError: an entry is wrong; the message names the first.
    """
    mdp = _as_arrays(mdp)
    shape = mdp.probs.shape
    if len(shape) != 3 or 0 in shape:
        raise ValueError(f"probs must have shape [S, A, B], all positive, got {shape}")
    # The MDP of the shapes that its fields must have.
    expected = MDP(shape, shape, shape, shape, shape[:2], shape[:1])
    for name, field, wanted in zip(MDP._fields, mdp, expected, strict=True):
        if np.shape(field) != wanted:
            raise ValueError(f"{name} must have shape {wanted}, got {np.shape(field)}")

    num_available = mdp.available.sum(-1)
    checks.require(num_available > 0, "available", "s", "hold an action", num_available)
    checks.require_distributions(mdp.probs, "probs", "s a b", mdp.available)
    states = f"be in 0..{shape[0] - 1}"
    inside = (mdp.next_states >= 0) & (mdp.next_states < shape[0])
    checks.require(inside, "next_states", "s a b", states, mdp.next_states)
    checks.require(
        np.isfinite(mdp.rewards), "rewards", "s a b", "be finite", mdp.rewards
    )
    inside = (mdp.discounts >= 0) & (mdp.discounts <= 1)
    checks.require(inside, "discounts", "s a b", "be in [0, 1]", mdp.discounts)
    checks.require_distributions(mdp.start, "start", "s")
    return mdp


def _as_arrays(mdp: MDP) -> MDP:
    """Return the MDP with read-only numpy arrays; itself, if it has them already."""
    if not isinstance(mdp, MDP):
        raise ValueError(f"mdp must be an MDP, got {checks.shown(mdp)}")
    kinds = {
        "next_states": ("hold whole numbers", "iu", int),
        "available": ("hold only True and False", "b", bool),
    }
    arrays = []
    for name, field in zip(MDP._fields, mdp, strict=True):
        expected, kind, to = kinds.get(name, ("be an array of numbers", "iuf", float))
        array = checks.entries(field, name, expected, kind)
        arrays.append(checks.read_only(array.astype(to, copy=False)))
    same = all(old is new for old, new in zip(mdp, arrays, strict=True))
    return mdp if same else MDP(*arrays)


def _with_ends(mdp: MDP, is_terminal: Bool[np.ndarray, "S"]) -> MDP:
    """Write the rows of terminal states, clear the padding, and check the result."""
    state = np.arange(mdp.num_states)[:, None, None]
    at_end = is_terminal[:, None, None]
    probs = np.where(at_end, np.arange(mdp.probs.shape[-1]) == 0, mdp.probs)
    next_states = np.where(at_end | (probs == 0), state, mdp.next_states)
    enters_end = np.isin(next_states, np.flatnonzero(is_terminal))
    mdp = mdp._replace(
        probs=probs,
        next_states=next_states,
        rewards=np.where(at_end | (probs == 0), 0.0, mdp.rewards),
        discounts=np.where(enters_end | (probs == 0), 0.0, mdp.discounts),
        # In a terminal state every action does the same: it stays there.
        available=mdp.available | is_terminal[:, None],
    )
    return validate(mdp)
