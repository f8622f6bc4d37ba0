"""RLHF on real text: film reviews that people rated, or your own texts.

    python -m lm_bandit --data movie-reviews
    python -m lm_bandit --corpus FILE.txt [--preferences FILE.jsonl]

The transformer, SFT, reward model and PPO are those of the pocket world, but no exact
answer stands beside them. Everything is measured on what was held out: texts that
nothing was learned from, and people whose answers the reward model never saw.

The steps are those of `lm_bandit.pipeline`, and yet this is a second pipeline: here the
answers are given and not asked for, a run takes many minutes and so goes on where it
was stopped, two reward models learn, and samples take the place of the oracle.

Read in this order:

    download.py    one file, downloaded safely: its hash is checked first
    ratings.py     10,605 sentences from film reviews, each rated by 15 to 29 people
    tokens.py      byte-pair encoding; texts as rows of a prompt and a completion
    config.py      the settings of a run
    material.py    what is learned from, by whom, and what is held out
    own_files.py   a corpus and preferences of your own
    judges.py      a reward model from scores, and how far people agree with it
    stages.py      a long run that can be stopped and continued
    steps.py       pretraining, SFT, two reward models, PPO
    measure.py     the results
    tables.py      the results as tables
    command.py     the command line

The ratings are by Hutto & Gilbert (2014), MIT licence, copyright 2016 C.J. Hutto, of
sentences from rotten.tomatoes.com that Pang & Lee (2004) collected. They are downloaded
when the command first needs them; none of their text is part of this project.
"""
