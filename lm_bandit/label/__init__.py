"""You are the annotator: compare completions, and see a model tuned to your taste.

    python -m lm_bandit label

Read in this order:

    taste.py      the weights of the words in your reward, inferred from your answers
    session.py    questions and answers, saved one by one
    keyboard.py   your commands: keys at a terminal, or lines from a pipe
"""

from lm_bandit.label.keyboard import typed_commands
from lm_bandit.label.session import Session, hold_session
from lm_bandit.label.taste import (
    MIN_ANSWERS,
    infer_taste,
    sample_annotators,
    session_summary,
)

__all__ = [
    "MIN_ANSWERS",
    "Session",
    "hold_session",
    "infer_taste",
    "sample_annotators",
    "session_summary",
    "typed_commands",
]
