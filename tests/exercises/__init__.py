"""The exercise book: the unit tests judge the reader's own functions.

Read in this order:

    sealed.py     read the sealed parts of a folder that was handed out to a class
    manifest.py   the exercises, as the TOML files beside this one list them
    outside.py    exercises from outside this repository
    sick_runs.py  sick runs of RLHF without end, each made from a seed
    toolbox.py    explain the names in a new file
    sources.py    stubs, traps and variants, made from the reference
    oracle.py     oracles, which must not call the tested function
    splice.py     put a function in the place of the book's own
    same.py       compare two results
    show.py       values, worlds and episodes as text
    patterns/     say how wrong answers are related to the right ones
    kept.py       keep answers of the book's own functions for the next check
    judge.py      try a candidate: first on cases, then with the unit tests
    trial.py      try a learner's test on one candidate, or train with it
    isolation/    judge a submission in a process that cannot do harm
    batch.py      judge all candidates of an exercise, for the gate
    worker.py     a process that judges
    words.py      tell the learner what is wrong
    reaching.py   see whether an attempt reaches for the book's own function
    check.py      check an attempt: first its text, then what the judge finds
    trials.py     try a learner's test on one function after another
    plots.py      the curves of a sick run and a healthy one
    diagnosis.py  check a named fault and the test that catches it
    workbook.py   the learner's files and progress
    gate.py       find what is wrong with an exercise itself
    contents.py   the table of contents
    chapters.py   the map of the climb
    commands.py   python -m tests
    cell.py       answer a question from a notebook cell
    cases/        inputs on which answers are compared
"""
