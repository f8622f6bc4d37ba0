"""Human feedback: six kinds of answers, simulated annotators, and their meaning.

Read in this order:

    kinds.py          six kinds of answers, as arrays
    critiques.py      the word that a sentence criticises
    annotators.py     they answer by real ratings; known problems are settings
    accuracy.py       the best possible prediction of what a person will prefer
    likelihoods.py    the probability of an answer, given the reward
    crowd.py          annotators who err, lie and differ, learned with the reward
    linear_reward.py  a weight for each word: the exact answer beside gradient descent
    ensemble.py       several reward models, and where they disagree
    lessons.py        the cost of each kind of feedback, and what it teaches
    elicitation.py    the question to ask next
    records.py        an answer as a line of JSON
    record_files.py   files of answers, and a journal that is never torn
"""

from lm_bandit.feedback.accuracy import bayes_accuracy
from lm_bandit.feedback.annotators import People, hire
from lm_bandit.feedback.kinds import Corrections, Critiques, Labels, Rankings, Scores
from lm_bandit.feedback.record_files import (
    Journal,
    load_answers,
    read_records,
    save_answers,
)

__all__ = [
    "Corrections",
    "Critiques",
    "Journal",
    "Labels",
    "People",
    "Rankings",
    "Scores",
    "bayes_accuracy",
    "hire",
    "load_answers",
    "read_records",
    "save_answers",
]
