"""What can go wrong with RLHF, seen exactly, in seconds and on many seeds.

    python -m lm_bandit lab [NAME] [--seeds 10] [--out DIR]

Each experiment is a function from seeds to what was found, and a picture of it:

    from lm_bandit import lab

    found = lab.overoptimisation.run(seeds=range(10))
    lab.plots.overoptimisation(found)

Read in this order:

    opinions.py          the bench: a language in a table, so that no policy is trained
    overoptimisation.py  the learned reward climbs, the gold reward rises and falls
    gao.py               the forms that were found for this, fitted
    flaw.py              you get what you ask for: length, a magic word
    bad_annotators.py    malicious, poisoned and mistaken answers, and what repairs them
    overlooked.py        "awful", rated +4 by one of ten: find it
    too_hard.py          annotators who see less the more they have to read
    who_was_asked.py     two groups that disagree, and whom the policy serves
    core_and_prepped.py  the language and diversity, traded for reward
    plots.py             a picture of each;  command.py: the command line

Source: Gao et al. (2022); Casper et al. (2023), section 3; Coste et al. (2023); Chen et
al. (2013).
"""

from lm_bandit.lab import (
    bad_annotators,
    core_and_prepped,
    flaw,
    gao,
    opinions,
    overlooked,
    overoptimisation,
    plots,
    too_hard,
    who_was_asked,
)

__all__ = [
    "bad_annotators",
    "core_and_prepped",
    "flaw",
    "gao",
    "opinions",
    "overlooked",
    "overoptimisation",
    "plots",
    "too_hard",
    "who_was_asked",
]
