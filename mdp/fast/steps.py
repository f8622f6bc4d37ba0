"""One step of a learner, compiled, and mapped over many learners.

The targets are those of `mdp.control`, and the exploration is that of `mdp.sampling`.
A step is written for one learner, and mapped over all of them.

Source: Sutton & Barto (2018), sections 6.4 to 6.6.  Shapes: S states, A actions, B
outcomes per pair.
"""

from functools import partial
from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from mdp import control
from mdp.configs import ControlConfig, schedule
from mdp.model import MDP, Array
from mdp.sampling import epsilon_greedy

# Number of steps that run compiled, between two looks at which learners have finished:
# so few that the records of all learners stay in the cache.
STEPS_PER_CHUNK = 128

# One step reads at most 4 random numbers: start, its action, outcome, next action.
# With 8 more to a row, the rows do not compete for the same lines of the cache.
NUMBERS_PER_CHUNK = 4 * STEPS_PER_CHUNK + 8

# Up to so many probabilities, their sums are written out.
FEW_ACTIONS = 16


Number = Float[Array, ""]
Whole = Int[Array, ""]


class StepTables(NamedTuple):
    """The tables of the MDP and the numbers of the config that a step looks up."""

    mdp: MDP
    ends: Float[Array, "S A B"]  # cumulative probabilities of the outcomes
    starts: Int[Array, "starts"]  # the states that an episode may start in
    start_ends: Float[Array, "starts"]  # their cumulative probabilities
    num_episodes: Whole
    max_steps: Whole
    step_size: Number
    step_size_decay: Number | None  # None where it is 0: nothing is counted
    exploration: Number
    exploration_decay: Number | None  # None where it is 0


class LearnerState(NamedTuple):
    """The state of a learner between two steps; by default, before the first one."""

    q: Float[Array, "S A"]
    counts: Int[Array, "S A"]  # number of updates of each entry
    state: Whole = 0
    action: Whole = 0  # the action that Sarsa has chosen already
    num_read: Whole = 0  # random numbers read in this chunk
    num_episodes: Whole = 0  # number of finished episodes
    time: Whole = 0  # steps taken in this episode
    earned: Number = 0.0  # discounted rewards of this episode so far
    reach: Number = 1.0  # product of its discounts so far


class StepRecord(NamedTuple):
    """The record of one step."""

    over: Bool[Array, ""]  # True if the step ended or cut off an episode
    earned: Number  # discounted rewards of the episode up to here
    time: Whole  # steps of the episode up to here
    pair: Whole  # s A + a, the entry of q that was updated
    value: Number  # q(s, a) afterwards


@partial(jax.jit, static_argnames="algorithm")
def take_steps(
    tables: StepTables,
    numbers: Float[Array, "learners numbers"],
    learners: LearnerState,
    algorithm: control.ControlAlgorithm,
) -> tuple[LearnerState, StepRecord]:
    """Return the learners after STEPS_PER_CHUNK steps, and the record of each step."""

    def step_together(
        learners: LearnerState, _: None
    ) -> tuple[LearnerState, StepRecord]:
        return jax.vmap(partial(_step, tables, algorithm))(numbers, learners)

    learners = learners._replace(num_read=jnp.zeros_like(learners.num_read))
    return jax.lax.scan(step_together, learners, length=STEPS_PER_CHUNK)


def step_tables(mdp: MDP, config: ControlConfig) -> StepTables:
    """Return the tables of an MDP and a config in the form that `take_steps` reads."""
    starts = np.flatnonzero(mdp.start)
    tables = StepTables(
        mdp=mdp,
        ends=mdp.probs.cumsum(-1),
        starts=starts,
        start_ends=mdp.start.cumsum()[starts],
        num_episodes=config.num_episodes,
        max_steps=config.max_steps,
        step_size=config.step_size,
        step_size_decay=config.step_size_decay or None,
        exploration=config.exploration,
        exploration_decay=config.exploration_decay or None,
    )
    return jax.tree.map(jnp.asarray, tables)


def new_learner(mdp: MDP, config: ControlConfig) -> LearnerState:
    """Return a learner before its first step."""
    q = np.where(mdp.available, config.initial_value, 0.0)
    return LearnerState(q, counts=np.zeros(q.shape, int))


def _step(
    tables: StepTables,
    algorithm: control.ControlAlgorithm,
    numbers: Float[Array, "numbers"],
    learner: LearnerState,
) -> tuple[LearnerState, StepRecord]:
    """Take one step of one learner, as the loops in `mdp.control` do."""
    mdp, q = tables.mdp, learner.q
    read, fresh = learner.num_read, learner.time == 0
    exploration = tables.exploration
    if tables.exploration_decay is not None:
        episode = learner.num_episodes + 1
        exploration = schedule(exploration, tables.exploration_decay, episode)

    def policy(state: Whole) -> Float[Array, "A"]:
        return epsilon_greedy(q[state], mdp.available[state], exploration)

    # The random numbers are read in the order in which the plain loops draw them.
    start = tables.starts[_draw(tables.start_ends, numbers[read])]
    state = jnp.where(fresh, start, learner.state)
    read += fresh
    action = _draw(_running_sums(policy(state)), numbers[read])
    if algorithm is control.sarsa:  # it has chosen already, but for the first step
        action = jnp.where(fresh, action, learner.action)
    read += fresh if algorithm is control.sarsa else 1
    outcome = (state, action, _draw(tables.ends[state, action], numbers[read]))
    reward, discount = mdp.rewards[outcome], mdp.discounts[outcome]
    next_state = mdp.next_states[outcome]
    read += 1

    next_action, next_q = action, q[next_state]
    if algorithm is control.sarsa:
        next_action = _draw(_running_sums(policy(next_state)), numbers[read])
        read += 1
        target = control.sarsa_target(reward, discount, next_q, next_action)
    elif algorithm is control.expected_sarsa:
        target = control.expected_sarsa_target(
            reward, discount, next_q, policy(next_state)
        )
    else:
        available = mdp.available[next_state]
        target = control.q_learning_target(reward, discount, next_q, available)
    learner = _updated(tables, learner, state, action, target)
    learner = learner._replace(state=next_state, action=next_action, num_read=read)
    pair = state * mdp.num_actions + action
    return _counted(tables, learner, reward, discount, pair)


def _updated(
    tables: StepTables,
    learner: LearnerState,
    state: Whole,
    action: Whole,
    target: Number,
) -> LearnerState:
    """Return the learner with q(s, a) moved towards the target."""
    q, counts, step_size = learner.q, learner.counts, tables.step_size
    if tables.step_size_decay is not None:
        counts = counts.at[state, action].add(1)
        count = counts[state, action]
        step_size = schedule(step_size, tables.step_size_decay, count)
    q = q.at[state, action].add(step_size * (target - q[state, action]))
    return learner._replace(q=q, counts=counts)


def _counted(
    tables: StepTables,
    learner: LearnerState,
    reward: Number,
    discount: Number,
    pair: Whole,
) -> tuple[LearnerState, StepRecord]:
    """Return the learner with the step counted in its episode, and the record."""
    time = learner.time + 1
    earned = learner.earned + learner.reach * reward
    # A learner that has finished goes on unseen: nothing it does is ever over.
    active = learner.num_episodes < tables.num_episodes
    over = active & ((discount == 0) | (time == tables.max_steps))
    record = StepRecord(over, earned, time, pair, learner.q.ravel()[pair])
    learner = learner._replace(
        num_episodes=learner.num_episodes + over,
        time=jnp.where(over, 0, time),
        earned=jnp.where(over, 0.0, earned),
        reach=jnp.where(over, 1.0, learner.reach * discount),
    )
    return learner, record


def _draw(ends: Float[Array, "n"], number: Number) -> Whole:
    """Return an index as `mdp.sampling.draw` does, from cumulative probabilities."""
    return (ends <= number * ends[-1]).sum()


def _running_sums(probs: Float[Array, "n"]) -> Float[Array, "n"]:
    """Return the cumulative probabilities, added up in order as numpy does."""
    if len(probs) > FEW_ACTIONS:  # else written out: XLA makes slow loops of windows
        return probs.cumsum()
    return jnp.stack(list(accumulate(probs)))
