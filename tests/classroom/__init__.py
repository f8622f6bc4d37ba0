"""The class: hand exercises out.

Read in this order:

    selection.py  exercises by floor, chapter, id or word, and the dates they are due
    copies.py     search a folder for copies of a solution
    handout.py    make a folder for students, which stands alone
"""
