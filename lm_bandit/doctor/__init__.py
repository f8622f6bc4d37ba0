"""The doctor: read the history of a finished run, and name the fault that it shows.

    python -m lm_bandit doctor runs/pocket-0

Read in this order:

    rules.py      one function for each fault: what it looks at, and what it says
    examine.py    the folder of a run, and the command
"""

from lm_bandit.doctor.rules import RULES, Finding, diagnose

__all__ = ["RULES", "Finding", "diagnose"]
