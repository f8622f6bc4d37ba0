"""A tiny language model tuned from human feedback: a k-armed bandit over prompts.

The prompt is the state, the completion is the action, and there is no episodic
structure. A transformer is pretrained and fine-tuned (SFT), a reward model learns from
people's comparisons, and PPO makes the transformer write what they prefer. The world is
so small that every completion can be enumerated: the optimum of the KL-regularised
objective is known, and so is how far PPO got.

    python -m lm_bandit

Read in this order:

    text.py          the pocket world: its words, rated by real people, and its prompts
    transformer.py   the language model, for one sequence
    generate.py      sampling completions, and their log-probabilities
    bandit.py        k prompts, one pull = one completion; the gold reward
    sft.py           pretraining, and supervised fine-tuning on demonstrations
    feedback.py      six kinds of human feedback as data;  annotators.py: who gives it
    records.py       answers as JSON Lines;  record_files.py: files of them
    preferences.py   what each kind says of the reward;  critiques.py: what text says
    reward_model.py  a number for a completion, out of answers
    crowd.py         annotators who err, lie and differ, learned with the reward
    linear_reward.py a worth for each word, exactly;  ensemble.py: several rewards
    lessons.py       what each kind teaches;  bayes_accuracy.py: how much can be known
    elicitation.py   which question to ask next
    labelling.py     you are the annotator;  keys.py: what you press
    kto.py           labels, taken straight to the policy
    views.py         a completion as many actions (tokens), or as one
    rewards.py       what a completion earned, beside what was to be expected
    ppo.py           PPO against the reward model;  rlhf_config.py: all its dials
    diagnostics.py   what a run must never do, and what its symptoms mean
    trie.py          every completion of every prompt, each prefix read once
    exact.py         the oracle: J, KL, the optimum, best-of-n and the frontier
    exact_gradient.py  the exact gradient of J;  as_mdp.py: text as a finite MDP
    alternatives.py  GRPO, expert iteration, DPO;  compare.py: all of them beside PPO
    estimates.py     the same from samples, for worlds too large to enumerate
    progress.py      bars in the terminal
    checkpoints.py   a model as a file, with GPT-2's own names;  ask.py: what it says
    pipeline.py      all of it in one run;  report.py, plots.py: what it leaves behind
    lab              what can go wrong, seen exactly: a package of experiments
    real_text/       the same on film reviews that people rated, or on your own texts

Words in the code, symbols in the docstrings (beside those of the floors below):

    x, y             prompt, completion
    pi_ref           reference        the SFT model, frozen
    r(x, y)          scores           of the reward model (learned) or the raters (gold)
    beta             kl_weight        the price of a nat away from the reference
    pi*, Z(x)        optimum          pi_ref exp(r / beta) / Z(x)

Source: Ziegler et al. (2019); Stiennon et al. (2020); Ouyang et al. (2022); Bai et al.
(2022).
"""
