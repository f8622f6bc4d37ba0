"""Rewards that can be verified: sums, whose answers a program checks.

    python -m lm_bandit sums [--scratchpad]

Read in this order:

    config.py      every setting, with its usual values
    world.py       the prompts, such as "3 + 4 =", and texts of which a known share errs
    verifier.py    the reward: 1 for a right answer, 0 for any other text
    pass_at_k.py   the chance that one of k answers is right: exact and sampled
    process.py     the exact gain of every token, as a reward of the process
    train.py       pretraining, SFT and six methods; the exact result of each
    plots.py       the picture of a run
    command.py     the command

A wrong text, and one that does not end, earn 0. So J is the accuracy less the price of
the KL, and every completion is enumerated as on the pocket world.

Source: Lambert et al. (2024), "Tulu 3", section 6, for rewards that can be verified;
Chen et al. (2021) for pass@k; Yue et al. (2025), "Does reinforcement learning really
incentivize reasoning capacity in LLMs beyond the base model?"
"""
