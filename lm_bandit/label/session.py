"""A session: two completions are shown, and you say which one is better.

Each question is the most informative one about your taste, given your answers so far:
it makes the covariance of the weights smallest (D-optimal, `elicitation.py`). An answer
is in its file before the next question is shown, so you can stop a session and continue
it at any time.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from lm_bandit.feedback import elicitation, lessons, linear_reward, record_files
from lm_bandit.feedback.record_files import Journal
from lm_bandit.feedback.records import ComparisonRecord
from lm_bandit.label.taste import infer_taste
from lm_bandit.reward_model import Comparisons
from lm_bandit.world import END, World

COMMANDS = ("a", "b", "tie", "skip", "undo", "quit")
# The first letter of a command is its shortcut.
SHORTCUTS = {"1": "a", "2": "b", "=": "tie"} | {word[0]: word for word in COMMANDS}
INTRODUCTION = (
    "A prompt has two answers, A and B. A praise prompt asks for praise, a complaint "
    "prompt for complaint. Choose the answer that does this better, in your opinion: "
    "it is your taste that is learned, so no choice is wrong."
)


class Question(NamedTuple):
    """A prompt, and the completions that are shown as A and as B."""

    prompt: str
    a: str
    b: str


class Session:
    """Answers in a file, and the next question.

    Raises ValueError where the file holds anything but comparisons of completions in
    the words of the world, or is in use by another session.
    """

    def __init__(self, path: Path, world: World, seed: int = 0):
        self.world, self.journal = world, Journal(path)
        rng = np.random.default_rng(seed)
        which, shown = lessons.questions(rng, world, elicitation.POOL_SIZE, 2)
        prompts = world.prompts[which]
        first = linear_reward.features(world, prompts, shown[:, 0])
        differences = first - linear_reward.features(world, prompts, shown[:, 1])
        self.pool = {
            Question(_text(world, prompt), *map(world.decode, pair)): difference
            for prompt, pair, difference in zip(
                prompts, shown, differences, strict=True
            )
            if difference.any()
        }
        self.skipped: list[Question] = []
        self.done: list[str] = []  # commands since the start, without undone ones
        self.answers()

    def answers(self) -> Comparisons:
        """Return all answers of the file, in tokens."""
        if not self.journal.records:
            none = np.zeros((0, self.world.completion_length), int)
            return Comparisons(self.world.prompts[:0], none, none)
        return read_answers(self.journal.path, self.world)

    def next(self) -> Question | None:
        """Return the most informative question left, or None.

        It is the one that makes det Sigma smallest, as in `elicitation.by_design`.
        """
        done = {frozenset(answer[:3]) for answer in self.journal.records}
        done |= {frozenset(question) for question in self.skipped}
        left = [question for question in self.pool if frozenset(question) not in done]
        if not left:
            return None
        differences = np.stack([self.pool[question] for question in left])
        posterior = infer_taste(self.world, self.answers())
        return left[elicitation.most_informative(posterior, differences)]

    def act(self, question: Question, command: str) -> bool:
        """Answer (a, b or tie), skip or undo; return False if nothing can be undone.

        Undo takes back what was done in this session, and no earlier answer.
        """
        prompt, a, b = question
        match command:
            case "a" | "tie":
                tied = command == "tie"
                self.journal.append(ComparisonRecord(prompt, a, b, tied))
            case "b":
                self.journal.append(ComparisonRecord(prompt, b, a))
            case "skip":
                self.skipped.append(question)
            case "undo" if self.done and self.done[-1] == "skip":
                self.skipped.pop()
            case "undo" if self.done:
                self.journal.undo()
            case _:
                return False
        if command == "undo":
            self.done.pop()
        else:
            self.done.append(command)
        return True


def hold_session(
    session: Session, typed: Iterator[str], show: Callable[[str], None]
) -> None:
    """Ask until no question is left, the commands end, or one of them is quit.

    Args:
        session: chooses the questions and keeps the answers.
        typed: the annotator's commands, each about the question shown last.
        show: called with each question and each message.
    """
    show(INTRODUCTION)
    while question := session.next():
        count = len(session.journal.records)
        show(f"\n{question.prompt}\n  A  {question.a}\n  B  {question.b}")
        show(f"{count} answered.  a  b  (t)ie  (s)kip  (u)ndo  (q)uit")
        word = next(typed, "quit").strip().lower()
        command = SHORTCUTS.get(word, word)
        if command == "quit":
            return
        if command not in COMMANDS:
            expected = f"{', '.join(COMMANDS[:-1])} or {COMMANDS[-1]}"
            show(f"Expected {expected}, got {word!r}.")
        elif not session.act(question, command):
            show("There is nothing to undo.")
    show("There are no questions left.")


def read_answers(path: Path, world: World) -> Comparisons:
    """Return a file of comparisons in the words of the world, in tokens."""
    prompts = [_text(world, prompt) for prompt in world.prompts]
    longest = world.completion_length - 1  # the last token is the end

    def encode_prompt(text: str) -> Int[np.ndarray, "P"]:
        if text not in prompts:
            raise ValueError(f"field prompt: expected one of {prompts}, got {text!r}")
        return world.encode(text)

    def encode_completion(text: str) -> Int[np.ndarray, "C"]:
        tokens = world.encode(text)
        if len(tokens) > longest or END in tokens:
            expected = f"expected a text of at most {longest} words"
            raise ValueError(f"{expected}, got {text!r}")
        return np.pad(tokens, (0, longest + 1 - len(tokens)), constant_values=END)

    answers = record_files.load_answers(path, encode_prompt, encode_completion)
    if not isinstance(answers, Comparisons):
        kind = type(answers).__name__.lower()
        raise ValueError(f"{path}: expected comparisons, got {kind}")
    return answers


def _text(world: World, tokens: Int[np.ndarray, "P"]) -> str:
    return " ".join(world.vocabulary[token] for token in tokens)
