"""Toy texts, ratings and preferences: good words are liked, bad ones are not."""

import io
import json
import tarfile

import numpy as np

from lm_bandit.real_text import ratings

GOOD, BAD = "good fine nice happy great".split(), "bad poor sad awful grim".split()


def toy_texts(count=150):
    rng = np.random.default_rng(0)
    return [f"{' '.join(rng.choice(GOOD + BAD, 3))} {i}" for i in range(count)]


def toy_reviews(raters=9):
    """Sentences of three adjectives, rated by how many of them are good."""
    rng, texts = np.random.default_rng(1), toy_texts()
    means = [sum(2 if word in GOOD else -1 for word in t.split()[:3]) for t in texts]
    given = np.clip(
        np.array(means)[:, None] + rng.integers(-2, 3, (150, raters)), -4, 4
    )
    rated = ratings.RatedTexts(tuple(texts), tuple(map(tuple, given.tolist())))
    return ratings.Reviews(rated, ("other texts of the day", "and more of them"))


def toy_preferences():
    """JSON Lines: good words are preferred to bad ones by four annotators."""
    rng = np.random.default_rng(2)
    rows = [
        {
            "prompt": "abcd"[i // 4 % 4],
            "chosen": f"{rng.choice(GOOD)} {i}",
            "rejected": f"{rng.choice(BAD)} {i}",
            "annotator": i % 4,
        }
        for i in range(150)
    ]
    return "\n".join(map(json.dumps, rows))


def tarball(files, kind=tarfile.REGTYPE):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data), kind
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()
