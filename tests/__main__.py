"""The exercise book: python -m tests."""

import sys

from tests.exercises.commands import main

if __name__ == "__main__":
    sys.exit(main())
