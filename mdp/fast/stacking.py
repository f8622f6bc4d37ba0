"""Many MDPs of one shape as one, for `mdp.small` to solve in one call."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from mdp.model import MDP


def stack(mdps: Sequence[MDP]) -> MDP:
    """Many MDPs of one shape as one: every field has a leading axis of worlds.

    What is the same in all worlds, or for all outcomes of a pair, is stored once, and
    only looks repeated.

    Raises:
        ValueError: the shapes differ, or there is no MDP at all.
    """
    shapes = sorted({np.shape(mdp.probs) for mdp in mdps})
    if len(shapes) != 1:
        raise ValueError(f"mdps must all have one shape [S, A, B], got {shapes}")
    return MDP(*(_stored_once(np.stack(field)) for field in zip(*mdps, strict=True)))


def _stored_once(field: np.ndarray) -> np.ndarray:
    kept = field
    for axis in {0, field.ndim - 1} - {1}:
        first = kept.take([0], axis)
        kept = first if (kept == first).all() else kept
    stored = aligned(kept.shape, kept.dtype)
    stored[:] = kept
    return np.broadcast_to(stored, field.shape)


def common_or_own(field: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The one that all worlds share, or else theirs; without repetitions (`stack`)."""
    if field.strides[-1] == 0:
        field = field[..., :1]
    return (field[0], None) if field.strides[0] == 0 else (None, field)


def aligned(shape: tuple[int, ...], dtype: DTypeLike = float) -> np.ndarray:
    """An empty array that begins on a 64-byte boundary, else XLA copies it first."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    return raw[offset : offset + size].view(dtype).reshape(shape)
