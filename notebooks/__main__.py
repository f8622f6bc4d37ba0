"""The command line: `python -m notebooks OUT` builds the site into the folder OUT.

With `--pdf FILE` it also prints the book: the chapters, the map of the climb, the
glossary and the symbols.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from mdp.interface import command_line

NEEDED = ("sphinx", "myst_nb", "furo", "latex2mathml", "ziamath", "plotly")
NEEDED_FOR_PDF = ("playwright", "pypdf")


def missing_packages(needed: Sequence[str] = NEEDED) -> str:
    """Return the names of needed packages that are not installed."""
    return ", ".join(name for name in needed if find_spec(name) is None)


def check_pdf(file: Path) -> None:
    """Make sure that a PDF can be printed, before the site is built.

    Raises:
        ValueError: the file has another ending, or something is not installed.
    """
    if file.suffix.lower() != ".pdf" or file.is_dir():
        raise ValueError(f"--pdf must be a file that ends in .pdf, got {file}")
    if missing := missing_packages(NEEDED_FOR_PDF):
        raise ValueError(f"the PDF needs {missing}: pip install -e '.[site]'")
    from notebooks.site.browser import open_chromium

    with open_chromium():
        pass


@dataclass(frozen=True)
class Site:
    """Build the site of the book: chapters, reference, and pages to play with.

    It reads the saved outputs of the notebooks and runs none of them. The pages work
    from the file system, without a network.
    """

    # Folder of the site; index.html in it is the first page.
    out: Positional[Annotated[Path, arg(metavar="OUT")]]
    # Also print the chapters, the map, the glossary and the symbols to this PDF. This
    # needs the browser Chromium.
    pdf: Annotated[Path | None, arg(metavar="FILE")] = None

    def run(self) -> None:
        """Build the site, print the PDF if one is asked for, and say where they are."""
        console = command_line.Terminal()
        if missing := missing_packages():
            raise ValueError(f"the site needs {missing}: pip install -e '.[site]'")
        if self.pdf is not None:
            check_pdf(self.pdf)
        from notebooks.site.build import build

        console.print("reading the chapters and the sources; this takes a minute")
        complaints = build(self.out)
        if self.pdf is not None:
            from notebooks.site.pdf import write_pdf

            console.print("printing the book; this takes half a minute")
            complaints += write_pdf(self.out, self.pdf)
        for line in complaints:
            console.print(f"warning: {line}")
        written = [self.out / "index.html", *([self.pdf] if self.pdf else [])]
        command_line.name_files(console, written)


def main(args: Sequence[str] | None = None) -> int:
    """Build the site; return 0, or 2 after one line about a mistake."""
    description = "The book as a static site."
    return command_line.run(Site, args, "python -m notebooks", description)


if __name__ == "__main__":
    sys.exit(main())
