"""Fast solvers and learners, compiled with jax, with the results of the plain ones.

    bounds.py    how far values are from v*, by the change in one more backup
    small.py     solve_small: small MDPs, one or a stack of thousands in one call
    large.py     solve_large: one MDP with very many states
    steps.py     one compiled step of a learner by Sarsa, expected Sarsa or Q-learning
    control.py   learn_many, learn_by_steps: many learners, step by step together
    learners.py  learners as jobs for any executor, each with its exact value

The book explains the algorithms in `mdp/planning.py` and `mdp/control.py`; this package
adds no equation of its own. `import mdp` does not import it: `mdp.solve_small`,
`mdp.stack`, `mdp.solve_large` and `mdp.learn_many` do when they are first used.
"""
