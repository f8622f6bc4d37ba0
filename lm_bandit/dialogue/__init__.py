"""The episode comes back: a dialogue of two turns, small enough to enumerate.

The bandit of this floor ends with the first answer. In a dialogue the first answer
decides which prompt comes next, so that an answer has consequences, and a dialogue is
an episode again.

Read in this order:

    talk.py         a dialogue as an MDP, its exact value, and its optimum
    learning.py     PPO over both turns, and PPO that takes each turn as a bandit
    turn_groups.py  the exact mean and variance of the update by groups of dialogues

    from lm_bandit.dialogue import learning, talk

    late = talk.train_talk()
    policies = learning.learn_to_talk(jax.random.split(jax.random.key(0), 4), late)
    talk.talk_objective(late, policies)  # [seeds, updates], exactly
"""
