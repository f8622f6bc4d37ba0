"""Download one file safely: its hash is checked before anything of it is used.

    pip download --require-hashes ...    refuses a file whose SHA-256 is another

The file is the source distribution of vaderSentiment 3.3.2 (MIT licence, copyright 2016
C.J. Hutto). It holds the data of Hutto & Gilbert (2014), which `ratings.py` reads. pip
runs code of a source distribution to learn its metadata, but only after it has checked
the hash. So only code that was inspected, when the hash was written here, can run. The
file is kept in the user's cache, and its hash is checked again at every use.

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
        options = (
            "--require-hashes --no-deps --quiet --disable-pip-version-check "
            "--no-input --progress-bar off --retries 2 --timeout 30"
        ).split()
        # The package as source; what pip needs to build its metadata may come built.
        command = [sys.executable, "-m", "pip", "download", *options]
        command += ["--no-binary", PACKAGE, "-r", str(wanted), "-d", scratch]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
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
