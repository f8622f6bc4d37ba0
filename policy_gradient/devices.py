"""Training on several devices: each holds a share of every batch.

    sum over the rows of a batch  =  sum over devices of the sum over their rows

The devices of all processes form a *mesh* with one axis. These functions tell jax how
arrays lie on it, and its compiler does the rest: where rows lie on different devices,
what is computed from them does, too, and a sum over the rows becomes a message.

    split(batch)     its rows are shared out among the devices
    place(state)     each device holds all of it, or ("sharded") a part of each array
    gather(state)    whole arrays of this process again

One device is a mesh, too: there is no other path through the code. Sums are taken in
another order, so the last digits of a gradient differ; training multiplies this.

Source: Goyal et al. (2017), section 4, for data parallelism; Rajbhandari et al. (2020),
section 5, for parameters in parts; Xu et al. (2021) for a compiler that divides work.
"""

from functools import cache
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

AXIS = "devices"

Tree = TypeVar("Tree", bound=PyTree)


class _Used:
    """The choice of this process: devices of each process, and where parameters lie."""

    devices = 1
    sharded = False


def use(devices: int = 1, sharded: bool = False) -> None:
    """Train on so many devices of each process from now on.

    Raises ValueError where a process has fewer devices.

    Args:
        devices: the number of them in each process.
        sharded: whether each device holds a part of the parameters and the optimizer's
            numbers, in place of all. A part is fetched when it is needed.
    """
    there = jax.local_device_count()
    if not 1 <= devices <= there:
        raise ValueError(f"devices must be 1 to {there} in this process, got {devices}")
    if (devices, sharded) != (_Used.devices, _Used.sharded):
        _Used.devices, _Used.sharded = devices, sharded
        mesh.cache_clear()
        jax.clear_caches()  # programs that were made for another mesh


@cache
def mesh() -> Mesh:
    """Return the devices in use, of all processes, in one row."""
    count = [0] * jax.process_count()
    chosen = []
    for device in jax.devices():
        if count[device.process_index] < _Used.devices:
            chosen.append(device)
            count[device.process_index] += 1
    return Mesh(np.array(chosen), (AXIS,))


def split(batch: Tree) -> Tree:
    """Return a batch whose rows, the first axis, are shared out among the devices.

    It does so inside a program that trains; elsewhere it returns the batch as it is.
    Raises ValueError where the rows are not a multiple of the devices.
    """
    size = jax.sharding.get_abstract_mesh().size
    if not size:
        return batch

    def shared_out(rows: jax.Array) -> jax.Array:
        if len(rows) % size:
            raise ValueError(
                f"the rows of a batch must be a multiple of the {size} devices (of "
                f"all processes), got {len(rows)}"
            )
        return jax.lax.with_sharding_constraint(rows, _along(0))

    return jax.tree.map(shared_out, batch)


def place(state: Tree) -> Tree:
    """Return a state on the devices: whole on each, or a part of each array.

    All processes must have the same state. jax's tracers stay as they are.
    """

    def put(x: jax.typing.ArrayLike) -> jax.Array:
        if isinstance(x, jax.core.Tracer):
            return x
        x, layout = jax.numpy.asarray(x), _layout(x.shape)
        return jax.make_array_from_callback(x.shape, layout, lambda part: x[part])

    return jax.tree.map(put, state)


def gather(state: Tree) -> Tree:
    """Return a state that lies on the devices as whole arrays of this process.

    jax's tracers stay as they are.
    """
    leaves = jax.tree.leaves(state)
    if any(isinstance(x, jax.core.Tracer) for x in leaves):
        return state
    if not all(x.is_fully_replicated for x in leaves):
        state = _whole(state)
    return jax.tree.map(lambda x: x.addressable_data(0), state)


@jax.jit
def _whole(state: Tree) -> Tree:
    """Return a state with whole arrays on each device."""
    return jax.tree.map(
        lambda x: jax.lax.with_sharding_constraint(x, _along(None)), state
    )


def _layout(shape: tuple[int, ...]) -> NamedSharding:
    """Return where an array of the state lies: whole, or its longest axis in parts."""
    if _Used.sharded:
        fits = [i for i, n in enumerate(shape) if n % mesh().size == 0]
        if fits:
            return _along(max(fits, key=lambda i: shape[i]))
    return _along(None)


def _along(axis: int | None) -> NamedSharding:
    """Return an array's place with this axis shared out; None is whole on each."""
    spec = () if axis is None else (*[None] * axis, AXIS)
    return NamedSharding(mesh(), PartitionSpec(*spec))
