"""The exercise book: the unit tests, asked of the reader's own functions.

Read in this order:

    manifest.py   the exercises, as tests/exercises/ lists them
    sources.py    stubs, traps and variants, made from the reference and never stored
    splice.py     a function put in the place of the book's own, while it is imported
    judge.py      the fresh process: cases first, then the unit tests
    oracle.py     what tests compare with must not ask what is tested
    same.py       are two answers the same, and if not, in what way?
    show.py       values, worlds and episodes as text
    check.py      is it right? what its text shows, and what the judge finds
    words.py      what is wrong, in words
    trial.py      the fresh process of a diagnosis: a learner's test, or a training
    trials.py     does the learner's test convince?
    diagnosis.py  what is wrong with this run? the fault, and the test that catches it
    plots.py      the curves of a sick run beside those of a healthy one
    nursery.py    many processes, one after another, for the gate
    workbook.py   the learner's files and progress
    commands.py   python -m tests
    cell.py       the question of a notebook cell
"""
