"""The folder of a long command: nothing done is lost, nothing there is overwritten.

    with open_run(out, settings, names, overwrite) as run:
        value = run.kept("PPO, seed 3", measure)[0]  # called once; later read
        run.write(files)                             # all results, and done

What is done is kept in the folder `.unfinished`, so the same command goes on where it
was stopped, and `write` removes it. Other settings are refused before any work, unless
`overwrite` allows them. One command at a time may use a folder.

The settings of a finished run are read from its picture: each PNG holds them as text.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mdp.interface import stopping
from mdp.interface.files import (
    Content,
    plain,
    read_json,
    stamp_of_png,
    stamped_png,
    versions,
    write_files,
)
from mdp.interface.keeping import Checkpoint, pack, reading, unpack

try:
    import fcntl
except ImportError:  # this system has no such locks
    fcntl = None  # type: ignore[assignment]

# Fields of a command that change no result.
NO_SETTINGS = ("out", "overwrite", "share")
UNFINISHED, SETTINGS = ".unfinished", "settings.json"


class Run:
    """One command in its folder; without a folder it keeps and writes nothing."""

    def __init__(
        self,
        folder: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        names: tuple[str, ...] = (),
    ) -> None:
        """Prepare a run without touching its folder; see `open_run`."""
        self.folder, self.settings, self.names = folder, plain(settings or {}), names
        self.finished = False  # before this command
        self.written = False  # by this command

    def __str__(self) -> str:
        """Return what is kept, as the end of a sentence."""
        if self.written:
            return f"the results are in {self.folder}/"
        if not self.pieces("*"):
            return "nothing was written"
        return (
            f"what was finished is in {self.folder}/: the same command goes on from "
            "there"
        )

    def pieces(self, pattern: str) -> list[Path]:
        """Return the kept files whose names match a pattern, in order."""
        if self.folder is None:
            return []
        found = (self.folder / UNFINISHED).glob(pattern)
        return sorted(x for x in found if x.name != SETTINGS and x.name[0] != ".")

    def keep(self, name: str, content: Content) -> None:
        """Write a file beside the settings that it belongs to, if there is a folder."""
        if self.folder is not None:
            write_files(self.folder / UNFINISHED, {name: content})

    def kept(
        self, name: str, make: Callable[[], Any], *types: type
    ) -> tuple[Any, float]:
        """Return a value that is made once and then read, and its seconds if read.

        It consists of numbers, text, arrays, lists, tuples, dicts and the named tuples
        in `types`.
        """
        found = self.found(name, types)
        if found is not None:
            return found
        started = time.perf_counter()
        value = make()
        self.store(name, value, time.perf_counter() - started)
        return value, 0.0

    def found(self, name: str, types: tuple[type, ...]) -> tuple[Any, float] | None:
        """Return a value that is kept and the seconds it took; None if none is kept."""
        file = _file_of(name)
        for path in self.pieces("*.json"):
            if path.name == file:
                with reading(path):
                    found = read_json(path)
                    return unpack(found["value"], types), float(found["seconds"])
        return None

    def store(self, name: str, value: Any, seconds: float) -> None:
        """Keep a value that took so many seconds, if there is a folder."""
        if self.folder is not None:
            content = json.dumps({"seconds": seconds, "value": pack(value)})
            self.keep(_file_of(name), content)

    def checkpoint(self, name: str) -> Checkpoint | None:
        """Return the checkpoint of a loop; None without a folder."""
        return (
            Checkpoint(quote(name, safe=" ,="), self.pieces, self.keep)
            if self.folder
            else None
        )

    def write(self, files: Mapping[str, Content]) -> list[Path]:
        """Write all results, and remove what was kept on the way to them."""
        if self.folder is None:
            return []
        stamped = {
            name: stamped_png(content, self.settings)
            if isinstance(content, bytes) and name.endswith(".png")
            else content
            for name, content in files.items()
        }
        paths = write_files(self.folder, stamped)
        for name in set(self.names) - set(files):  # of a run that was overwritten
            (self.folder / name).unlink(missing_ok=True)
        self.written = True
        shutil.rmtree(self.folder / UNFINISHED, ignore_errors=True)
        return paths


class FollowedRun(Run):
    """The run of another process: this one reads what is kept, and keeps nothing."""

    def keep(self, name: str, content: Content) -> None:
        """Do nothing: the process that leads keeps the file."""


@contextmanager
def open_run(
    folder: Path | None,
    settings: Mapping[str, Any],
    names: tuple[str, ...],
    overwrite: bool,
    only_new: bool = False,
) -> Iterator[Run]:
    """Hold a folder for one command, which goes on if it was stopped there.

    Raises ValueError where another command holds the folder, or where it has results or
    unfinished work with other settings (without `overwrite`); OSError where nothing can
    be written there.

    Args:
        folder: of the run; None keeps nothing.
        settings: all that the results depend on, see `settings_of`.
        names: of the result files; with the first of them a run is finished.
        overwrite: allow the work and the results of other settings to be replaced.
        only_new: refuse a folder that exists, unless a command was stopped there.
    """
    run = Run(folder, settings, names)
    if folder is None:
        yield run
        return
    made = not folder.exists()
    place = folder / UNFINISHED
    if only_new and not made and not place.exists() and not overwrite:
        raise ValueError(f"--out must be a new folder, got {folder}: try --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _alone(folder):
            _refuse_or_go_on(run, folder, overwrite)
            if not run.finished:
                settings_text = json.dumps(run.settings, indent=2)
                write_files(place, {SETTINGS: settings_text})
            stopping.tell(lambda: f"Stopped; {run}.")
            try:
                yield run
            finally:
                if not run.pieces("*"):
                    shutil.rmtree(place, ignore_errors=True)
    finally:
        if made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def settings_of(command: Any, **more: Any) -> dict[str, Any]:
    """Return all that the results of a command depend on; files by their content.

    Args:
        command: a dataclass; its `out`, `overwrite` and `share` are left out.
        more: other settings.
    """
    settings = {"command": type(command).__name__, **asdict(command), **more}
    for name, value in settings.items():
        if isinstance(value, Path) and value.is_file():
            settings[name] = digest_of(value)
    settings["versions"] = versions()
    return plain({k: x for k, x in settings.items() if k not in NO_SETTINGS})


def digest_of(path: Path) -> str | None:
    """Return the digest of a file's content; None where there is no such file."""
    if not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def require_same(
    before: Mapping[str, Any], now: Mapping[str, Any], source: Path
) -> None:
    """Raise ValueError at the first setting in which two runs differ."""
    old, new = _leaves(before), _leaves(now)
    for name in [*new, *old]:
        if old.get(name) != new.get(name):
            raise ValueError(
                f"{source}: the run in this folder has {name} = {old.get(name)}, got "
                f"{new.get(name)}: try another --out, or --overwrite"
            )


def lock(handle: int, complaint: str) -> None:
    """Lock an open file or folder; raise ValueError, with this line, if it is locked.

    The lock ends when the handle is closed, as it is at the end of the program.
    """
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(complaint) from None
        except OSError:
            pass  # some network file systems have no locks


def _refuse_or_go_on(run: Run, folder: Path, overwrite: bool) -> None:
    for path in folder.glob(".*.part"):  # of a program that was killed
        path.unlink()
    there = [folder / name for name in run.names if (folder / name).exists()]
    source, before = folder / UNFINISHED / SETTINGS, None
    unfinished = source.exists() and bool(run.pieces("*"))
    if unfinished:
        before = read_json(source)
    else:
        for source in [path for path in there if path.suffix == ".png"]:
            before = stamp_of_png(source.read_bytes())
    if before == run.settings:
        run.finished = not unfinished and folder / run.names[0] in there
        run.finished &= not overwrite
    elif overwrite:
        shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    elif before is not None:
        require_same(before, run.settings, source)
    elif there:
        raise ValueError(
            f"{there[0]} exists already: try another --out, or --overwrite"
        )


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; wait while another program has it."""
    with _opened(folder) as handle:
        if handle is not None:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; raise ValueError if another command has it."""
    with _opened(folder) as handle:
        if handle is not None:
            lock(
                handle,
                f"another command is at work in {folder}/: wait for its end, or try "
                "another --out",
            )
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """Open a folder for its lock, which ends with it; None where there are no locks."""
    if fcntl is None:
        yield None
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _file_of(name: str) -> str:
    """Return the name of the file that keeps a value."""
    return f"{quote(name, safe=' ,=')}.json"


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested settings by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
