"""Side by side with the peers: the same task, the same machine, the same minute.

    python -m benchmarks mdp --json mdp.json

    race.py    rounds in turn, every contestant in a process of its own
    mdp.py     solving finite MDPs and learning from samples
    peers.py   the four libraries that it is compared with

The peers come with the extra `[benchmarks]`.
"""
