"""Files of results: tables, JSON and pictures, written whole or not at all.

    write_files(folder, {
        "runs.csv": csv_text(rows),
        "summary.json": json_text(summary),
        "curves.png": png_bytes(figure),
    })

JSON has no word for nan or infinity: both become null. With the same versions of the
packages, equal results give equal bytes.
"""

import csv
import dataclasses
import hashlib
import io
import json
import math
import os
import platform
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

PNG_START = 33  # bytes of a PNG before its second part
PNG_KEYWORD = b"Settings\0"
FLOORS = ("mdp", "policy_gradient", "lm_bandit")
PACKAGES = ("bellman-to-rlhf", "numpy", "scipy", "jax", "jaxlib", "optax")

# A larger JSON file, or a longer line of text, is a mistake, or has no end.
MOST_BYTES = 2**26
LONGEST_LINE = 1_000_000

# The content of a file, or a function that writes it to a path.
Content = str | bytes | Callable[[Path], object]


def write_files(folder: Path, files: Mapping[str, Content]) -> list[Path]:
    """Write several files; all appear together, and only when complete.

    They are written under hidden names beside their places, and moved when all are on
    the disk. A program that is killed leaves at most such hidden files (.NAME.part).

    Args:
        folder: where to write; it is created if it is missing.
        files: the content of each file by its name. Text is written as UTF-8.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: folder / f".{name}.part" for name in files}
    try:
        for name, content in files.items():
            parts[name].unlink(missing_ok=True)
            if isinstance(content, str):
                parts[name].write_bytes(content.encode())
            elif isinstance(content, bytes):
                parts[name].write_bytes(content)
            else:
                content(parts[name])
            _sync(parts[name])
        for name, part in parts.items():
            os.replace(part, folder / name)
        _sync(folder)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return [folder / name for name in files]


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as comma-separated values; the first row is its header."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def json_text(value: Any) -> str:
    """Return a value as JSON text that ends with a new line, see `plain`."""
    return json.dumps(plain(value), indent=2, allow_nan=False) + "\n"


def png_bytes(figure: Any, dpi: int = 150) -> bytes:
    """Return a matplotlib figure as a PNG picture; equal figures give equal bytes."""
    picture = io.BytesIO()
    # The version of matplotlib would be written into the picture.
    figure.savefig(picture, format="png", dpi=dpi, metadata={"Software": None})
    return picture.getvalue()


def stamped_png(picture: bytes, settings: Mapping[str, Any]) -> bytes:
    """Return a PNG picture that also holds settings, as text that no viewer shows.

    Source: the PNG specification (ISO/IEC 15948), section 11.3.4.3, on tEXt.
    """
    text = b"tEXt" + PNG_KEYWORD + json.dumps(settings).encode()
    size, check = len(text) - 4, zlib.crc32(text)
    part = size.to_bytes(4, "big") + text + check.to_bytes(4, "big")
    return picture[:PNG_START] + part + picture[PNG_START:]


def stamp_of_png(picture: bytes) -> dict[str, Any] | None:
    """Return the settings in a picture of `stamped_png`, or None."""
    start = PNG_START + 8
    size = int.from_bytes(picture[PNG_START : start - 4], "big")
    text = picture[start - 4 : start + size]
    if not text.startswith(b"tEXt" + PNG_KEYWORD):
        return None
    try:
        return json.loads(text[4 + len(PNG_KEYWORD) :])
    except ValueError:
        return None


def write_json(path: Path, value: Any) -> None:
    """Write one JSON file, see `plain`."""
    write_files(path.parent, {path.name: json_text(value)})


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises ValueError, in one line that names the file, where it cannot be read or does
    not hold a JSON object.
    """
    with open_file(path) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path} must be JSON of at most {MOST_BYTES:,} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}, must be JSON, got {error}") from None
    return parse_json(text, str(path))


def parse_json(text: str, source: str) -> dict[str, Any]:
    """Read a JSON object from text; errors name its source, such as a file."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} must be JSON, got {error}") from None
    if not isinstance(value, dict):
        got = " ".join(text[:40].split())
        raise ValueError(f"{source} must be a JSON object, got {got}")
    return value


def open_file(path: Path) -> BinaryIO:
    """Open a file to read its bytes; raise ValueError, which names it, if that fails.

    Only regular files are read: a device may have no end, and a pipe nothing to give.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.open("rb")
        what = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
    except OSError as error:
        what = error.strerror or str(error)
    raise ValueError(f"cannot read {path}: {what}")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file with their numbers, counted from 1.

    Raises ValueError, which names file and line, where a line is too long or no text.
    """
    with open_file(path) as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            place = f"{path}, line {number}: expected"
            if len(line) > LONGEST_LINE:
                raise ValueError(f"{place} at most {LONGEST_LINE:,} bytes, got more")
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                got = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
                raise ValueError(f"{place} UTF-8, got {got}") from None
            if "\0" in text:
                column = text.index("\0") + 1
                raise ValueError(f"{place} text, got a zero byte at column {column}")
            yield number, text.removeprefix("\ufeff") if number == 1 else text


def plain(value: Any) -> Any:
    """Return a value in the types of JSON.

    Named tuples and dataclasses become objects, arrays become lists, paths become text,
    and numbers that are not finite become None.
    """
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    elif isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def machine() -> dict[str, Any]:
    """Return what else results depend on: the platform, its cores, jax's threads.

    `threads` is None where jax chooses: as many as there are cores.
    """
    # Where the system can tell, the cores that this process may use.
    allowed = getattr(os, "sched_getaffinity", None)
    return {
        "platform": platform.platform(),
        "cores": len(allowed(0)) if allowed else os.cpu_count(),
        "threads": os.environ.get("NPROC"),
    }


def _sync(path: Path) -> None:
    """Wait until a file, or the list of a folder's files, is on the disk."""
    if os.name == "posix":  # elsewhere folders cannot be opened
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    packages = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **packages}


@cache
def versions_and_sources() -> dict[str, str]:
    """Return the versions, and a digest of this project's sources."""
    floors = [Path(__file__).parents[2] / name for name in FLOORS]
    sources = sorted(path for floor in floors for path in floor.rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    return {**versions(), "sources": digest.hexdigest()[:8]}
