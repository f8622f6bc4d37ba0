"""You are the annotator: two completions are shown, and you say which is better.

A person gives tens of answers, where a transformer needs thousands: from 40 of them it
learns next to nothing of a taste (a rank correlation of .1 to .2), and the linear
reward of `linear_reward.py`, a worth for each word, most of it (.8 to .9). So

    1. each question is the one that would tell most about the worths (D-optimal,
       `elicitation.py`), given your answers so far;
    2. what you answered is believed: worths ~ N(mean, covariance);
    3. a hundred stand-ins, each with worths drawn from that belief, answer as many
       comparisons as the transformer's reward model needs. Where your answers leave
       your taste open, they disagree.

An answer is in its file before the next question is shown, and a session can be stopped
and gone on with at any moment.

Source: MacKay (1992) for the belief; Thompson (1933) for deciding by a draw from it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lm_bandit.feedback import elicitation, lessons, linear_reward, record_files
from lm_bandit.feedback.accuracy import answer_probabilities
from lm_bandit.feedback.annotators import People
from lm_bandit.feedback.kinds import Comparisons
from lm_bandit.feedback.linear_reward import Posterior
from lm_bandit.feedback.record_files import Journal
from lm_bandit.feedback.records import ComparisonRecord
from lm_bandit.world import END, World

POOL = 1000  # questions that may be asked
MIN_ANSWERS = 8  # answers to learn a taste from
WORDS = ("a", "b", "tie", "skip", "undo", "quit")
SHORT = {
    "1": "a",
    "2": "b",
    "t": "tie",
    "=": "tie",
    "s": "skip",
    "u": "undo",
    "q": "quit",
}


class Question(NamedTuple):
    """A prompt, and the completions that are shown as A and as B."""

    prompt: str
    a: str
    b: str


class CrowdAgreement(NamedTuple):
    """Answers that are not ties, beside what the crowd of raters would have said."""

    answers: int
    agreed: int  # with what most of the crowd prefer
    of_one: float  # how often one of the crowd agrees with most of them, on these


class Session:
    """Answers in a file, and what to ask next.

    Raises ValueError where the file holds anything but comparisons of completions in
    the words of the world.
    """

    def __init__(self, path: Path, world: World, seed: int = 0):
        self.world, self.journal = world, Journal(path)
        which, shown = lessons.questions(np.random.default_rng(seed), world, POOL, 2)
        prompts = world.prompts[which]
        features = word_differences(world, prompts, shown[:, 0], shown[:, 1])
        self.pool = {  # and what each would tell of the words
            Question(_text(world, prompt), *map(world.decode, pair)): told
            for prompt, pair, told in zip(prompts, shown, features, strict=True)
            if told.any()
        }
        self.skipped: list[Question] = []
        self.sitting: list[str] = []  # what was done since the start
        self.answers()

    def answers(self) -> Comparisons:
        """All answers of the file, in tokens."""
        if not self.journal.records:
            none = np.zeros((0, self.world.completion_length), int)
            return Comparisons(self.world.prompts[:0], none, none)
        return read_answers(self.journal.path, self.world)

    def next(self) -> Question | None:
        """What would tell most of the questions left, if any are.

        That is the one which makes det Sigma smallest, as in `elicitation.by_design`.
        """
        done = {frozenset(answer[:3]) for answer in self.journal.records}
        done |= {frozenset(question) for question in self.skipped}
        left = [question for question in self.pool if frozenset(question) not in done]
        if not left:
            return None
        features = np.stack([self.pool[question] for question in left])
        belief = infer_taste(self.world, self.answers())
        return left[elicitation.most_informative(belief, features)]

    def act(self, question: Question, meant: str) -> bool:
        """Answer (a, b or tie), skip or undo; False where nothing is left to undo."""
        prompt, a, b = question
        match meant:
            case "a" | "tie":
                self.journal.append(ComparisonRecord(prompt, a, b, tied=meant == "tie"))
            case "b":
                self.journal.append(ComparisonRecord(prompt, b, a))
            case "skip":
                self.skipped.append(question)
            case "undo" if self.sitting and self.sitting[-1] == "skip":
                self.skipped.pop()
            case "undo" if self.journal.records:
                self.journal.undo()
            case _:
                return False
        if meant != "undo":
            self.sitting.append(meant)
        elif self.sitting:
            self.sitting.pop()
        return True


def hold_session(
    session: Session, words: Iterator[str], show: Callable[[str], None]
) -> None:
    """Ask until there is nothing to ask, the words end, or one of them is quit.

    Args:
        session: what to ask, and where the answers go.
        words: what the annotator says, about the question shown last.
        show: called with each question and each remark.
    """
    while question := session.next():
        count = len(session.journal.records)
        show(f"\n{question.prompt}\n  A  {question.a}\n  B  {question.b}")
        show(f"{count} answered.  a  b  (t)ie  (s)kip  (u)ndo  (q)uit")
        said = next(words, "quit").strip().lower()
        meant = SHORT.get(said, said)
        if meant == "quit":
            return
        if meant not in WORDS:
            show(f"Expected {', '.join(WORDS[:-1])} or {WORDS[-1]}, got {said!r}.")
        elif not session.act(question, meant):
            show("There is nothing to undo.")
    show("There are no questions left.")


def read_answers(path: Path, world: World) -> Comparisons:
    """A file of comparisons in the words of the world, in tokens."""
    prompts = [_text(world, prompt) for prompt in world.prompts]
    room = world.completion_length - 1

    def prompt(text):
        if text not in prompts:
            raise ValueError(f"field prompt: expected one of {prompts}, got {text!r}")
        return world.encode(text)

    def completion(text):
        tokens = world.encode(text)
        if len(tokens) > room or END in tokens:
            raise ValueError(f"expected a text of at most {room} words, got {text!r}")
        return np.pad(tokens, (0, room + 1 - len(tokens)), constant_values=END)

    found = record_files.load_answers(path, prompt, completion)
    if not isinstance(found, Comparisons):
        kind = type(found).__name__.lower()
        raise ValueError(f"{path}: expected comparisons, got {kind}")
    return found


def infer_taste(world: World, given: Comparisons) -> Posterior:
    """What the answers say of the worth of each rated word."""
    told = word_differences(world, given.prompts, given.chosen, given.rejected)
    tied = np.zeros(len(told), bool) if given.tied is None else given.tied
    # A tie is half a win for each side.
    both = np.concatenate([told, -told[tied]])
    weights = np.where(np.concatenate([tied, tied[tied]]), 0.5, 1.0)
    return linear_reward.fit_weights(both, weights=weights)


def sample_annotators(
    rng: np.random.Generator, world: World, belief: Posterior, count: int = 100
) -> People:
    """People with worths drawn from the belief, who answer with its logistic noise."""
    tastes = np.zeros((count, len(world.vocabulary)))
    tastes[:, world.rated] = rng.multivariate_normal(*belief, size=count)
    return People(tastes, temperature=1.0)


def crowd_agreement(world: World, given: Comparisons) -> CrowdAgreement:
    """How the answers sit with the crowd's; where half would say so, nothing counts."""
    p = answer_probabilities(world, given)
    counted = np.abs(p - 0.5) > 1e-9
    if given.tied is not None:
        counted &= ~given.tied
    p = p[counted]
    of_one = float(np.maximum(p, 1.0 - p).mean()) if len(p) else float("nan")
    return CrowdAgreement(len(p), int((p > 0.5).sum()), of_one)


def session_summary(world: World, given: Comparisons, path: Path) -> str:
    """What an annotator hears at the end."""
    count = len(given.prompts)
    lines = [f"\n{count} answers in {path}."]
    if count:
        total, agreed, of_one = crowd_agreement(world, given)
        if total:
            lines.append(
                f"You agree with most of the raters in {agreed} of {total} answers "
                f"(without ties and even pairs); one of them would in {of_one:.0%}."
            )
        worths = infer_taste(world, given).mean
        order = [world.vocabulary[world.rated[i]] for i in np.argsort(-worths)]
        lines.append(f"You seem to like {', '.join(order[:3])} most,")
        lines.append(f"and {', '.join(order[:-4:-1])} least.")
    if count < MIN_ANSWERS:
        lines.append(f"{MIN_ANSWERS} are the fewest to learn from: come back for more.")
    return "\n".join(lines)


def word_differences(
    world: World,
    prompts: Int[np.ndarray, "n P"],
    first: Int[np.ndarray, "n C"],
    second: Int[np.ndarray, "n C"],
) -> Float[np.ndarray, "n D"]:
    """phi(x, first) - phi(x, second) of `linear_reward.py`, without compiling."""
    signs = np.array([world.signs[(world.prompts == x).all(1)][0] for x in prompts])
    used = []
    for side in (first, second):
        written = np.cumsum(side == END, axis=1) == 0
        words = (side[..., None] == world.rated) & written[..., None]
        used.append(words.any(1).astype(float))
    return signs.reshape(-1, 1) * (used[0] - used[1])


def _text(world, tokens):
    return " ".join(world.vocabulary[token] for token in tokens)
