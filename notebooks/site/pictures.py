"""The text that stands for a picture, for readers who do not see it.

It says under which heading the picture stands, what the axes and the curves are called
in the code that draws it, and what question the text before it asks.
"""

import re
from collections.abc import Sequence

QUOTED = r"r?f?(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
LONGEST = 300  # characters


def describe(heading: str, code: str, around: Sequence[str]) -> str:
    """Return a text for the picture that this code draws.

    Args:
        heading: the heading above the picture.
        code: the cell that draws it.
        around: the text before the picture, and the text after it.
    """
    across = _named(code, r"xlabel=|set_xlabel\(")
    up = _named(code, r"ylabel=|set_ylabel\(")
    titles = _named(code, r"\btitle=|set_title\(")
    curves = _named(code, r"\blabel=")
    parts = [f"Picture of the section “{heading}”"]
    if up or across:
        axes = " and ".join(up) + " against " * bool(up and across)
        parts.append(axes + " and ".join(across))
    if titles:
        parts.append("panels: " + "; ".join(titles))
    if curves:
        parts.append("curves: " + "; ".join(curves))
    questions = re.findall(r"\*\*([^*]+\?)\*\*", " ".join(around[:1]))
    parts += [plain(question) for question in questions[-1:]]
    if len(parts) == 1:
        parts += [_first_sentence(text) for text in around[::-1]][:1]
    text = ". ".join(part.rstrip(".") for part in parts if part) + "."
    return text.replace("?.", "?")[:LONGEST]


def plain(text: str) -> str:
    """Return a text without the signs of Markdown and of formulas."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\\(?:mid|,|;|!|mathrm|mathbb|text|big|Big)\b|\\[,;! ]", " ", text)
    text = re.sub(r"[$*`{}\\]", "", text).replace("_", " ")
    return " ".join(text.split())


def complete_player(page: str, heading: str) -> str:
    """Return an animation's page with names for its picture and its slider."""
    name = f"Animation of the section “{heading}”"
    page = re.sub(r"<img (?![^>]*alt=)", f'<img alt="{name}, frame by frame" ', page)
    return re.sub(
        r"<input (?![^>]*aria-label)(?=[^>]*range)", '<input aria-label="frame" ', page
    )


def _named(code: str, before: str) -> list[str]:
    """Return the texts that the code gives to axes, panels or curves, each once."""
    found = (plain(text[1:-1]) for text in re.findall(f"(?:{before})" + QUOTED, code))
    # A text with a value in it would show the name of the value.
    texts = (re.sub(r"\s*\\n.*", "", text) for text in found)
    return [text for text in dict.fromkeys(texts) if text][:4]


def _first_sentence(text: str) -> str:
    paragraphs = [part for part in text.split("\n\n") if part[:1] not in "#<|$-"]
    words = plain(paragraphs[0]) if paragraphs else ""
    return re.split(r"(?<=[.?!:]) ", words)[0]
