"""The browser of some tests: the headless Chromium of the system."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def opened_browser():
    """Open Debian's Chromium, or skip the tests where there is none."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        # In a container there is no second wall round the pages, which are ours.
        options = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}
        opened = started.chromium.launch(**options)
        yield opened
        opened.close()
