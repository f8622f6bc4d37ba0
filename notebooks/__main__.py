"""The command line: `python -m notebooks OUT` builds the site into the folder OUT."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from mdp.interface import command_line

NEEDED = ("sphinx", "myst_nb", "furo", "latex2mathml", "ziamath", "plotly")


def missing_packages() -> str:
    """Return the names of packages that the site needs and that are not installed."""
    return ", ".join(name for name in NEEDED if find_spec(name) is None)


@dataclass(frozen=True)
class Site:
    """Build the site of the book: chapters, reference, and pages to play with.

    It reads the saved outputs of the notebooks and runs none of them. The pages work
    from the file system, without a network.
    """

    # Folder of the site; index.html in it is the first page.
    out: Positional[Annotated[Path, arg(metavar="OUT")]]

    def run(self) -> None:
        """Build the site, and say where it begins."""
        console = command_line.Terminal()
        if missing := missing_packages():
            raise ValueError(f"the site needs {missing}: pip install -e '.[site]'")
        from notebooks.site.build import build

        console.print("reading the chapters and the sources; this takes a minute")
        complaints = build(self.out)
        for line in complaints:
            console.print(f"warning: {line}")
        console.print(f"wrote {self.out / 'index.html'}")


def main(args: Sequence[str] | None = None) -> int:
    """Build the site; return 0, or 2 after one line about a mistake."""
    description = "The book as a static site."
    return command_line.run(Site, args, "python -m notebooks", description)


if __name__ == "__main__":
    sys.exit(main())
