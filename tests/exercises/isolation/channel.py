"""Messages between the judge and the process in which a submission runs.

The judge sends what it likes. It trusts nothing that it reads: from a message it makes
numbers, texts, arrays and the records of the packages, and nothing else. Anything else
arrives as an empty object whose type has the right name.
"""

import io
import os
import pickle
import select
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from tests.exercises import same
from tests.exercises.manifest import FLOORS

MOST_BYTES = 2**28  # of a message
LENGTH = struct.Struct("!Q")
# The functions of numpy that make arrays and numbers.
NUMPY = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}
OURS = {(__name__, name) for name in ("jax_array", "jax_key", "foreign")}


class Ended(Exception):
    """The other end is gone, or does not answer in time."""


class Garbled(Ended):
    """The other end sent a message that our own program never sends."""


class Channel:
    """Two pipes; `is_trusted` says whether it may accept messages of every kind."""

    def __init__(self, reader: int, writer: int, is_trusted: bool) -> None:
        self.reader, self.writer, self.is_trusted = reader, writer, is_trusted
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)

    def send(self, message: Any, seconds: float | None = None) -> None:
        """Send a message; raise `Ended` if it is not taken in time."""
        data = io.BytesIO()
        kind = _Pickler if not self.is_trusted else _PlainPickler
        kind(data, protocol=5).dump(message)
        rest = memoryview(LENGTH.pack(data.tell()) + data.getvalue())
        end = None if seconds is None else time.monotonic() + seconds
        while rest:
            _wait([], [self.writer], end)
            try:
                rest = rest[os.write(self.writer, rest) :]
            except OSError:
                raise Ended from None

    def receive(self, seconds: float | None = None) -> Any:
        """Wait for a message; raise `Ended` if none comes in time."""
        end = None if seconds is None else time.monotonic() + seconds
        size = LENGTH.unpack(self._read(LENGTH.size, end))[0]
        if size > MOST_BYTES:
            raise Garbled
        data = io.BytesIO(self._read(size, end))
        if self.is_trusted:
            return pickle.load(data)
        try:
            return _Unpickler(data).load()
        except Exception:
            raise Garbled from None

    def _read(self, size: int, end: float | None) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            _wait([self.reader], [], end)
            part = os.read(self.reader, min(size - len(parts), 2**20))
            if not part:
                raise Ended
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Close both pipes."""
        os.close(self.reader)
        os.close(self.writer)


def jax_array(values: np.ndarray) -> Any:
    """An array of jax with these values, in their precision."""
    import jax

    with jax.enable_x64(True):
        return jax.numpy.asarray(values)


def jax_key(values: np.ndarray, kind: str) -> Any:
    """A key of jax, made from its numbers."""
    import jax

    return jax.random.wrap_key_data(values, impl=kind)


def foreign(kind: str) -> Any:
    """An empty object in the place of one that the judge does not accept."""
    return type(str(kind)[:60].replace("\0", "?"), (), {})()


class _Pickler(pickle.Pickler):
    """Writes arrays of jax as arrays of numpy."""

    def reducer_override(self, value: Any) -> Any:
        if not same.is_jax_array(value):
            return NotImplemented
        if same.is_key(value):
            import jax

            kind = str(jax.random.key_impl(value))
            return jax_key, (np.asarray(jax.random.key_data(value)), kind)
        return jax_array, (np.asarray(value),)


class _PlainPickler(_Pickler):
    """Writes objects that the judge accepts, and empty ones in the place of others."""

    def reducer_override(self, value: Any) -> Any:
        if same.is_jax_array(value):
            return super().reducer_override(value)
        name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
        is_array = type(value) is np.ndarray or isinstance(value, np.generic | np.dtype)
        if name in NUMPY | OURS or is_array or _is_record(value):
            return NotImplemented
        return foreign, (type(value).__name__,)


class _Unpickler(pickle.Unpickler):
    """Makes nothing but numbers, texts, arrays and records."""

    def find_class(self, module: str, name: str) -> Callable:
        if (module, name) in NUMPY | OURS:
            return super().find_class(module, name)
        found = getattr(sys.modules.get(module), name, None)
        if module.split(".")[0] in FLOORS and _is_record(found):
            return found
        return lambda *_: foreign(name)


def _is_record(value: Any) -> bool:
    """Say whether a value is a record of the packages, or the type of one."""
    kind = value if isinstance(value, type) else type(value)
    ours = str(getattr(kind, "__module__", "")).split(".")[0] in FLOORS
    is_named = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return ours and (is_named or is_dataclass(kind))


def _wait(readers: list[int], writers: list[int], end: float | None) -> None:
    left = None if end is None else max(0.0, end - time.monotonic())
    if not any(select.select(readers, writers, [], left)):
        raise Ended
