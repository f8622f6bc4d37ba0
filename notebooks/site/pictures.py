"""The text that stands for a picture, for readers who do not see it.

It says under which heading the picture stands, what the axes and the curves are called
in the code that draws it, and what question the text before it asks.
"""

import re

QUOTED = r"r?f?(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
LONGEST = 300  # characters


def describe(heading: str, code: str, around: tuple[str, str]) -> str:
    """Return a text for the picture that this code draws.

    Args:
        heading: the heading above the picture.
        code: the cell that draws it.
        around: the text before the picture, and the text after it.
    """
    across = _named(code, r"xlabel=|set_xlabel\(")
    up = _named(code, r"ylabel=|set_ylabel\(")
    parts = [f"{heading}: a picture"]
    if up or across:
        axes = " and ".join(up) + " against " * bool(up and across)
        parts.append("Axes: " + axes + " and ".join(across))
    for kind, before in {
        "Titles": r"\btitle=|set_title\(",
        "Curves": r"\blabel=",
    }.items():
        if named := _named(code, before):
            parts.append(f"{kind}: " + "; ".join(named))
    questions = re.findall(r"\*\*([^*]+\?)\*\*", around[0])
    told = plain(questions[-1]) if questions else _sentence(*around)
    parts.append(told)
    text = ". ".join(part.rstrip(".:") for part in parts if part) + "."
    return text.replace("?.", "?")[:LONGEST]


def plain(text: str) -> str:
    """Return a text without the signs of Markdown and of formulas."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\\(?:mid|,|;|!|mathrm|mathbb|text|big|Big)\b|\\[,;! ]", " ", text)
    text = re.sub(r"(?<![\w$_])\*{1,3}(?=\S)([^*]+)\*{1,3}", r"\1", text)
    text = re.sub(r"[$`{}\\]|_(?=[{*])", "", text).replace("_", " ")
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
    found = re.findall(f"(?:{before})" + QUOTED, code)
    # A text with a value in it would show the code of the value.
    texts = (plain(text[1:-1].replace(r"\n", " ")) for text in found if "{" not in text)
    return [text for text in dict.fromkeys(texts) if text][:4]


def _sentence(before: str, after: str) -> str:
    """Return the first sentence after a picture, or else the last one before it."""
    section, _, _ = f"\n{after}".partition("\n#")
    for paragraph in section.strip().split("\n\n"):
        if paragraph and paragraph[0] not in "*|$-<(":
            return re.split(r"(?<=[.?!:]) ", plain(paragraph))[0]
    return re.split(r"(?<=[.?!]) ", plain(before.strip().split("\n\n")[-1]))[-1]
