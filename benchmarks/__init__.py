"""Side by side with the peers: the same task, the same machine, the same minute.

    python -m benchmarks mdp --json mdp.json
    python -m benchmarks policy_gradient --json policy_gradient.json
    python -m benchmarks lm_bandit --json lm_bandit.json

    race.py              rounds in turn, every contestant in a process of its own
    exams.py             what was learned, judged exactly, over several seeds
    mdp.py               solving finite MDPs and learning from samples
    peers.py             the four libraries that it is compared with
    policy_gradient.py   acting in finite MDPs, and learning a policy
    marks.py             what PPO has learned
    ppo_peers.py         PPO of Stable-Baselines3 and of rejax, on our table
    pure_jax_ppo.py      PPO as one script, in the style of PureJaxRL
    lm_bandit.py         a language model: its speed, and how far PPO gets
    lm_learning.py       what PPO learns on the pocket world
    lm_peers.py          Hugging Face's GPT-2 with our weights
    trl_peers.py         TRL's PPO with our models

The peers come with the extra `[benchmarks]`.
"""
