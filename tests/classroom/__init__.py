"""The class: submissions are collected, judged and reported.

Read in this order:

    submissions.py  the files of students, and what is odd about them
    grade.py        judge every student's file of every exercise
    outputs.py      marks as CSV, JSON, JUnit's XML and Gradescope's JSON
    statistics.py   difficulty, discrimination, misconceptions
    report.py       the report on a class, as a page and tables
    commands.py     python -m tests grade
"""
