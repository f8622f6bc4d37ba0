"""Comparisons of algorithms: equal budgets, many seeds, and the exact optimum.

Read in this order:

    seeds.py       many runs of one algorithm side by side, with exact evaluation
    own_code.py    algorithms and worlds of your own, from a Python file
    contenders.py  the algorithms and worlds that take part, by name or from your file
    compare.py     train every algorithm in every world, and judge it
    statistics.py  interquartile means and their bootstrap intervals
    summary.py     a comparison in numbers: per world, over all worlds, pair by pair
    results.py     a comparison as files: all runs, and the statistics
    plots.py       a comparison as a picture
    command.py     the command: train, judge, show and write

`python -m policy_gradient compare` is this room's command line.
"""

from policy_gradient.comparison.compare import Comparison, compare, scores
from policy_gradient.comparison.contenders import BUILT_IN, Budget, Contender, Runs
from policy_gradient.comparison.seeds import Trained, train_many
from policy_gradient.comparison.statistics import (
    Estimate,
    interquartile_mean,
    probability_of_improvement,
)
from policy_gradient.comparison.summary import Summary, summarize

__all__ = [
    "BUILT_IN",
    "Budget",
    "Comparison",
    "Contender",
    "Estimate",
    "Runs",
    "Summary",
    "Trained",
    "compare",
    "interquartile_mean",
    "probability_of_improvement",
    "scores",
    "summarize",
    "train_many",
]
