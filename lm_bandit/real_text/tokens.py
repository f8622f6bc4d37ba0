"""Texts as arrays of tokens, found by byte-pair encoding; rows of one length.

    tokens = the 256 bytes; then, repeatedly, the most frequent pair becomes a token

Common words become one token, rare ones several, and nothing is unknown: any text is a
string of bytes. Token 0 ends a text. The `tokenizers` package does the counting; its
file, `tokenizer.json` beside the checkpoints, is the one that Hugging Face reads.

    [ P tokens of prompt | the completion, its end, padding ]

All prompts have the same number of tokens. The first P tokens of a sentence are its
prompt, and the rest of the sentence is the completion. A longer prompt of your own
keeps its last P tokens; a shorter one stands at the right, after end-of-text tokens:
the text before it is over.

Source: Gage (1994); Sennrich et al. (2016), section 3.2, for byte-pair encoding of
words; Radford et al. (2019), section 2.2, for bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int

from lm_bandit.world import END
from mdp.interface.files import open_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_TEXT = "<end>"
TOKENIZER_FILE = "tokenizer.json"
BATCH = 1000  # texts that are encoded together
MISSING = (
    "real text needs the package tokenizers, got none: "
    "pip install 'bellman-to-rlhf[text]'"
)

Tokens = Int[np.ndarray, "_"]


class TextPieces(NamedTuple):
    """The tokens of a run on real text, as `World` has the words of a world."""

    tokenizer: "Tokenizer"
    prompt_length: int  # tokens; more are cut, and fewer get end-of-text tokens before
    completion_length: int  # tokens, the end of text among them

    def encode(self, prompt: str) -> Int[np.ndarray, "P"]:
        """Return the tokens of a prompt, see `prompt_row`."""
        return prompt_row(self._tokens(prompt), self.prompt_length)

    def decode(self, tokens: Tokens) -> str:
        """Return the text up to its end; "..." marks a text that was cut off."""
        return decode_tokens(self.tokenizer, tokens).strip()

    def read_part(self, prompt: str) -> str:
        """Return the prompt, or "... " and its last tokens where it is too long."""
        tokens = self._tokens(prompt)
        if len(tokens) <= self.prompt_length:
            return prompt
        kept = self.tokenizer.decode(tokens[-self.prompt_length :].tolist())
        return f"... {kept.strip()}"

    def _tokens(self, text: str) -> Tokens:
        """Return the tokens of a text, its white space as in a corpus."""
        return next(encode_texts(self.tokenizer, [" ".join(text.split())]))


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> "Tokenizer":
    """Return a byte-pair tokenizer with `vocabulary_size` tokens.

    Raises ValueError if the texts do not have so many different pairs, or if the
    package `tokenizers` is missing.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ModuleNotFoundError:
        raise ValueError(MISSING) from None
    tokenizer = Tokenizer(models.BPE())
    # A space before the first word too, so that a word is the same token anywhere.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != vocabulary_size:
        raise ValueError(
            f"--vocabulary-size must be at most {tokenizer.get_vocab_size()} for these "
            f"texts, got {vocabulary_size}"
        )
    return tokenizer


def load_tokenizer(path: Path) -> "Tokenizer":
    """Return the tokenizer of a run; raise ValueError where the file holds none."""
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise ValueError(MISSING) from None
    with open_file(path) as file:
        content = file.read()
    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
        token = tokenizer.token_to_id(END_TEXT)
    except Exception as error:  # the package raises nothing narrower
        raise ValueError(f"{path}: expected a tokenizer, got {error}") from None
    if token != END:
        raise ValueError(f"{path}: expected {END_TEXT} as token {END}, got {token}")
    return tokenizer


def encode_texts(tokenizer: "Tokenizer", texts: Sequence[str]) -> Iterator[Tokens]:
    """Yield the tokens of each text, without its end."""
    for start in range(0, len(texts), BATCH):
        # A text that spells "<end>" must not end there.
        for encoded in tokenizer.encode_batch(list(texts[start : start + BATCH])):
            yield np.array([token for token in encoded.ids if token != END], np.int32)


def decode_tokens(tokenizer: "Tokenizer", tokens: Tokens) -> str:
    """Return the text up to its end, or all of it and "..." if it has no end."""
    ends = np.flatnonzero(tokens == END)
    text = tokenizer.decode(tokens[: ends[0] if len(ends) else None].tolist())
    return text if len(ends) else text + " ..."


def prompt_row(tokens: Tokens, length: int) -> Int[np.ndarray, "P"]:
    """The last tokens of a prompt, after end-of-text tokens if it is short."""
    padding = np.full(max(length - len(tokens), 0), END, np.int32)
    return np.concatenate([padding, tokens[-length:]])


def completion_row(tokens: Tokens, length: int) -> Int[np.ndarray, "C"]:
    """A text, its end and padding; or the beginning of a text that is too long."""
    row = np.full(length, END, np.int32)
    row[: len(tokens)] = tokens[:length]
    return row


def text_rows(texts: Sequence[Tokens], length: int) -> Int[np.ndarray, "n T"]:
    """Whole texts as rows, see `completion_row`."""
    rows = [completion_row(tokens, length) for tokens in texts]
    return np.array(rows, np.int32).reshape(-1, length)


def split_sentences(
    texts: Sequence[Tokens], prompt_length: int, length: int
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n P"], Int[np.ndarray, "n C"]]:
    """Return the texts that fit, by number, their prompts and their completions.

    A text fits if it is longer than a prompt, and its rest with an end is at most
    `length` tokens.
    """
    longest = prompt_length + length - 1  # the end takes a place
    fit = [i for i, x in enumerate(texts) if prompt_length < len(x) <= longest]
    rows = text_rows([texts[i] for i in fit], prompt_length + length)
    return np.array(fit, int), rows[:, :prompt_length], rows[:, prompt_length:]


def split_held_out(
    rng: np.random.Generator, texts: Sequence[str], share: float
) -> tuple[Int[np.ndarray, "a"], Int[np.ndarray, "b"]]:
    """Return the numbers of the texts to learn from, and of those that are held out.

    Equal texts are on the same side. About `share` of the different texts are held out.
    """
    names = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    out = rng.random(len(names)) < share
    held_out = np.array([out[names[text]] for text in texts], bool)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
