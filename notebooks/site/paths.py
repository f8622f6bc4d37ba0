"""The places of files in the checkout and on the site."""

import re
from pathlib import Path

SITE = Path(__file__).parent
NOTEBOOKS = SITE.parent
ROOT = NOTEBOOKS.parent
FLOORS = ("mdp", "policy_gradient", "lm_bandit")

# Files of the checkout that are pages, and the names of these pages.
TEXTS = {
    "notebooks/README.md": "chapters/map.md",
    "GUIDE.md": "more/guide.md",
    "CONTRIBUTING.md": "more/contributing.md",
    "CHANGELOG.md": "more/changes.md",
    **{f"docs/{path.name}": f"docs/{path.name}" for path in ROOT.glob("docs/*.md")},
}
# Files that are copied as they are, so that links to them lead somewhere.
COPIED = ("notebooks/*.png", "docs/*.png", "docs/*.json", "lm_bandit/data/LICENSE*")
FILES = {
    str(path.relative_to(ROOT)): f"files/{path.name}"
    for pattern in COPIED
    for path in ROOT.glob(pattern)
}


def chapter_files() -> list[Path]:
    """Return the notebooks, in reading order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def place_of(file: str) -> str | None:
    """Return the place on the site of a file of the checkout, if it has one."""
    if file in TEXTS or file in FILES:
        return {**TEXTS, **FILES}[file]
    if re.fullmatch(r"notebooks/\d\d_\w+\.ipynb", file):
        return file.replace("notebooks/", "chapters/")
    if file.endswith(".py") and file.split("/")[0] in FLOORS:
        return f"reference/{module_of(Path(file))}.rst"
    return None


def module_of(file: Path) -> str:
    """Return the name of the module that a file of the checkout holds."""
    parts = [*file.parts[:-1], file.stem]
    return ".".join(parts[:-1] if file.stem == "__init__" else parts)
