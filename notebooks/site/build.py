"""The whole site: sources are gathered in a folder, and Sphinx makes pages of them."""

import io
import logging
import os
import shutil
import tempfile
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import console
from sphinx.util.docutils import docutils_namespace, patch_docutils

from notebooks.site import chapters, extension, lists, numbers, reference
from notebooks.site.paths import SITE

MARK = ".bellman-site"  # a folder with this file may be written over


def build(out: Path) -> list[str]:
    """Write the site into a folder, and return Sphinx's complaints.

    Raises:
        ValueError: the folder holds something else.
    """
    out = out.resolve()
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise ValueError(f"OUT must be empty or an older site, got {out}")
    with tempfile.TemporaryDirectory() as scratch:
        sources, trees, made = (Path(scratch, x) for x in ("sources", "trees", "made"))
        gather(sources)
        complaints = _run_sphinx(sources, trees, made)
        # A package of the theme has asked for the remarks of all libraries.
        logging.getLogger().setLevel(logging.WARNING)
        extension.copy_font(made / "_static")
        numbers.write_numbers(made / "_static")
        (made / MARK).touch()
        # An older site is replaced when the new one is complete.
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(made, out)
    return complaints


def gather(sources: Path) -> None:
    """Write the sources of all pages into a new folder."""
    shutil.copytree(SITE / "pages", sources)
    chapters.write_chapters(sources)
    chapters.write_texts(sources)
    reference.write_reference(sources)
    lists.write_lists(sources)


def _run_sphinx(sources: Path, trees: Path, out: Path) -> list[str]:
    warnings = io.StringIO()
    console.nocolor()
    with patch_docutils(str(SITE)), docutils_namespace():
        app = Sphinx(
            srcdir=sources,
            confdir=SITE,
            outdir=out,
            doctreedir=trees,
            buildername="html",
            status=None,
            warning=warnings,
            parallel=os.cpu_count() or 1,
        )
        app.build(force_all=True)
    return [line for line in warnings.getvalue().splitlines() if line.strip()]
