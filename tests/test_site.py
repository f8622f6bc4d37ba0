"""The site of the book: its links and pictures, what a browser shows, and its PDF.

It is built once for all tests, without a network. A headless Chromium reads and prints
it, if there is one: `pip install -e '.[site]'`, and the system's package `chromium`.
"""

import io
import json
import shutil
import subprocess
import sys
import tarfile
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from re import findall, sub
from urllib.parse import unquote, urlsplit

import pytest

from notebooks.__main__ import NEEDED_FOR_PDF, main, missing_packages

ROOT = Path(__file__).parent.parent
PLAYED = ("value_iteration", "clip", "beta", "arrows", "pass_at_k")
# A page of each kind.
KINDS = (
    *("index.html", "glossary.html", "search.html", "lab/index.html"),
    *("chapters/03_values_and_bellman_equations.html", "play/clip.html"),
    *("reference/mdp.html", "reference/mdp.bellman.html"),
)
ADDRESSES = {"a": "href", "img": "src", "script": "src", "link": "href"}
MISSING = missing_packages()
NO_BROWSER = missing_packages(NEEDED_FOR_PDF)
if not NO_BROWSER:
    from notebooks.site.browser import find_chromium, open_chromium

    NO_BROWSER = "" if find_chromium() else "Chromium"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"{MISSING}: pip install -e '.[site]'"),
]


class Page(HTMLParser):
    """The addresses, the pictures and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.path, self.places, self.addresses, self.pictures = path, {""}, [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.places |= {given.get("id"), given.get("name")} - {None}
        if address := given.get(ADDRESSES.get(tag, "")):
            self.addresses.append((tag, address))
        if tag == "img":
            self.pictures.append(given)


@pytest.fixture(scope="module")
def pdf(tmp_path_factory):
    """The place of the PDF, which is there once the site is built."""
    return tmp_path_factory.mktemp("printed") / "new" / "book.pdf"


@pytest.fixture(scope="module")
def site(tmp_path_factory, pdf):
    """The folder of the site; the command has built it, and printed the PDF."""
    out = tmp_path_factory.mktemp("site")
    printed = [] if NO_BROWSER else ["--pdf", str(pdf)]
    command = [sys.executable, "-m", "notebooks", str(out), *printed]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout, done.stdout
    return out


@pytest.fixture(scope="module")
def pages(site):
    """The pages of the site, by their places in it."""
    return {str(p.relative_to(site)): Page(p) for p in sorted(site.rglob("*.html"))}


def test_every_link_and_picture_inside_the_site_is_there(site, pages):
    broken = []
    for name, page in pages.items():
        for tag, address in page.addresses:
            there = urlsplit(address)
            if there.scheme:
                # A page may link to other sites, but loads nothing from them.
                assert tag == "a" or there.scheme == "data", (name, address)
                continue
            target = page.path.parent / unquote(there.path) if there.path else page.path
            target = target.resolve()
            inside = pages.get(str(target.relative_to(site.resolve())))
            if not target.exists() or (
                inside and unquote(there.fragment) not in inside.places
            ):
                broken.append(f"{name}: {address}")
    assert not broken, "\n".join(sorted(set(broken)))


def test_every_picture_has_a_text(pages):
    texts = [
        (name, picture.get("alt", ""))
        for name, page in pages.items()
        for picture in page.pictures
    ]
    assert len(texts) > 80
    assert [name for name, text in texts if len(text) < 20] == []


def test_the_equations_of_docstrings_are_drawn_and_lose_no_word(pages):
    signs = {"alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "Sigma"}
    signs |= {"grad", "sqrt", "prod"}
    count = 0
    for name, page in pages.items():
        if name.startswith("reference/"):
            for formula in page.path.read_text(encoding="utf-8").split("<math")[1:]:
                given, _, drawn = formula.partition("</math>")[0].partition(">")
                drawn = unescape(sub("<[^>]*>", "", drawn))
                assert not set(drawn) & {"\\", "_"}, f"{name}: {drawn}"
                typed = unescape("".join(findall('alttext="([^"]*)"', given)))
                words = set(findall("[A-Za-z]{4,}", typed)) - signs
                assert not {word for word in words if word not in drawn}, (name, typed)
                count += bool(typed)
    assert count > 130


def test_an_equation_of_a_docstring_says_how_it_was_typed(pages):
    page = pages["reference/mdp.bellman.html"].path.read_text(encoding="utf-8")
    typed = "G_t = R_{t+1} + gamma G_{t+1},   0 after the last step"
    assert f'tabindex="0" title="{typed}"><math alttext="{typed}"' in page


def test_every_chapter_and_file_has_a_page_that_leads_to_the_glossary(pages):
    chapters = [path.stem for path in ROOT.glob("notebooks/*.ipynb")]
    assert {f"chapters/{name}.html" for name in chapters} <= set(pages)
    for name in ("mdp.bellman", "policy_gradient.ppo", "lm_bandit.oracle.exact"):
        assert f"reference/{name}.html" in pages
    for name, page in pages.items():
        linked = {Path(unquote(address)).name for _, address in page.addresses}
        assert linked & {"glossary.html", "#"} or name == "glossary.html", name


def test_formulas_are_drawn_and_not_left_as_they_were_typed(pages):
    count = 0
    for name, page in pages.items():
        if name.startswith("chapters/"):
            for formula in page.path.read_text(encoding="utf-8").split("<math")[1:]:
                drawn, _, _ = formula.partition("</math>")
                count += 1
                assert "\\" not in drawn, f"{name}: {drawn[:400]}"
                assert ">&<" not in drawn, f"{name}: {drawn[:400]}"
    assert count > 500


def test_another_folder_is_not_written_over(tmp_path):
    from notebooks.site.build import build

    (tmp_path / "thesis.txt").write_text("four years")
    with pytest.raises(ValueError, match="OUT must be empty or an older site"):
        build(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "four years"


@pytest.mark.skipif(bool(NO_BROWSER), reason=f"{NO_BROWSER} is not installed")
def test_the_pdf_has_every_chapter_where_its_contents_say(site, pdf):
    from pypdf import PdfReader

    assert pdf.read_bytes().startswith(b"%PDF-")
    assert [each.name for each in pdf.parent.iterdir()] == [pdf.name]
    book = PdfReader(pdf)
    found = {}
    for entry in book.outline:
        if not isinstance(entry, list):
            page = book.get_destination_page_number(entry)
            found[entry.title] = page + 1
            assert entry.title in said(book.pages[page])
    chapters = [title_of(path) for path in sorted(ROOT.glob("notebooks/*.ipynb"))]
    parts = ["The map of the climb", *chapters, "Glossary", "Symbols"]
    assert list(found) == ["Contents", *parts]
    contents = said(*book.pages[1 : found[parts[0]] - 1])
    for title in parts:
        assert f"{title} {found[title]}" in contents


def said(*pages):
    """The text of pages of a PDF, in one line."""
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def title_of(path):
    """The first heading of a notebook."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("# "):
                return line.removeprefix("# ")


@pytest.mark.skipif(bool(NO_BROWSER), reason=f"{NO_BROWSER} is not installed")
def test_every_link_of_the_pdf_leads_to_one_of_its_pages_or_to_the_web(site, pdf):
    from pypdf import PdfReader

    book, inside = PdfReader(pdf), 0
    for page in book.pages:
        for link in page.get("/Annots", []):
            there = link.get_object()
            if "/Dest" in there:
                inside += 1
                assert there["/Dest"] in book.named_destinations
            else:
                assert there["/A"]["/URI"].startswith("http")
    assert inside > 250


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("book.txt", "--pdf must be a file that ends in .pdf"),
        ("book.pdf", "Chromium is missing: install your system's package chromium"),
    ],
)
def test_a_pdf_that_cannot_be_made_is_refused_before_the_work(
    tmp_path, monkeypatch, capsys, file, message
):
    if missing := missing_packages(NEEDED_FOR_PDF):
        message = f"the PDF needs {missing}" if "Chromium" in message else message
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([str(tmp_path / "site"), "--pdf", str(tmp_path / file)]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    if NO_BROWSER:
        pytest.skip(f"{NO_BROWSER} is not installed")
    with open_chromium() as opened:
        yield opened


@pytest.fixture
def tab(browser):
    """A page of the browser, as wide as a phone; `wrong` lists its errors."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    tab = context.new_page()
    tab.wrong = []
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    tab.on("console", lambda said: note(tab, said.type in ("error", "warning"), said))
    tab.on("request", lambda asked: note(tab, is_outside(asked.url), asked.url))
    yield tab
    context.close()


def note(tab, is_wrong, what):
    """Add an error to those of a page."""
    if is_wrong:
        tab.wrong.append(str(getattr(what, "text", what)))


def is_outside(address):
    """Whether an address is on a network."""
    return urlsplit(address).scheme not in ("file", "data", "blob")


def test_no_page_complains_asks_the_network_or_is_wider_than_a_phone(tab, site, pages):
    wide = {}
    for name in pages:
        tab.goto((site / name).as_uri(), wait_until="load")
        width = tab.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide[name] = width
        assert not tab.wrong, (name, tab.wrong)
    assert not wide


@pytest.mark.parametrize("name", PLAYED)
def test_a_slider_that_moves_changes_the_picture(tab, site, name):
    tab.goto((site / "play" / f"{name}.html").as_uri())
    sliders = tab.locator(".player input")
    for number in range(sliders.count()):
        before = tab.locator(".player .picture").inner_html()
        said = tab.locator(".player .said").inner_text()
        sliders.nth(number).focus()
        at_end = sliders.nth(number).evaluate("s => s.value === s.max")
        tab.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
        assert tab.locator(".player .picture").inner_html() != before
        assert tab.locator(".player .said").inner_text() != said
    assert not tab.wrong


def test_the_play_button_runs_the_sweeps(tab, site):
    tab.goto((site / "play" / "value_iteration.html").as_uri())
    said = tab.locator(".player .said")
    before = said.inner_text()
    tab.get_by_role("button", name="Play", exact=True).click()
    tab.wait_for_function(
        "t => document.querySelector('.said').innerText !== t", arg=before
    )
    assert not tab.wrong


def test_the_search_finds_gae(tab, site):
    tab.goto((site / "search.html").as_uri() + "?q=GAE")
    tab.get_by_text("Search finished").wait_for()
    found = tab.locator("ul.search li a").all_inner_texts()
    assert any("Baselines and critics" in title for title in found)
    assert any("advantages" in title for title in found)
    assert not tab.wrong


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The script of axe-core, which checks whether all people can use a page."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: axe-core cannot be fetched")
    command = [npm, "pack", "axe-core", "--silent"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"axe-core cannot be fetched: {error}")
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as files:
        script = files.extractfile("package/axe.min.js")
        assert isinstance(script, io.BufferedReader)
        return script.read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(tab, site, axe, scheme):
    tab.emulate_media(color_scheme=scheme)
    # A dark page differs only in its colours.
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    complaints = []
    for name in KINDS:
        tab.goto((site / name).as_uri())
        tab.evaluate(axe)
        found = tab.evaluate("rules => axe.run(rules)", rules)
        for each in found["violations"]:
            if each["impact"] in ("serious", "critical"):
                where = each["nodes"][0]["html"][:150]
                count = len(each["nodes"])
                complaints.append(f"{name}: {each['id']} ({count} times), {where}")
    assert not complaints, "\n".join(complaints)
