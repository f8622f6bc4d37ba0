"""Alternatives to PPO: other algorithms for the same bandit and the same optimum.

    config.py            the settings of each, and of their comparison
    loop.py              what three of them share: scored pulls, epochs of minibatches
    grpo.py              GRPO: scores compared within the prompt; the KL is in the loss
    expert_iteration.py  pull several completions, keep the best, fine-tune on it
    dpo.py               DPO: no reward in the loss; the policy classifies pairs
    kto.py               KTO: labels of single completions, and no reward model
    own_method.py        a method of your own, as a Python function
    targets.py           where each method is going: its own optimum
    starts.py            the reference and the reward model of each run
    comparison.py        all of them beside PPO: equal budgets, many seeds, exact values
    plots.py             pictures of a comparison
    results.py           the files and the table of a comparison

REINFORCE and RLOO are PPO with other settings, see `comparison.methods`. Best-of-n does
not train at all: `lm_bandit.oracle.exact.best_of_n` gives its policy exactly.

Every algorithm starts at the reference, and those compared see the same learned reward
and pull as many completions. Do they end at pi*? J is stationary where
r - beta log(pi / pi_ref) is the same for all completions, and that is pi*. PPO, RLOO
and REINFORCE follow the gradient of J. Expert iteration ranks completions by this very
number, so at pi* it has nothing to prefer. And pi* minimises DPO's loss. GRPO's fixed
point is another one: `grpo.py` says why.

    from lm_bandit.alternatives import dpo
    snapshots, history = dpo.train(key, fixed, length, DPOConfig())

Source: Williams (1992); Ahmadian et al. (2024); Shao et al. (2024); Anthony et al.
(2017); Dong et al. (2023); Rafailov et al. (2023); Ethayarajh et al. (2024).
"""
