"""Values and loops that are kept, so that a program which was stopped can go on.

    checkpoint = Checkpoint(name, pieces, keep)
    state, history = checkpoint.load(start, row)     # the start, if nothing is kept
    checkpoint.save(done, state, rows, last=False)   # every few seconds
    pack(value), unpack(packed, types)               # a value as JSON, and back

Numbers come back bit by bit. What is read cannot execute code: arrays are safetensors,
and everything else is JSON.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SECONDS = 2.0  # between two savings of a loop's state
SHARE = 0.05  # of the time that saving may take


class Checkpoint:
    """The state of one loop, with the rows of its history, saved every few seconds.

    A file holds the rows since the file before it, and the arrays of the state that are
    not those of the start.
    """

    def __init__(
        self,
        name: str,
        pieces: Callable[[str], list[Path]],
        keep: Callable[[str, bytes], None],
    ) -> None:
        """Prepare the checkpoint of a loop.

        Args:
            name: with which the names of its files begin.
            pieces: returns the files whose names match a pattern, in order.
            keep: writes a file, by its name.
        """
        self.name, self.pieces, self.keep = name, pieces, keep
        self.seconds = 0.0  # that the loop took before the program was stopped
        self.began = self.saved = time.perf_counter()
        self.pause = SECONDS
        self.start: list[np.ndarray] = []
        self.rows: list[Any] = []  # since the last file

    def load(self, start: Any, row: Callable[[], Any]) -> tuple[Any, list[Any]]:
        """Return the last state and all rows saved; the start and [] if there is none.

        Raises ValueError where the files are not those of such a loop.

        Args:
            start: the first state, a tree of arrays.
            row: returns a tree like those of the rows; called if there are any.
        """
        import jax  # only here: `mdp` itself works without jax

        leaves, tree = jax.tree.flatten(start)
        self.start = [np.asarray(leaf) for leaf in leaves]
        paths = self.pieces(f"{self.name}-*.safetensors")
        if not paths:
            return start, []
        like = row()
        width, tree_of_rows = len(jax.tree.leaves(like)), jax.tree.structure(like)
        rows: list[Any] = []
        for path in paths:
            with reading(path):
                tensors, about = _read_tensors(path)
                self.seconds = float(about["seconds"])
                columns = [tensors[f"row {i}"] for i in range(width)]
                rows.append(jax.tree.unflatten(tree_of_rows, columns))
                if int(about["done"]) != sum(len(jax.tree.leaves(x)[0]) for x in rows):
                    raise ValueError("the file before it is gone")
                for i, leaf in enumerate(self.start):
                    if tensors.get(f"state {i}", leaf).shape != leaf.shape:
                        raise ValueError(f"state {i} must have shape {leaf.shape}")
        for i in range(len(leaves)):
            if f"state {i}" in tensors:
                leaves[i] = jax.numpy.asarray(tensors[f"state {i}"])
        return jax.tree.unflatten(tree, leaves), rows

    def save(self, done: int, state: Any, rows: Any, last: bool) -> None:
        """Write the state after `done` steps if it is the last, or after a while."""
        import jax

        self.rows.append(rows)
        now = time.perf_counter()
        if not last and now - self.saved < self.pause:
            return
        columns = zip(*map(jax.tree.leaves, self.rows), strict=True)
        tensors = {f"row {i}": np.concatenate(x) for i, x in enumerate(columns)}
        for i, (leaf, first) in enumerate(
            zip(map(np.asarray, jax.tree.leaves(state)), self.start, strict=True)
        ):
            if leaf.tobytes() != first.tobytes():
                tensors[f"state {i}"] = leaf
        about = {"done": str(done), "seconds": str(self.seconds + now - self.began)}
        name = f"{self.name}-{done:010}.safetensors"
        self.keep(name, _tensor_bytes(tensors, about))
        self.rows, self.saved = [], time.perf_counter()
        self.pause = max(SECONDS, (self.saved - now) / SHARE)


def pack(value: Any) -> Any:
    """Return a value as JSON: whatever is no number and no text as [type, content]."""
    if isinstance(value, Mapping):
        return ["dict", {name: pack(entry) for name, entry in value.items()}]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [pack(entry) for entry in value]]
    if hasattr(value, "dtype"):
        array = np.asarray(value)
        return [str(array.dtype), array.tolist()]
    return value


def unpack(packed: Any, types: tuple[type, ...]) -> Any:
    """Return the value of `pack`; only the given types are made of what is read."""
    if not isinstance(packed, list):
        return packed
    kind, content = packed
    if kind == "dict":
        return {name: unpack(entry, types) for name, entry in content.items()}
    if kind in ("list", "tuple"):
        entries = [unpack(entry, types) for entry in content]
        return entries if kind == "list" else tuple(entries)
    for each in types:
        if kind == each.__name__:
            return each(*[unpack(entry, types) for entry in content])
    return np.asarray(content, kind)[()]


def _tensor_bytes(tensors: Mapping[str, np.ndarray], about: Mapping[str, str]) -> bytes:
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(x) for name, x in tensors.items()}
    # `ascontiguousarray` makes a number an array of one.
    whole = {name: x.reshape(tensors[name].shape) for name, x in whole.items()}
    return save(whole, dict(about))


def _read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(str(error)) from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make any error in what was kept a ValueError that names the file."""
    try:
        yield
    except (ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}): try --overwrite") from None
