"""Experiments on what can go wrong with RLHF: exact, in seconds, on many seeds.

    python -m lm_bandit lab [NAME] [--seeds 10] [--out DIR]

Each experiment is a function from seeds to a result, and a picture of it:

    from lm_bandit import lab

    result = lab.overoptimisation.optimise_learned_rewards(seeds=range(10))
    lab.plots.draw_overoptimisation(result)

Read in this order:

    experiment.py        the common shape of the experiments; words that all of them use
    tabular.py           a language so small that every policy is a table
    scaling_law.py       the forms that the gold reward follows, fitted
    overoptimisation.py  the learned reward climbs; the gold reward rises, peaks, falls
    flaw.py              a reward that pays for length, or for a magic word
    bad_annotators.py    malicious, poisoned and mistaken answers, and what repairs them
    overlooked.py        "awful" was rated +4 by one of ten: find it
    too_hard.py          annotators who read more words judge with more noise
    who_was_asked.py     two groups that disagree, and whom the policy serves
    core_and_prepped.py  language and diversity, traded for reward
    plots.py             a picture of each
    command.py           the command line

Source: Gao et al. (2022); Casper et al. (2023), section 3; Coste et al. (2023); Chen et
al. (2013).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_bandit.lab import (
        bad_annotators,
        core_and_prepped,
        flaw,
        overlooked,
        overoptimisation,
        plots,
        scaling_law,
        tabular,
        too_hard,
        who_was_asked,
    )

__all__ = [
    "bad_annotators",
    "core_and_prepped",
    "flaw",
    "overlooked",
    "overoptimisation",
    "plots",
    "scaling_law",
    "tabular",
    "too_hard",
    "who_was_asked",
]


def __getattr__(name: str) -> Any:
    """Import a file of the lab when it is first used: jax takes half a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    """Return the exported names."""
    return __all__
