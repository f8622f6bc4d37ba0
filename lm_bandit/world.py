"""The pocket world: a small language whose words were rated by real people.

Half of the prompts ask for praise and half for complaint, so that the prompt matters:

    praise: the film was      ->  superb and charming
    complaint: the film was   ->  boring

The ratings come from VADER, the sentiment lexicon of Hutto & Gilbert (2014): ten people
rated each word from -4 (extremely negative) to 4 (extremely positive).
`data/word_ratings.csv` has their raw ratings of 266 adjectives, taken from the package
vaderSentiment 3.3.2 (MIT licence, copyright 2016 C.J. Hutto). The lexicon does not say
who gave which rating: column 1 of two words need not be the same person. Some ratings
are mistakes ("awful" has one +4), and some words divide people ("audacious").

Source: Hutto, C.J. & Gilbert, E.E. (2014). VADER: A Parsimonious Rule-based Model for
Sentiment Analysis of Social Media Text. ICWSM-14.
Shapes: k prompts of P tokens, V words in the vocabulary, R raters (10 in that file).
"""

import csv
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mdp.interface.files import read_lines

END = 0  # the end-of-text token of every vocabulary here

WORD_RATINGS = Path(__file__).parent / "data" / "word_ratings.csv"
MOST_POCKET_WORDS = 20  # so that all completions can be enumerated

# From common to rare: the order in which the language uses them.
POCKET_WORDS = (
    "good bad nice boring okay funny dull weird awful hilarious horrible wonderful "
    "charming tragic dreadful superb pathetic laughable flawless audacious"
).split()
SUBJECTS = "film food date trip".split()
GLUE = ("praise:", "complaint:", "the", *SUBJECTS, "was", "and")


class World(NamedTuple):
    """A vocabulary, k prompts, and people's ratings of the words."""

    vocabulary: tuple[str, ...]  # token i is written vocabulary[i]; token 0 ends a text
    prompts: Int[np.ndarray, "k P"]  # tokens
    signs: Int[np.ndarray, "k"]  # +1 where the prompt asks for praise, -1 for complaint
    ratings: Float[np.ndarray, "V R"]  # -4 .. 4 by each rater; 0 for unrated words
    completion_length: int  # tokens, the end of text included

    @property
    def num_prompts(self) -> int:
        """The number of prompts, k."""
        return len(self.prompts)

    @property
    def context(self) -> int:
        """The number of tokens of a prompt and its completion together."""
        return self.prompts.shape[1] + self.completion_length

    @property
    def rated(self) -> Int[np.ndarray, "n"]:
        """The tokens that people rated, from common to rare."""
        return np.flatnonzero(self.ratings.any(-1))

    def encode(self, text: str) -> Int[np.ndarray, "n"]:
        """Return the tokens of a text of known words, split at white space."""
        unknown = [word for word in text.split() if word not in self.vocabulary]
        if unknown:
            known = [
                near
                for word in unknown
                for near in get_close_matches(word.lower(), self.vocabulary, n=1)
            ]
            nearest = f", nearest known {known}" if known else ""
            raise ValueError(f"text has unknown words {unknown}{nearest}: {text!r}")
        return np.array([self.vocabulary.index(w) for w in text.split()], np.int32)

    def decode(self, tokens: Int[np.ndarray, "n"]) -> str:
        """Return the text up to its end; an ellipsis marks a text that was cut off."""
        words = [self.vocabulary[token] for token in tokens]
        if self.vocabulary[END] in words:
            return " ".join(words[: words.index(self.vocabulary[END])])
        return " ".join([*words, "..."])


def pocket_world(ratings: Path = WORD_RATINGS) -> World:
    """Return the small world: 8 prompts, 30 tokens, completions of at most 4 tokens.

    25,260 completions of each prompt end; 707,281 do not. Where the file of ratings
    does not rate all the pocket's words, its own words take their place, at most 20.
    Raises ValueError where the file is malformed, or rates too many words.
    """
    return _world(ratings, 4, every_word=False)


def wide_world(ratings: Path = WORD_RATINGS) -> World:
    """Return the large world: the same prompts, every rated word, up to 8 tokens.

    The pocket world's words come first, if all of them are rated, and then the others
    in the order of the file. There are far too many completions to enumerate, so that
    values are estimated from samples (`oracle.estimates`).
    """
    return _world(ratings, 8, every_word=True)


def named_world(name: str, ratings: Path = WORD_RATINGS) -> World:
    """Return the world that a command line or a checkpoint calls "pocket" or "wide"."""
    if name == "pocket":
        return pocket_world(ratings)
    if name == "wide":
        return wide_world(ratings)
    raise ValueError(f"world must be pocket or wide, got {name}")


def _world(path: Path, completion_length: int, every_word: bool) -> World:
    """Return the eight prompts, with the words of the pocket world or with all words.

    A file that does not rate all of the pocket's words brings words of its own.
    """
    people = read_word_ratings(path)
    missing = [word for word in POCKET_WORDS if word not in people]
    first = [] if missing else POCKET_WORDS
    others = [word for word in people if word not in first]
    words = [*first, *(others if every_word or missing else ())]
    if len(words) > MOST_POCKET_WORDS and not every_word:
        raise ValueError(
            f"{path.name}: expected at most {MOST_POCKET_WORDS} words of your own, "
            "from common to rare, or all those of the pocket world, got "
            f"{len(words)} words without {missing}"
        )
    if len(words) < 2:
        raise ValueError(f"{path.name}: expected at least 2 words, got {len(words)}")
    if known := sorted({"<end>", *GLUE} & people.keys()):
        raise ValueError(f"{path.name}: expected no ratings of {known}, got some")
    if alike := [word for word in words if not people[word].any()]:
        raise ValueError(
            f"{path.name}: expected a rating other than 0 of each word, got none of "
            f"{alike}"
        )
    vocabulary = ("<end>", *GLUE, *words)
    prompts = [
        [vocabulary.index(word) for word in (wish, "the", subject, "was")]
        for wish in ("praise:", "complaint:")
        for subject in SUBJECTS
    ]
    unrated = np.zeros(len(people[words[0]]))
    return World(
        vocabulary,
        prompts=np.array(prompts, np.int32),
        signs=np.repeat([1, -1], len(SUBJECTS)),
        ratings=np.array([people.get(word, unrated) for word in vocabulary]),
        completion_length=completion_length,
    )


def read_word_ratings(path: Path = WORD_RATINGS) -> dict[str, Float[np.ndarray, "R"]]:
    """Return each word's ten raw ratings, by Hutto & Gilbert's raters (2014).

    A file of your own may have another number of raters, the same for every word.
    Raises ValueError, naming file and line, where the first line is no header, another
    is not a word and as many whole numbers from -4 to 4, or a word comes twice.
    """
    people: dict[str, Float[np.ndarray, "R"]] = {}
    raters = 0
    rows = csv.reader(line for _, line in read_lines(path))
    for row in _rows(path, rows):
        where, got = f"{path.name}, line {rows.line_num}: expected", ",".join(row)[:60]
        if rows.line_num == 1:
            if row[:1] != ["word"]:
                raise ValueError(f"{where} a header, word,..., got {got!r}")
            continue
        try:
            word, *numbers = row
            ratings = np.array([int(x) for x in numbers], np.float64)
        except (ValueError, OverflowError):
            word, ratings = "", np.zeros(0)
        one_word = word.split() == [word] and word.isprintable()
        as_many = len(ratings) == (raters or len(ratings)) > 0
        if not one_word or not as_many or np.abs(ratings).max() > 4:
            wanted = f"{raters or ''} whole number{'s' * (raters != 1)}".lstrip()
            raise ValueError(f"{where} a word and {wanted} from -4 to 4, got {got!r}")
        raters = len(ratings)
        if word in people:
            raise ValueError(f"{where} each word once, got {word!r} again")
        people[word] = ratings
    if not people:
        raise ValueError(f"{path.name}: expected at least one word, got none")
    return people


def _rows(path: Path, rows: Any) -> Iterator[list[str]]:
    """Yield the rows of a reader of CSV; raise ValueError where one cannot be read."""
    try:
        yield from rows
    except csv.Error as error:
        got = f"got one with {error}"
        where = f"{path.name}, line {rows.line_num}: expected a row of CSV"
        raise ValueError(f"{where}, {got}") from None


def language(world: World) -> Float[np.ndarray, "V V"]:
    """P(next word | word) of the world's language at large, a Markov chain.

    Any subject, any opinion, any length: "the film was good and weird and the date was
    bad ...". A text starts from the row of `END`. Half of the texts begin like a
    prompt, but their words do not depend on it. Four opinions in five are followed by
    more.
    """
    praise, complaint, the, was, and_ = world.encode("praise: complaint: the was and")
    subjects, opinions = world.encode(" ".join(SUBJECTS)), world.rated
    chain = np.zeros((len(world.vocabulary), len(world.vocabulary)))
    chain[END, [praise, complaint, the]] = 0.25, 0.25, 0.5
    chain[[praise, complaint], the] = 1.0
    chain[the, subjects] = 1.0 / len(subjects)
    chain[subjects, was] = 1.0
    chain[was, opinions] = word_frequencies(world)
    chain[opinions, END], chain[opinions, and_] = 0.2, 0.8
    chain[and_, opinions], chain[and_, the] = 0.7 * word_frequencies(world), 0.3
    return chain


def word_frequencies(world: World) -> Float[np.ndarray, "n"]:
    """Relative frequency of each rated word, in proportion to 1 / (rank + 2.7).

    Source: the Zipf-Mandelbrot law, Mandelbrot (1953), with his constant for English.
    """
    weights = 1.0 / (1 + np.arange(len(world.rated)) + 2.7)
    return weights / weights.sum()


def babble(
    rng: np.random.Generator, world: World, count: int, length: int
) -> Int[np.ndarray, "count length"]:
    """Return random texts of the language, cut off at `length`, padded with `END`."""
    cumulative = np.cumsum(language(world), axis=1)
    texts = np.full((count, length), END)
    tokens = np.full(count, END)
    running = np.full(count, True)
    for position in range(length):
        uniforms = rng.random((count, 1))
        tokens = (uniforms > cumulative[tokens]).sum(1)
        texts[running, position] = tokens[running]
        running &= tokens != END
    return texts


def babble_entropy(world: World, length: int) -> float:
    """Entropy of the next word in nats, a mean over the words of `babble`.

        H = E[ - sum_w p(w | w') log p(w | w') ],    w' the word before

    No model of the language can have a lower cross-entropy than this.
    Source: Shannon (1948), section 7, on the entropy of a Markov source.
    """
    chain = language(world)
    entropies = -np.sum(chain * np.log(np.where(chain > 0, chain, 1.0)), axis=1)
    before, total, words = np.zeros(len(chain)), 0.0, 0.0
    before[END] = 1.0  # the distribution of the word before, while the text goes on
    for _ in range(length):
        total, words = total + before @ entropies, words + before.sum()
        before = before @ chain
        before[END] = 0.0
    return total / words
