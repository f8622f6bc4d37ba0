"""The browser that prints the book and that tests the pages: the system's Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Error, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return the path of Chromium, or None if the system has none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Start a headless Chromium, and stop it at the end of a `with` block.

    Raises:
        ValueError: it is missing, it does not start, or it fails at its work.
    """
    path = find_chromium()
    if path is None:
        raise ValueError("Chromium is missing: install your system's package chromium")
    try:
        with sync_playwright() as started:
            # Chromium's sandbox does not start in a container; the pages are our own.
            browser = started.chromium.launch(
                executable_path=path, args=["--no-sandbox"]
            )
            yield browser
            browser.close()
    except Error as error:
        first, _, _ = error.message.partition("\n")
        raise ValueError(f"Chromium ({path}) has failed: {first}") from error
