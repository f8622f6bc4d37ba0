"""The book as one page, for a printer: its parts, joined from pages of the site.

A link to another part of the book leads to a place on the page. A link to a page that
is no part of the book becomes plain text. An animation becomes its last picture, and
the answers of a quiz stand at the end of its chapter.

The book leaves out the pages to play with, which are nothing without their sliders, the
lab, whose pictures are in chapter 12, and the reference of the code, which is read
beside the code and is longer than all chapters.
"""

import configparser
import html
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from notebooks.site.paths import ROOT, SITE, chapter_files

ARTICLE = re.compile(r'<article role="main"[^>]*>(.*)</article>', re.DOTALL)
TAG = re.compile(r"<[a-z][^<>]*>")
# What nobody can press on paper, and the sign of a link beside a heading.
DEAD = re.compile(
    r'<a class="headerlink".*?</a>|<script.*?</script>|<style.*?</style>'
    r'|<div class="anim-controls">.*?</form>\s*</div>',
    re.DOTALL,
)
# Names and signs of a program. On paper they have no colour: only keywords, texts,
# numbers and comments do. The tags of so many words would double the size of a PDF.
QUIET = re.compile(r'<span class="(?:n\w*|bp|fm|vm|o|p|w|pre)">([^<]*)</span>')
PLAYER = re.compile(r"<img (alt=\"Animation[^>]*)>(.*?<script.*?</script>)", re.DOTALL)
FRAME = re.compile(r'frames\[\d+\] = "(data:[^"]*)"')
ANSWER = re.compile(r"<details><summary>Answer</summary>(.*?)</details>\s*", re.DOTALL)
HEADING = re.compile(
    r'<section[^>]* id="([^"]+)">\s*(?:<span[^>]*></span>)*<h([12])>(.*?)</h\2>',
    re.DOTALL,
)


class Part(NamedTuple):
    """A page of the site as a part of the book."""

    place: str  # its name on the joined page
    title: str  # in plain text
    body: str  # HTML


def parts_of_book() -> list[str]:
    """Return the pages of the site that make the book, in reading order."""
    chapters = [f"chapters/{path.stem}.html" for path in chapter_files()]
    return ["chapters/map.html", *chapters, "glossary.html", "symbols.html"]


def joined_page(site: Path) -> str:
    """Return the book as one page of HTML, from the folder of a complete site."""
    pages = parts_of_book()
    parts = [_part(site, page, pages) for page in pages]
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg", encoding="utf-8")
    static = (site / "_static").resolve().as_uri()
    style = (SITE / "print.css").read_text(encoding="utf-8")
    sections = "".join(
        f'<article class="part" id="{part.place}">{part.body}</article>\n'
        for part in parts
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        "<title>Bellman to RLHF</title>\n"
        f'<link rel="stylesheet" href="{static}/pygments.css">\n'
        f'<link rel="stylesheet" href="{static}/style.css">\n'
        f"<style>{style}\n{_running_titles(parts)}</style></head>\n"
        f'<body data-theme="light">{_title_page(metadata["metadata"])}\n'
        f"{_contents(parts)}\n{sections}</body></html>\n"
    )


def _part(site: Path, page: str, pages: Sequence[str]) -> Part:
    """Return a page of the site as a part of the book."""
    text = (site / page).read_text(encoding="utf-8")
    article = ARTICLE.search(text)
    if article is None:
        raise ValueError(f"{site / page} is no page of the site")
    body = DEAD.sub("", PLAYER.sub(_last_frame, article[1]))
    body = QUIET.sub(r"\1", body)

    def mend(tag: re.Match[str]) -> str:
        return _mended_tag(tag[0], site, page, pages)

    body = TAG.sub(mend, body)
    body = _answers_at_the_end(body)
    heading = HEADING.search(body)
    title = _plain(heading[3]) if heading else page
    return Part(_place(page), title, body)


def _plain(markup: str) -> str:
    """Return HTML without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", markup)).split())


def _last_frame(player: re.Match[str]) -> str:
    """Return the last picture of an animation."""
    picture = FRAME.findall(player[2])[-1].replace("\\\n", "")
    note = "The last picture of an animation. The site and the notebook play it."
    return f'<img {player[1]} src="{picture}"><p class="note">{note}</p>{player[2]}'


def _answers_at_the_end(body: str) -> str:
    """Move the answers of a quiz to the end of its chapter."""
    answers = ANSWER.findall(body)
    if not answers:
        return body
    listed = "".join(f"<li>{answer}</li>" for answer in answers)
    title = '<p class="answers">Answers to the quiz</p>'
    return f"{ANSWER.sub('', body)}{title}<ol>{listed}</ol>"


def _mended_tag(tag: str, site: Path, page: str, pages: Sequence[str]) -> str:
    """Return a tag whose name, link or picture is found from the joined page."""

    def link(found: re.Match[str]) -> str:
        there = _link(html.unescape(found[1]), page, pages)
        return f' href="{html.escape(there)}"' if there else ""

    def picture(found: re.Match[str]) -> str:
        if found[1].startswith("data:"):
            return found[0]
        file = (site / page).parent / unquote(html.unescape(found[1]))
        return f' src="{file.resolve().as_uri()}"'

    tag = re.sub(r' id="([^"]*)"', rf' id="{_place(page)}--\1"', tag)
    tag = re.sub(r' href="([^"]*)"', link, tag)
    tag = re.sub(r' src="([^"]*)"', picture, tag)
    return tag.replace(' tabindex="0"', "")


def _link(address: str, page: str, pages: Sequence[str]) -> str | None:
    """Return where a link leads on the joined page, or None if it leads to no part."""
    there = urlsplit(address)
    if there.scheme:
        return address
    path = os.path.normpath(os.path.join(os.path.dirname(page), unquote(there.path)))
    target = path if there.path else page
    if target not in pages:
        return None
    place = _place(target)
    return f"#{place}--{there.fragment}" if there.fragment else f"#{place}"


def _place(page: str) -> str:
    """Return the name of a page of the site on the joined page."""
    return Path(page).stem


def _running_titles(parts: Sequence[Part]) -> str:
    """Return a style that shows the title of a part at the top of its pages."""
    rules = []
    for number, part in enumerate(parts):
        title = part.title.replace("\\", "\\\\").replace('"', '\\"')
        rules.append(f'@page part{number} {{ @top-left {{ content: "{title}"; }} }}')
        rules.append(f'article[id="{part.place}"] {{ page: part{number}; }}')
    return "\n".join(rules)


def _title_page(metadata: configparser.SectionProxy) -> str:
    """Return the first page, with the picture of the site's first page."""
    hero = (SITE / "pages" / "hero.html").read_text(encoding="utf-8")
    picture = re.search(r"<svg.*?</svg>", hero, re.DOTALL)
    lead = re.search(r'<p class="lead">.*?</p>', hero, re.DOTALL)
    return (
        '<div class="title-page hero"><p class="title">Bellman to RLHF</p>'
        f"{lead[0] if lead else ''}{picture[0] if picture else ''}"
        f'<p class="author">{html.escape(metadata["author"])}</p>'
        f"<p>Version {html.escape(metadata['version'])}. The notebooks of these "
        "chapters run in one or two minutes each. The site of the book has the same "
        "chapters, and also pages to play with, the lab and the reference of the "
        "code.</p></div>"
    )


def _contents(parts: Sequence[Part]) -> str:
    """Return the table of contents; the numbers of the pages are filled in later."""
    entries = "".join(_entries(parts))
    return f'<nav class="contents" id="contents"><h1>Contents</h1>{entries}</nav>'


def _entries(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        for name, level, title in HEADING.findall(part.body):
            yield (
                f'<p class="level{level}"><a href="#{name}"><span>{title}</span>'
                f'<span class="number" data-place="{name}">000</span></a></p>'
            )
