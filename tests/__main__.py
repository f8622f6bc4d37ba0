"""The exercise book: python -m tests."""

import sys

from tests.book.commands import main

if __name__ == "__main__":
    sys.exit(main())
