"""The book as one PDF, printed by Chromium from the pages of the site.

Chromium cannot write the number of another page into a text. So the book is printed
twice: the table of contents of the second print has the page numbers of the first.
"""

import io
import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize
from pypdf import PdfReader

from mdp.interface.files import write_files
from notebooks.site.browser import open_chromium
from notebooks.site.joined import joined_page

PATIENCE = 120_000  # milliseconds until a page that does not load is given up
WIDTH = 642  # pixels of the browser between the margins that print.css sets

# Chromium breaks no formula into lines, and makes the whole book smaller if one thing
# is wider than the paper. So a formula that is too wide is made smaller before.
FIT = """() => {
  for (const math of document.querySelectorAll("article math")) {
    const edge = math.closest("article").getBoundingClientRect().right;
    const {left, right} = math.firstElementChild.getBoundingClientRect();
    const size = parseFloat(getComputedStyle(math).fontSize);
    if (right > edge)
      math.style.fontSize = `${0.98 * size * (edge - left) / (right - left)}px`;
  }
}"""
TOO_WIDE = """() => [...document.querySelectorAll("article")]
  .filter(each => each.scrollWidth > each.clientWidth).map(each => each.id)"""
FILL_IN = """numbers => {
  for (const each of document.querySelectorAll(".contents .number"))
    each.textContent = numbers[each.dataset.place];
}"""


def write_pdf(site: Path, file: Path) -> list[str]:
    """Print the book of a complete site to a file, and return what is wrong with it."""
    with tempfile.TemporaryDirectory() as scratch, open_chromium() as browser:
        source = Path(scratch, "book.html")
        source.write_text(joined_page(site), encoding="utf-8")
        size: ViewportSize = {"width": WIDTH, "height": WIDTH}
        tab = browser.new_page(viewport=size, color_scheme="light")
        tab.emulate_media(media="print")
        tab.goto(source.as_uri(), wait_until="load", timeout=PATIENCE)
        tab.evaluate(FIT)
        wide = tab.evaluate(TOO_WIDE)
        tab.evaluate(FILL_IN, page_numbers(_print(tab)))
        printed = _print(tab)
    write_files(file.parent, {file.name: printed})
    return [f"{place} is wider than the paper of the PDF" for place in wide]


def page_numbers(printed: bytes) -> dict[str, int]:
    """Return the page of each place that a link leads to, by the place's name."""
    reader = PdfReader(io.BytesIO(printed))
    numbers = {}
    for name, place in reader.named_destinations.items():
        number = reader.get_destination_page_number(place)
        if number is not None:
            numbers[name.removeprefix("/")] = number + 1
    return numbers


def _print(tab: Page) -> bytes:
    return tab.pdf(
        prefer_css_page_size=True, print_background=True, outline=True, tagged=True
    )
