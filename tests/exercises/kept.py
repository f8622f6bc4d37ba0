"""Keep the answers of the book's own functions to the cases, for the next check.

A wrong answer is compared with the right one and with that of every trap. These depend
on nothing but the sources, and for a whole loop they take long. So they are kept in the
user's cache, beside the compiled programs, under a digest of all sources.
"""

import contextlib
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

from tests.exercises.manifest import FLOORS, ROOT, Exercise

# Answers by the function's text, the seed and the number of the case.
Outputs = dict[tuple[str, int, int], Any]


def read(exercise: Exercise) -> Outputs:
    """The kept answers for an exercise; none if there is no file of them."""
    if exercise.home:
        return {}  # its sources are not in the digest
    with contextlib.suppress(Exception):  # a file that cannot be read is made anew
        return pickle.loads(_file(exercise.id).read_bytes())
    return {}


def write(exercise: Exercise, outputs: Outputs) -> None:
    """Keep the answers for an exercise, and forget those of other sources."""
    from mdp.interface.files import write_files

    if exercise.home:
        return
    with contextlib.suppress(OSError, ValueError, TypeError, pickle.PicklingError):
        file, content = _file(exercise.id), pickle.dumps(outputs)
        file.parent.mkdir(parents=True, exist_ok=True)
        for old in file.parent.glob(f"{exercise.id}.*.pickle"):
            old.unlink(missing_ok=True)
        write_files(file.parent, {file.name: content})


def _file(name: str) -> Path:
    from mdp.interface.compilation import cache_folder
    from mdp.interface.files import versions

    files = (path for floor in (*FLOORS, "tests") for path in (ROOT / floor).rglob("*"))
    sources = sorted(path for path in files if path.suffix in (".py", ".toml"))
    parts = [path.read_bytes() for path in sources]
    settings = versions(), os.environ.get("XLA_FLAGS")
    digest = hashlib.sha256(b"".join([*parts, repr(settings).encode()])).hexdigest()
    return cache_folder() / "answers" / f"{name}.{digest[:16]}.pickle"
