"""The training loop: a Python loop over compiled chunks of a `scan` over updates.

An algorithm on an MDP is a `Learner`: its first state, and one update. The key of
update i is folded from i itself, so the size of a chunk changes nothing.

`train` is pure: `vmap` it over keys, or over the floats of a config.

A program is compiled once. `shared` keeps it for the next run with equal settings, and
a `Rehearsal` compiles it before it is needed, in a thread, while another one runs.
"""

from collections.abc import Callable
from functools import lru_cache, partial, wraps
from threading import Lock
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, Key, PyTree

from mdp import MDP
from mdp.interface.compilation import Compiling
from mdp.interface.configs import register_sweepable
from mdp.interface.keeping import Checkpoint
from policy_gradient import devices
from policy_gradient.diagnostics import History
from policy_gradient.policies import Policy, tabular_softmax
from policy_gradient.rollout import reset_many, to_jax

CHUNK = 20  # updates between two reports

register_sweepable()


class BrokenRun(ArithmeticError):
    """An error that says what a run broke, and at which update (from 1).

    `last_good` are parameters from before that update.
    """

    def __init__(self, update: int, message: str, last_good: PyTree | None = None):
        super().__init__(f"update {update}: {message}")
        self.update = update
        self.last_good = last_good


class State(NamedTuple):
    """The state of training that an update changes."""

    params: PyTree
    optimizer_state: optax.OptState
    steps: Int[Array, ""]  # of all environments, since training began
    positions: PyTree  # where the environments stand; () if each batch starts anew


class Learner(NamedTuple):
    """An algorithm on an MDP."""

    mdp: MDP
    policy: Policy
    start: Callable[[Key[Array, ""]], State]
    update: Callable[[State, Key[Array, ""]], tuple[State, History]]


@runtime_checkable
class AlgorithmConfig(Protocol):
    """The config fields that `make_learner` reads."""

    @property
    def num_environments(self) -> int | None:
        """Environments that run on from batch to batch, or None if each starts anew."""

    def make_optimizer(self) -> optax.GradientTransformation:
        """Return what turns gradients into steps."""


Update = Callable[
    [State, Key[Array, ""], MDP, Policy, optax.GradientTransformation, Any],
    tuple[State, History],
]


def make_learner(
    update: Update,
    mdp: MDP,
    policy: Policy | None,
    config: AlgorithmConfig,
) -> Learner:
    """Return an algorithm on an MDP, with a tabular policy if none is given."""
    policy, table = policy or tabular_softmax(mdp), to_jax(mdp)
    optimizer = config.make_optimizer()

    def start(key: Key[Array, ""]) -> State:
        zero = jnp.zeros((), int)
        if config.num_environments is None:
            params = policy.init(key)
            return State(params, optimizer.init(params), zero, positions=())
        init_key, reset_key = jax.random.split(key)
        params = policy.init(init_key)
        positions = reset_many(reset_key, table, config.num_environments)
        return State(params, optimizer.init(params), zero, positions)

    def advance(state: State, key: Key[Array, ""]) -> tuple[State, History]:
        return update(state, key, table, policy, optimizer, config)

    return Learner(mdp, policy, start, advance)


def train(
    key: Key[Array, ""],
    learner: Learner,
    num_updates: int,
    report: Callable[[int, History], None] | None = None,
) -> tuple[PyTree, History]:
    """Train once, and return the parameters and the history.

    It is pure without a `report`.
    """
    start_key, loop_key = jax.random.split(key)
    start = learner.start(start_key)
    state, history = loop(loop_key, start, learner.update, num_updates, report)
    return state.params, history


class Program:
    """A function that jax compiles once, by the first thread that needs it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Prepare a function of trees of arrays; `run` calls the compiled one."""
        self.run, self.lock = jax.jit(function), Lock()
        self.function = function

    def __reduce__(self) -> tuple[type["Program"], tuple[Callable[..., Any]]]:
        """Travel to another process as the function, which is compiled there."""
        return Program, (self.function,)

    def compile(self, *arguments: PyTree) -> None:
        """Compile for arrays of these shapes, or wait for the thread that does so."""
        with self.lock:
            self.run.lower(*arguments).compile()


def scanned(
    update: Callable[[PyTree, Key[Array, ""]], tuple[PyTree, Any]],
) -> Program:
    """Return the loop over an update: of a state, a key and the updates' numbers.

    The key of each update is folded from its number.
    """

    def run(
        state: PyTree, key: Key[Array, ""], iterations: Int[Array, "chunk"]
    ) -> tuple[PyTree, Any]:
        def body(state: PyTree, iteration: Int[Array, ""]) -> tuple[PyTree, Any]:
            return update(state, jax.random.fold_in(key, iteration))

        with jax.sharding.use_abstract_mesh(devices.mesh().abstract_mesh):
            return jax.lax.scan(body, state, iterations)

    return Program(run)


Made = TypeVar("Made")


def shared(make: Callable[..., Made]) -> Callable[..., Made]:
    """Decorate a function so that equal settings get the same object, made once.

    The values of a sweep are no settings: with them, each call makes its own object.
    """
    kept = lru_cache(maxsize=16)(make)

    @wraps(make)
    def find(*settings: Any) -> Made:
        try:
            hash(settings)
        except TypeError:  # jax's values while it traces
            return make(*settings)
        return kept(*settings)

    return find


class Rehearsal:
    """A report whose loop compiles its program, takes no step, and ends: `Rehearsed`.

    The program must be `shared`, so that the run that follows finds it.
    """

    def __call__(self, done: int, metrics: Any = None) -> None:
        """Do nothing: no step is taken."""


class Rehearsed(Exception):
    """The end of a loop that was only compiled."""


def compile_loop(train: Callable[..., Any], *arguments: Any) -> None:
    """Compile the loop of a function train(key, ..., report=...), and take no step.

    Raises RuntimeError where the function does not hand its report on to `loop`.
    """
    try:
        train(jax.random.key(0), *arguments, report=Rehearsal())
    except Rehearsed:
        return
    raise RuntimeError(f"{train.__name__} must pass its report on to `loop`")


def loop(
    key: Key[Array, ""],
    state: PyTree,
    update: Program | Callable[[PyTree, Key[Array, ""]], tuple[PyTree, Any]],
    num_updates: int,
    report: Callable[[int, Any], None] | None = None,
    check: Callable[[int, PyTree, PyTree, Any], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[PyTree, Any]:
    """Apply `update` `num_updates` times, and return the last state and all metrics.

    Args:
        key: folded with the number of each update.
        state: the first state.
        update: one step, from a state and a key to a state and the metrics; or what
            `scanned` returns for it.
        num_updates: number of steps.
        report: report(done, metrics) is called after each chunk with its metrics.
        check: check(done, before, after, metrics) is called before that with the states
            around the chunk; it raises an error where the run is broken.
        checkpoint: keeps the state after a sound chunk; a loop that was stopped goes on
            there. Only with a report.
    """
    program = update if isinstance(update, Program) else scanned(update)
    run = program.run
    key = devices.place(key)
    if report is None:  # one compiled whole, which `vmap` can map over seeds
        return devices.gather(run(devices.place(state), key, np.arange(num_updates)))
    iterations = np.arange(min(CHUNK, num_updates))
    if isinstance(report, Rehearsal):
        program.compile(devices.place(state), key, iterations)
        raise Rehearsed
    with Compiling.waited_for():
        program.compile(devices.place(state), key, iterations)
    history: list[Any] = []
    if checkpoint is not None:
        row = partial(jax.eval_shape, run, state, key, np.arange(1))
        state, history = checkpoint.load(state, lambda: row()[1])
    first = sum(len(jax.tree.leaves(metrics)[0]) for metrics in history)
    for start in range(first, num_updates, CHUNK):
        iterations = np.arange(start, min(start + CHUNK, num_updates))
        done, before = start + len(iterations), state
        after = jax.block_until_ready(run(devices.place(state), key, iterations))
        state, metrics = devices.gather(after)
        if check is not None:
            check(done, before, state, metrics)
        report(done, metrics)
        history.append(metrics)
        if checkpoint is not None:
            checkpoint.save(done, state, metrics, last=done == num_updates)
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *history)
