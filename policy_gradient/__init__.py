"""Policy gradients on finite MDPs: learn the policy itself, by gradient ascent on J.

Values had to be invented; what we wanted all along was a policy that earns a lot. So
give it parameters theta, sample what it does, and make likelier what did better than
expected. J(theta) and its gradient are also known exactly here, by a linear solve, and
every sampled quantity is held against them.

Read in this order:

    trajectory.py   what a policy did and what came of it: one record for all algorithms
    policies.py     the softmax of preferences: in a table, linear, by a network
    rollout.py      acting in an MDP, in jax
    exact.py        J(theta) and its gradient, through the linear solve and by theorem
    advantages.py   returns, TD errors, GAE
    baselines.py    what was to be expected, whatever the action
    objectives.py   score function, surrogates, value loss, entropy, KL
    reinforce.py    REINFORCE with a baseline
    actor_critic.py the critic says what is still to come: A2C, n steps, TD(lambda)
    ppo.py          PPO on these worlds
    improvement.py  PPO's step on any batch: the one that RLHF uses too
    diagnostics.py  what to look at while it learns
    training.py     the loop; configs.py, compilation.py: borders and caches

Words in the code, symbols in the docstrings (those of `mdp`, and):

    log pi(a|s)     log_probs       log-probability of the action taken
    A_t             advantages      how much better than expected
    delta_t         td_errors       R_{t+1} + gamma v(S_{t+1}) - v(S_t)
    lambda          trace_decay     of GAE
    eps             clip            how far a ratio may earn
    alpha           step_size       of the optimiser

Source: Sutton & Barto (2018), chapter 13; Schulman et al. (2015, 2016, 2017).
"""
