"""The oracle: exact answers, by enumeration of every completion of every prompt.

    trie.py       every completion of every prompt; each prefix is read once
    exact.py      J, KL, the optimum, the frontier and best-of-n, as finite sums
    problem.py    the problem of step 3, spelled out and solved
    streamed.py   the same values for billions of completions, which are not held
    gradient.py   the exact gradient of J
    groups.py     groups of completions: the weight of a prompt; GRPO's fixed point
    prefixes.py   GRPO's fixed point where k3 is charged for each token
    pairs.py      the end of DPO on a finite set of pairs
    text_mdp.py   text generation as a finite MDP, for the solvers of `mdp`
    estimates.py  the same values from samples, for worlds too large to enumerate
    interval.py   an interval for J* there, and for how far a policy has come

    log_probs = trie.policy_log_probs(params, world)
    problem = exact.Problem(log_probs, gold, learned, kl_weight=0.07, penalty=-4.0)
    exact.policy_value(problem, exact.optimum(problem)).objective

No algorithm uses the oracle. It says how far an algorithm got.
"""
