"""Help for people: the common flags first, the others by group, at any width.

`tyro` knows the flags of a command, with their types, texts and defaults, and shows
them in boxes. Here the boxes are taken apart, and the flags are arranged:

    common: ClassVar = ("--seed", "--out")     of a command: the flags to show first
    def names(): return {"--worlds": WORLDS}   of a command: names that a flag takes
"""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

COLUMNS = 128  # of tyro's boxes: enough for a flag, too few for two boxes side by side
FLAG_WIDTH = 26  # columns; the text of a longer flag begins on the next line


class Flag(NamedTuple):
    """A flag with its value, and what it does."""

    flag: str
    text: str

    @property
    def name(self) -> str:
        """The flag alone, such as --seed."""
        return self.flag.split()[0].rstrip(",")


class Group(NamedTuple):
    """Flags that belong together."""

    title: str
    about: str
    flags: list[Flag]


def arranged_help(shown: str, command: Any, width: int) -> str:
    """Return tyro's help, `COLUMNS` wide, with the common flags first.

    Args:
        shown: what tyro shows.
        command: its dataclass, or a union of several.
        width: columns of the terminal.
    """
    head, groups = _taken_apart(_in_plain_words(shown))
    names = command.names() if hasattr(command, "names") else {}
    flags = {x.name: x for group in groups for x in group.flags}
    common = [flags[x] for x in getattr(command, "common", ()) if x in flags]
    left = [
        Group(title, about, [x for x in found if x not in common])
        for title, about, found in groups
    ]
    if common:
        first = sum(group.title == "positional arguments" for group in left)
        left.insert(first, Group("common options", "", common))
    lines = _wrapped(head, width)
    for title, about, found in left:
        if found:
            title = "other options" if common and title == "options" else title
            lines += ["", *textwrap.wrap(f"{title}: {about}".rstrip(": "), width)]
            lines += [line for x in found for line in _flag_lines(x, names, width)]
    return "\n".join(lines)


def _in_plain_words(shown: str) -> str:
    """Return tyro's help with a flag's value as people would name it."""
    shown = shown.replace("{None}|", "").replace("{None,", "{")
    shown = shown.replace("--out PATH", "--out FOLDER")
    return shown.replace("[--overwrite | --no-overwrite]", "[--overwrite]")


def _taken_apart(shown: str) -> tuple[list[str], list[Group]]:
    """Return the lines above the boxes, and the boxes as groups of flags."""
    lines = shown.splitlines()
    first = next((i for i, line in enumerate(lines) if line[:1] == "╭"), len(lines))
    groups: list[Group] = []
    for line in lines[first:]:
        if line[:1] == "╭":
            groups.append(Group(line.strip("╭─╮ "), "", []))
        elif line[:1] == "│":
            groups[-1] = _with_line(groups[-1], line[2:-1].rstrip())
    head = "\n".join(lines[:first]).strip()
    return head.splitlines(), groups


def _with_line(group: Group, line: str) -> Group:
    """Return the group after one more line of its box."""
    title, about, flags = group
    is_list = title in ("positional arguments", "subcommands")
    if line == "(required)":  # one of the subcommands
        return group
    if set(line) == {"─"}:  # the lines above it were no flags
        return Group(title, about or " ".join(x.flag for x in flags), [])
    if line.startswith("-") or (is_list and not line.startswith("      ")):
        flag, _, text = line.lstrip(" •").partition("  ")
        return Group(title, about, [*flags, Flag(flag, text.strip())])
    if flags and line.startswith("  "):
        text, more = flags[-1].text, line.strip()
        # tyro also wraps within 10,000.
        space = "" if re.search(r"\d,$", text) and more[0].isdigit() else " "
        last = flags[-1]._replace(text=f"{text}{space}{more}".strip())
        return Group(title, about, [*flags[:-1], last])
    if flags and flags[-1].text == "" and flags[-1].flag.startswith("-"):
        last = Flag(f"{flags[-1].flag} {line.strip()}", "")
        return Group(title, about, [*flags[:-1], last])
    return Group(title, f"{about} {line.strip()}".strip(), flags)


def _flag_lines(
    found: Flag, names: Mapping[str, Iterable[str]], width: int
) -> list[str]:
    """Return the lines of one flag."""
    text = re.sub(r" ?\(default: (None|'')?\)", "", found.text)
    flag = re.sub(r"\[(\S+) \[(?:\1 )?\.\.\.\]\]", r"\1 ...", found.flag)
    if text.endswith(" (default: False)"):
        flag, text = found.name, text.removesuffix(" (default: False)")
    for name in {found.name, flag.strip("[]")} & names.keys():
        text = f"{text} Names: {', '.join(names[name])}.".strip()
    about = textwrap.wrap(text, width - FLAG_WIDTH - 2) or [""]
    indented = [" " * (FLAG_WIDTH + 2) + line for line in about]
    if len(flag) > FLAG_WIDTH - 2:
        choices = flag.replace(",", ", ") if len(flag) > width - 2 else flag
        return [*_wrapped([f"  {choices}"], width), *indented]
    return [f"  {flag:<{FLAG_WIDTH}}{about[0]}", *indented[1:]]


def _wrapped(lines: Sequence[str], width: int) -> list[str]:
    """Return the lines with the long ones wrapped at words."""
    found: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 4) if line[:1] == " " else ""
        wrapped = textwrap.wrap(line, width, subsequent_indent=indent)
        found += wrapped or ([""] if found and found[-1] else [])
    return found
