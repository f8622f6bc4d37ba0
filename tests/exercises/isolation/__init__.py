"""Judge a submission, a stranger's program, so that it can neither harm nor forge.

Read in this order:

    sandbox.py    keep a process from the rest of the machine, and limit it
    masked.py     a copy of the packages without the function to be written
    channel.py    messages between the judge and a submission's process
    submission.py the process in which submissions run: it computes answers
    guard.py      the judge's side: compare the answers with the right ones
"""
