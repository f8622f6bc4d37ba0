"""What does this loss maximise? Losses of RLHF, examined exactly on a tiny bandit.

    python -m lm_bandit examine grpo

Read in this order:

    tiny.py       a bandit so small that its groups of completions are enumerated
    expected.py   the expected update of a loss, and what it is the gradient of
    known.py      losses as libraries write them, and what each climbs
    own_loss.py   a loss of your own, in jax, torch or numpy
    plots.py      the update as arrows on the triangle of all policies
    command.py    the verdict in a sentence, and the command
"""
