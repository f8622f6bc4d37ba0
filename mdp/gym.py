"""Conversion to and from Gymnasium: solve its worlds, train its agents on ours.

    lake = from_gymnasium("FrozenLake-v1", discount=0.99)
    env = to_gymnasium(lake, id="MyLake-v0", render_mode="ansi")
    same = from_gymnasium("MyLake-v0")

Gymnasium leaves gamma to the agent; here it is in the table. So `from_gymnasium` takes
a discount, and environments of `to_gymnasium` keep it as their attribute `discount`.
Both directions keep `terminated`, a discount of 0. A time limit is no ending:
`TimeLimit` cuts an episode off, and the MDP of a wrapped environment is that of the
environment inside.

Needs the extra: pip install "bellman-to-rlhf[gym]".
"""

from typing import Any

import numpy as np
from jaxtyping import Int

from mdp.checks import (
    ArrayLike,
    Number,
    Table,
    checked_outcomes,
    distribution_over_states,
)
from mdp.model import MDP, from_outcomes
from mdp.sampling import draw, take_step

try:
    import gymnasium
except ModuleNotFoundError as missing:
    install = 'pip install "bellman-to-rlhf[gym]"'
    raise ModuleNotFoundError(f"mdp.gym needs gymnasium: {install}") from missing


def from_gymnasium(env: gymnasium.Env | str, discount: Number | None = None) -> MDP:
    """Return the MDP of an environment that carries its table of outcomes as `P`.

    FrozenLake, CliffWalking and Taxi have one, in all their variants but one: a fickle
    passenger changes her destination by a rule that is not in the table.

    The table says which *outcomes* end the episode, but not which states are terminal.
    A state counts as terminal if other states lead to it, always by an outcome that
    ends the episode, and no episode starts in it. No agent acts there, so its own row
    (in Gymnasium one can walk out of the cliff's goal) becomes that of a terminal
    state.

    Args:
        env: wrapped or not, or its registered id; wrappers are taken off.
        discount: gamma, in [0, 1]; by default the environment's own `discount`.

    Raises:
        ValueError: there is no such table, or it leaves out a rule of the world; or no
            gamma is known.
    """
    env = (gymnasium.make(env) if isinstance(env, str) else env).unwrapped
    name = type(env).__name__
    discount = getattr(env, "discount", None) if discount is None else discount
    if discount is None:
        raise ValueError(f"discount must be given, as {name} has no gamma of its own")
    if not hasattr(env, "P"):
        raise ValueError(f"env must carry its table of outcomes as P, {name} does not")
    if getattr(env, "fickle_passenger", False):
        raise ValueError(
            "env must be described by its table P, got a Taxi with fickle_passenger, "
            "whose change of destination is not in it"
        )
    start = getattr(env, "initial_state_distrib", None)
    # Without start states, terminal states cannot be recognised. Nothing is lost: an
    # outcome that ends the episode has discount 0 anyway.
    terminal = () if start is None else _never_acted_in(env.P, start)
    return from_outcomes(env.P, discount, terminal=terminal, start=start)


def to_gymnasium(
    mdp: MDP, id: str | None = None, render_mode: str | None = None
) -> "TabularEnv":
    """Return the MDP as an environment, for agents written for Gymnasium.

    Args:
        mdp: the world.
        id: a name, such as "MyLake-v0", under which `gymnasium.make` finds it then.
        render_mode: "ansi", in which `render` returns a line about the last step.

    Raises:
        ValueError: outcomes have several discounts; Gymnasium has no place for them. Or
            the id belongs to an environment of another kind.
    """
    env = TabularEnv(mdp, render_mode)
    if id is not None:
        there = gymnasium.registry.pop(id, None)
        if there is not None and there.entry_point is not TabularEnv:
            gymnasium.registry[id] = there
            raise ValueError(f"id must be new, got {id} of another environment")
        entry_point: Any = TabularEnv  # Gymnasium's type asks for keywords only
        gymnasium.register(id, entry_point, kwargs={"mdp": mdp})
        env.spec = gymnasium.spec(id)
    return env


class TabularEnv(gymnasium.Env):
    """An environment that draws its outcomes from the table of an MDP.

    `P` and `initial_state_distrib` are named as in Gymnasium's own tabular
    environments. `info["action_mask"]` is 1 for the actions that are available, and
    fits `action_space.sample(mask)`. An agent may ignore the mask: an action that is
    not available does the same as the first available one, so that v* is unchanged.

    It never truncates. For a task that goes on for ever, wrap it in
    `gymnasium.wrappers.TimeLimit`.
    """

    # A class attribute that can change is Gymnasium's own convention.
    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, mdp: MDP, render_mode: str | None = None) -> None:
        """Check the discounts, and declare the spaces of states and actions."""
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or ansi, got {render_mode!r}")
        discounts = np.unique(mdp.discounts[(mdp.probs > 0) & (mdp.discounts > 0)])
        if len(discounts) > 1:
            got = ", ".join(f"{discount:g}" for discount in discounts)
            raise ValueError(f"discounts must be gamma or 0 for Gymnasium, got {got}")
        self.observation_space = gymnasium.spaces.Discrete(mdp.num_states)
        self.action_space = gymnasium.spaces.Discrete(mdp.num_actions)
        self.mdp, self.render_mode = mdp, render_mode
        # If every outcome ends the episode, any gamma gives the same values.
        self.discount = float(discounts[0]) if len(discounts) else 1.0
        self._told = "not begun"
        self.initial_state_distrib = mdp.start
        self._state = 0

    @property
    def P(self) -> dict[int, dict[int, list[tuple[float, int, float, bool]]]]:
        """Table of outcomes in Gymnasium's form, without unavailable actions.

        P[s][a] = [(probability, next_state, reward, terminated), ...]
        """
        table: dict[int, dict] = {s: {} for s in range(self.mdp.num_states)}
        for s, a in np.argwhere(self.mdp.available):
            row = zip(*(field[s, a].tolist() for field in self.mdp[:4]), strict=True)
            table[int(s)][int(a)] = [
                (prob, next_state, reward, discount == 0)
                for prob, next_state, reward, discount in row
                if prob > 0
            ]
        return table

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Begin an episode: draw S_0."""
        super().reset(seed=seed)
        self._state = draw(self.np_random, self.mdp.start)
        self._told = f"state {self._state}"
        return self._state, self._info()

    def step(
        self, action: int | np.integer
    ) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Draw S_{t+1} and R_{t+1} from p(s', r | s, a)."""
        if not self.action_space.contains(action):
            expected = f"in 0..{self.mdp.num_actions - 1}"
            raise ValueError(f"action must be {expected}, got {action!r}")
        available = self.mdp.available[self._state]
        action = int(action if available[action] else available.argmax())
        reward, discount, next_state = take_step(
            self.np_random, self.mdp, self._state, action
        )
        end = ", the end" * (discount == 0)
        self._told = (
            f"state {self._state}, action {action}: reward {reward:g}, "
            f"state {next_state}{end}"
        )
        self._state = next_state
        return next_state, reward, discount == 0, False, self._info()

    def render(self) -> str | None:
        """Return a line about the last step; None without the render mode "ansi"."""
        return self._told if self.render_mode == "ansi" else None

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self.mdp.available[self._state].astype(np.int8)}


def _never_acted_in(table: Table, start: ArrayLike) -> Int[np.ndarray, "terminal"]:
    """Return the states that are only ever entered by an end of the episode."""
    outcomes, num_states = checked_outcomes(table)
    ends, acted_in = np.zeros((2, num_states), bool)
    acted_in |= distribution_over_states(start, default=~ends) > 0
    for (s, _, _), (prob, next_state, _, terminated) in outcomes.items():
        if prob > 0 and next_state != s and 0 <= next_state < num_states:
            (ends if terminated else acted_in)[next_state] = True
    return np.flatnonzero(ends & ~acted_in)
