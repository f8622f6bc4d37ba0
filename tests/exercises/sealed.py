"""Read the files of a folder that was handed out to a class: some parts are sealed.

In such a folder (`python -m tests handout`) the body of a function that the students
write is not in its file: a mark and blank lines stand in its place, so that lines keep
their numbers. The body is in STORE, with the manifests and their traps. It is
compressed and mixed with a key, so that nobody finds it by reading or by searching.
`read` puts it back, in memory only. An import hook uses `read`, so that the rest of the
library runs, and the check judges as it does in the checkout.

This file is copied to the top of the folder, with its STORE. In the checkout STORE is
empty, and every file is read as it is.

Sealing stops reading, and no more: anybody who decodes STORE, as the program does,
finds everything. Marks come from the teacher's own checkout, never from a student's
folder.
"""

import base64
import hashlib
import json
import sys
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import NamedTuple

ROOT = next(folder for folder in Path(__file__).parents if (folder / "mdp").is_dir())
KEY = b"Your own function stands here."
STORE = ""


class Part(NamedTuple):
    """A piece of a file, and the line in its place."""

    mark: str  # without its newline; empty if the whole file is sealed
    text: str


class Contents(NamedTuple):
    """The sealed parts of a folder."""

    assigned: tuple[str, ...]  # the ids of the exercises, in reading order
    parts: Mapping[str, list[Part]]  # by the file's path in the folder


def read(path: Path) -> str:
    """Return the text of a file, with its sealed parts."""
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
    parts = contents().parts.get(name, ())
    is_whole = any(not part.mark for part in parts)
    text = "" if is_whole else path.read_text(encoding="utf-8")
    for mark, part in parts:
        if not mark:
            return part
        before, found, after = text.partition(mark)
        if not found:
            raise ValueError(
                f"{name}: the line `{mark.strip()}` is missing. Put it back: it holds "
                "the place of a function. What you write belongs in workbook/."
            )
        for _ in range(part.count("\n")):  # the blank lines that kept the place
            after = after.removeprefix("\n") if after.startswith("\n\n") else after
        text = before + part + after
    return text


def blank(mark: str, text: str) -> str:
    """Return what stands in a file in place of a part: its mark, and blank lines."""
    return mark + "\n" * text.count("\n")


def assigned() -> tuple[str, ...]:
    """Return the ids of the exercises that were handed out; none in the checkout."""
    return contents().assigned


def seal(whole: Contents) -> str:
    """Return the sealed parts as text for STORE, in lines of equal length."""
    plain = json.dumps([whole.assigned, whole.parts]).encode()
    text = base64.b85encode(_mixed(zlib.compress(plain, 9))).decode()
    return "\n".join(text[i : i + 100] for i in range(0, len(text), 100))


@cache
def contents() -> Contents:
    """Return the sealed parts of this folder."""
    if not STORE:
        return Contents((), {})
    packed = _mixed(base64.b85decode("".join(STORE.split())))
    names, parts = json.loads(zlib.decompress(packed))
    return Contents(
        tuple(names), {path: [Part(*part) for part in parts[path]] for path in parts}
    )


def install() -> None:
    """Let modules with sealed parts be imported whole."""
    if STORE and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        # Not at the very front: there a check waits for the module that it changes.
        place = sys.meta_path.index(PathFinder)
        sys.meta_path.insert(place, _Finder(contents().parts))


def _mixed(data: bytes) -> bytes:
    """The bytes mixed with the key; mixed twice they are as before."""
    stream = hashlib.shake_256(KEY).digest(len(data))
    mixed = int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")
    return mixed.to_bytes(len(data), "big")


class _Finder:
    """Find the modules that have sealed parts."""

    def __init__(self, paths: Iterable[str]):
        files = (path for path in paths if path.endswith(".py"))
        # Modules from outside are imported from their own folder.
        names = (path[:-3].removeprefix("outside/") for path in files)
        self.modules = {name.replace("/", ".") for name in names}

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        if name not in self.modules:
            return None
        spec = PathFinder.find_spec(name, path, target)
        spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Load a module with its sealed parts; no compiled file is read or written."""

    def get_code(self, fullname) -> CodeType:
        path = self.get_filename(fullname)
        return compile(read(Path(path)), path, "exec", dont_inherit=True)
