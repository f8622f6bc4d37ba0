"""Benchmarks beside other libraries: the same task on the same machine, in turns.

    python -m benchmarks mdp --json mdp.json
    python -m benchmarks policy_gradient --json policy_gradient.json
    python -m benchmarks lm_bandit --json lm_bandit.json
    python -m benchmarks scaling --figure scaling.png
    python -m benchmarks gpu --json gpu.json
    python -m benchmarks doctor --json doctor.json

    race.py              rounds in turn, each contestant in its own process
    exams.py             exact results of learning, over several seeds
    mdp.py               solving finite MDPs and learning from samples
    peers.py             the libraries that the first floor is compared with
    policy_gradient.py   acting in finite MDPs, and learning a policy
    ppo_settings.py      the settings of PPO that all contestants share
    pure_jax_ppo.py      PPO as one script, in the style of PureJaxRL
    ppo_peers.py         PPO of Stable-Baselines3 and of rejax, on our table
    marks.py             exact performance of what PPO learned
    lm_bandit.py         a language model: its speed, and the result of PPO
    lm_learning.py       the result of PPO on the pocket world
    lm_peers.py          Hugging Face's GPT-2 with our weights
    trl_peers.py         TRL's PPO with our models
    torch_grpo_loss.py   TRL's loss of GRPO, for `python -m lm_bandit examine`
    alone.py             one measurement in a process of its own, with a time limit
    costs.py             one iteration on paper: operations, bytes, messages
    scaling.py           time and memory as states, environments, models, ... grow
    plots.py             the figure of it
    gpu.py               everything on one card, beside torch, in 8 minutes
    doctor.py            how often the doctor names the fault of a sick run
    numbers.py           the numbers in the README and the guide, with their spread

The peers come with the extra `[benchmarks]`.
"""
