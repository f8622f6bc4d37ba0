"""Human feedback as data: six kinds of answers to "How do you like this completion?"

    kind          answer                              evidence about the reward
    comparison    the better of two, or a tie         r(x, chosen) > r(x, rejected)
    ranking       K completions in order              the order of K rewards
    score         a number from 1 to 10               r(x, y), on the person's own scale
    label         okay, or not okay                   is r(x, y) above a threshold?
    correction    the completion, edited              r(x, edited) > r(x, original)
    critique      a sentence: "'awful' should go"     which word lowers r(x, y)

All are arrays with one row per answer. A prompt or a completion is a row of tokens;
what follows the first end-of-text token of a completion is padding. `annotators` are
the numbers of those who answered, or None if they are not known. An edited completion
is also a demonstration: `sft.as_demonstrations(prompts, edited)`. Comparisons are those
of `reward_model.py`. `likelihoods.py` gives the probability of each kind of answer;
`records.py` reads and writes them as text.

Source: comparisons, Christiano et al. (2017), Stiennon et al. (2020), section 3.3;
rankings, Ouyang et al. (2022), section 3.5; labels, Ethayarajh et al. (2024); all kinds
and their problems, Casper et al. (2023), section 3.1.
Shapes: n answers, P tokens of a prompt, C of a completion, K completions in a ranking.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from lm_bandit.reward_model import Comparisons


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
    """Okay or not okay: one bit for a completion."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n C"]
    okay: Bool[np.ndarray, "n"]
    annotators: Int[np.ndarray, "n"] | None = None


class Corrections(NamedTuple):
    """A completion and its edited version; both are equal if nothing was changed."""

    prompts: Int[np.ndarray, "n P"]
    originals: Int[np.ndarray, "n C"]
    edited: Int[np.ndarray, "n C"]
    annotators: Int[np.ndarray, "n"] | None = None


class Critiques(NamedTuple):
    """A sentence about a completion; `critiques.py` parses it."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n C"]
    texts: tuple[str, ...]
    annotators: Int[np.ndarray, "n"] | None = None


class ParsedCritiques(NamedTuple):
    """The content of critiques: a label, the edit asked for, and all other edits."""

    prompts: Int[np.ndarray, "n P"]
    completions: Int[np.ndarray, "n C"]
    edited: Int[np.ndarray, "n C"]  # without the criticised word, if there is one
    passed_over: Int[np.ndarray, "n J C"]  # without each of the other words
    possible: Bool[np.ndarray, "n J"]  # False where a row of `passed_over` is padding
    okay: Bool[np.ndarray, "n"]  # no word is criticised
    annotators: Int[np.ndarray, "n"] | None = None


Answers = Comparisons | Rankings | Scores | Labels | Corrections | ParsedCritiques


def shown_completions(answers: Answers) -> Int[Array, "n K C"]:
    """Return the completions that each answer is about, the preferred one first."""
    match answers:
        case Comparisons():
            sides = [answers.chosen, answers.rejected]
        case Corrections():
            sides = [answers.edited, answers.originals]
        case ParsedCritiques():
            others = jnp.swapaxes(answers.passed_over, 0, 1)
            sides = [answers.edited, answers.completions, *others]
        case Rankings():
            return jnp.asarray(answers.completions)
        case Scores() | Labels():
            sides = [answers.completions]
    return jnp.stack(sides, axis=1)
