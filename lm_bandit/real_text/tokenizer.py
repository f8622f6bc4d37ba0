"""Byte-pair encoding: the words of a language, found by counting.

    tokens = the 256 bytes; then again and again, the most frequent pair becomes a token

Common words end up as one token, rare ones as several, and nothing is unknown: any text
is a string of bytes. Token 0 ends a text. The `tokenizers` package does the counting;
its file, `tokenizer.json` beside the checkpoints, is the one that Hugging Face reads.

Source: Gage (1994); Sennrich et al. (2016); Radford et al. (2019), section 2.2, for
bytes.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from lm_bandit.world import END

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_TEXT = "<end>"
FILE = "tokenizer.json"


def train(texts: Iterable[str], vocabulary_size: int) -> "Tokenizer":
    """A tokenizer of so many tokens; raises ValueError where the texts have too few."""
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ModuleNotFoundError:
        raise ValueError(
            "real text needs the package tokenizers, got none: "
            "pip install 'bellman-to-rlhf[text]'"
        ) from None
    tokenizer = Tokenizer(models.BPE())
    # A space before the first word too, so that it is the same token anywhere.
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


def encode(tokenizer: "Tokenizer", text: str) -> Int[np.ndarray, "_"]:
    """The tokens of a text; its end is not among them."""
    found = tokenizer.encode(text, add_special_tokens=False)
    return np.array([token for token in found.ids if token != END], np.int32)


def encode_all(
    tokenizer: "Tokenizer", texts: Iterable[str]
) -> Iterator[Int[np.ndarray, "_"]]:
    """The same of many, a thousand at a time."""
    return chain.from_iterable(
        (np.array([t for t in found.ids if t != END], np.int32) for found in batch)
        for batch in map(tokenizer.encode_batch, _thousands(texts))
    )


def decode(tokenizer: "Tokenizer", tokens: Int[np.ndarray, "n"]) -> str:
    """The text up to its end; an ellipsis where that never came."""
    ends = np.flatnonzero(np.asarray(tokens) == END)
    tokens = tokens[: ends[0]] if len(ends) else tokens
    text = tokenizer.decode([int(token) for token in tokens])
    return text if len(ends) else text + " ..."


def _thousands(texts):
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == 1000:
            yield batch
            batch = []
    if batch:
        yield batch
