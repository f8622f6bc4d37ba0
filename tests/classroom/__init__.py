"""The class: exercises are handed out; submissions are collected, judged, reported.

Read in this order:

    selection.py    exercises by floor, chapter, id or word, and their due dates
    copies.py       search a folder for copies of a solution
    handout.py      make a folder for students, which stands alone
    handing_out.py  python -m tests handout
    pieces.py       what the cells of a notebook make
    notebooks.py    find the functions that students have written in notebooks
    submissions.py  read what students hand in, and find like functions
    grade.py        judge every student's file of every exercise
    outputs.py      marks as CSV, JSON, JUnit's XML and Gradescope's JSON
    statistics.py   difficulty, discrimination, misconceptions
    report.py       the report on a class, as a page and tables
    commands.py     python -m tests grade
"""
