"""Devices that share a batch; `tests/lm_bandit/test_devices.py` trains on them."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh

from policy_gradient import devices


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
