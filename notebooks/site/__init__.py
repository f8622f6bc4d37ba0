"""A static site from the saved notebooks and the docstrings.

Read in this order:

    paths.py       where things stand in the checkout, and on the site
    chapters.py    notebooks and Markdown files of the checkout as pages
    pictures.py    the text that stands for a picture
    notation.py    the signs with which docstrings write equations, and LaTeX
    reader.py      one line of an equation, read sign by sign
    equations.py   the blocks of a docstring that are equations, aligned
    reference.py   docstrings and signatures as pages, without importing anything
    lists.py       pages made from data: experiments, misconceptions, symbols
    numbers.py     the numbers of the pages to play with, computed by the library
    extension.py   formulas as MathML, and boxes that a keyboard can scroll
    conf.py        the settings of Sphinx
    build.py       all of it, into one folder
    browser.py     the Chromium of the system
    joined.py      the pages of the book as one page
    pdf.py         that page as a PDF

Beside them, `pages/` holds the texts that are written by hand, and `static/` the style,
and the script that moves a picture when a slider moves. `print.css` is the style of the
PDF.
"""
