"""Devices that share a batch; `tests/lm_bandit/test_devices.py` trains on them."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh

from policy_gradient import devices

# In a process whose CPU is two devices: one step on a batch of 4 rows.
ON_TWO_DEVICES = """
import jax, jax.numpy as jnp
from policy_gradient import devices, training

devices.use(2, sharded=True)

def update(weights, key):
    batch = devices.split(jax.random.normal(key, (4, 6)))
    return weights - 0.1 * jax.grad(lambda w: jnp.sum((batch @ w) ** 2))(weights), batch

program = training.scanned(update)
placed = devices.place((jnp.ones(6), jax.random.key(0)))
weights, batches = program.run(*placed, jnp.arange(1))
shape = lambda x: x.addressable_shards[0].data.shape
assert shape(placed[0]) == shape(weights) == (3,), "half of the parameters, and kept so"
assert shape(batches) == (1, 2, 6), "half of the rows"
whole = devices.gather(weights)
assert len(whole.devices()) == 1 and whole.shape == (6,)
"""


@pytest.mark.slow
def test_each_of_two_devices_has_half_of_the_rows_and_of_the_parameters():
    flags = f"--xla_force_host_platform_device_count=2 {os.environ['XLA_FLAGS']}"
    done = subprocess.run(
        [sys.executable, "-c", ON_TWO_DEVICES],
        capture_output=True,
        text=True,
        env=os.environ | {"XLA_FLAGS": flags},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_a_batch_that_does_not_divide_is_refused():
    with (
        jax.sharding.use_abstract_mesh(AbstractMesh((3,), (devices.AXIS,))),
        pytest.raises(ValueError, match=r"multiple of the 3 devices .* got 4"),
    ):
        devices.split(jnp.zeros((4, 2)))


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(ValueError, match=r"devices must be 1 to 1 .* got 2"):
        devices.use(2)


def test_one_device_holds_everything():
    state = {"weights": jnp.arange(6.0).reshape(3, 2), "key": jax.random.key(0)}
    placed = devices.place(state)
    assert placed["weights"].sharding.mesh.size == 1
    assert (devices.gather(placed)["weights"] == state["weights"]).all()
    assert devices.gather(placed)["key"] == state["key"]
