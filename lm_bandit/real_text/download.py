"""Getting one file from strangers: nothing of it runs before its hash is checked.

    pip download --require-hashes ...    refuses a file with another SHA-256 than named

The file is the source distribution of vaderSentiment 3.3.2 (MIT licence, copyright 2016
C.J. Hutto). It holds the data of Hutto & Gilbert (2014): `ratings.py` reads them. pip
asks a source distribution for its metadata, which runs code of it, but only after the
hash: what could be run is what was looked at when the hash was written here. The file
is kept in the user's cache, and its hash is checked again whenever it is read.

Source: Hutto, C.J. & Gilbert, E.E. (2014). VADER: A Parsimonious Rule-based Model for
Sentiment Analysis of Social Media Text. ICWSM-14.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from mdp.interface.files import write_files

PACKAGE = "vaderSentiment"
VERSION = "3.3.2"
FILE = f"{PACKAGE}-{VERSION}.tar.gz"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"


def verified(folder: Path, sha256: str = SHA256) -> bytes:
    """The bytes of the file, from the cache `folder` or else through pip.

    Raises ValueError, saying what to do, where neither has the right one.
    """
    path = folder / FILE
    if path.is_file():
        data = path.read_bytes()
        if _hash(data) == sha256:
            return data
    data = _download(path, sha256)
    write_files(folder, {FILE: lambda file: file.write_bytes(data)})
    return data


def _download(path, sha256):
    """What pip brings, once it and we have checked the hash."""
    torn = f"the cached {path} is torn, and " if path.exists() else ""
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirement.txt"
        wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{sha256}\n")
        options = (
            "--require-hashes --no-deps --quiet --disable-pip-version-check "
            "--no-input --progress-bar off --retries 2 --timeout 30"
        ).split()
        # Its own source, but whatever pip needs to read it may come built.
        command = [sys.executable, "-m", "pip", "download", *options]
        command += ["--no-binary", PACKAGE, "-r", str(wanted), "-d", scratch]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        file = Path(scratch) / FILE
        if done.returncode or not file.is_file():
            raise ValueError(
                f"{torn}pip could not bring {FILE} ({_complaint(done.stderr)}): go "
                f"online and try again, or put that file, with the SHA-256 {sha256}, "
                f"at {path}"
            )
        data = file.read_bytes()
    if _hash(data) != sha256:
        raise ValueError(f"{FILE}: expected the SHA-256 {sha256}, got {_hash(data)}")
    return data


def _complaint(told):
    """The last error that pip told, in short."""
    lines = [
        line for line in told.splitlines() if "ERROR" in line or "No module" in line
    ]
    return lines[-1].removeprefix("ERROR: ")[:160] if lines else "it does not say why"


def _hash(data):
    return hashlib.sha256(data).hexdigest()
