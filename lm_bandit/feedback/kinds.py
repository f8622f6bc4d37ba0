"""Human feedback as data: six kinds of answers to "how do you like this completion?"

    kind          what a person gives                 what it says of the reward
    comparison    the better of two, or a tie         r(x, chosen) > r(x, rejected)
    ranking       K completions in order              the order of K rewards
    score         a number from 1 to 10               r(x, y), on the person's own scale
    label         okay, or not                        is r(x, y) above a threshold?
    correction    the completion, edited              r(x, edited) > r(x, original)
    critique      a sentence: "'awful' should go"     which word lowers r(x, y)

Arrays, one row per answer. A prompt or a completion is a row of tokens; what follows a
completion's first end-of-text token is padding. `annotators` are numbers that say who
answered, and None where nobody knows. An edited completion is a demonstration as well:
`sft.as_demonstrations(prompts, edited)`. `preferences.py` has what each kind means for
a reward model; `records.py` reads and writes them as text.

Source: comparisons, Christiano et al. (2017), Stiennon et al. (2020), section 3.3;
rankings, Ouyang et al. (2022), section 3.5; labels, Ethayarajh et al. (2024); all kinds
and what is wrong with each, Casper et al. (2023), section 3.1.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int


class Comparisons(NamedTuple):
    """For each prompt, the completion that an annotator preferred and the other one."""

    prompts: Int[np.ndarray, "n P"]
    chosen: Int[np.ndarray, "n C"]
    rejected: Int[np.ndarray, "n C"]
    tied: Bool[np.ndarray, "n"] | None = None  # neither was preferred
    annotators: Int[np.ndarray, "n"] | None = None


class Rankings(NamedTuple):
    """K completions of each prompt in an annotator's strict order."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n K C"]  # best first
    annotators: Int[np.ndarray, "n"] | None = None


class Scores(NamedTuple):
    """A whole number for a completion, on the annotator's own scale."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n C"]
    scores: Int[np.ndarray, "n"]  # 1 (worst) to 10 (best)
    annotators: Int[np.ndarray, "n"] | None = None


class Labels(NamedTuple):
    """Okay or harmful: one bit for a completion."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n C"]
    okay: Bool[np.ndarray, "n"]
    annotators: Int[np.ndarray, "n"] | None = None


class Corrections(NamedTuple):
    """What an annotator made of a completion; the same where she changed nothing."""

    prompts: Int[np.ndarray, "n P"]
    originals: Int[np.ndarray, "n C"]
    edited: Int[np.ndarray, "n C"]
    annotators: Int[np.ndarray, "n"] | None = None


class Critiques(NamedTuple):
    """A sentence about a completion; `critiques.py` reads them."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n C"]
    texts: tuple[str, ...]
    annotators: Int[np.ndarray, "n"] | None = None


class ParsedCritiques(NamedTuple):
    """What a critique was understood to say: a label, an edit, and edits not made."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n C"]
    edited: Int[np.ndarray, "n C"]  # without the word that was named, if one was
    passed_over: Int[np.ndarray, "n J C"]  # without each word that was not named
    possible: Bool[np.ndarray, "n J"]  # the others of these rows are padding
    okay: Bool[np.ndarray, "n"]  # nothing was named
    annotators: Int[np.ndarray, "n"] | None = None


Answers = Comparisons | Rankings | Scores | Labels | Corrections | ParsedCritiques


def shown_completions(answers: Answers) -> Int[Array, "n K C"]:
    """The completions that an answer is about, the preferred one first."""
    match answers:
        case Comparisons():
            sides = (answers.chosen, answers.rejected)
        case Corrections():
            sides = (answers.edited, answers.originals)
        case ParsedCritiques():
            sides = (
                answers.edited,
                answers.completions,
                *jnp.swapaxes(answers.passed_over, 0, 1),
            )
        case Rankings():
            return jnp.asarray(answers.completions)
        case Scores() | Labels():
            sides = (answers.completions,)
    return jnp.stack(sides, axis=1)
