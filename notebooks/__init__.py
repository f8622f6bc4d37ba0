"""The chapters of the book as notebooks, and the site that shows them.

    site/    a static site from the saved notebooks and the docstrings

`python -m notebooks OUT` builds the site. It needs `pip install -e '.[site]'` once,
and no network after that.
"""
