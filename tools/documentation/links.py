"""Links between the repository's files, as they read on the site; and lists, as they read everywhere else."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (
    "README.md",
    "README.pt.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
)  # outside of docs/, read on the site too
LINK: Final = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
FENCE: Final = re.compile(r"\s*```")
ITEM: Final = re.compile(r"(- |\d+\. )")


def place_of(path: str) -> str:
    """Where a file of the repository stands among the site's sources.

    >>> place_of("docs/data.md"), place_of("docs/notebooks/residuals.py")
    ('data.md', 'notebooks/residuals.md')
    >>> place_of("CHANGELOG.md"), place_of("deploy/nginx/closecast.conf")
    ('project/changelog.md', 'project/deploy/nginx/closecast.conf.txt')
    """
    if path.startswith("docs/"):
        inside = path.removeprefix("docs/")
        return f"{inside.removesuffix('.py')}.md" if inside.endswith(".py") else inside
    return f"project/{path.lower()}" if path in PAGES else f"project/{path.lstrip('.')}.txt"


def relinked(markdown: str, path: str) -> str:
    """A page's text with links that lead to the same files on the site; ``path`` is the page's in the repository.

    >>> relinked("[changes](../CHANGELOG.md) [bases](data.md#price-bases)", "docs/README.md")
    '[changes](project/changelog.md) [bases](data.md#price-bases)'
    """

    def moved(found: re.Match[str]) -> str:
        to = place_of(_target(found[1], path))
        return f"]({posixpath.relpath(to, posixpath.dirname(place_of(path)) or '.')}{found[2] or ''})"

    return LINK.sub(moved, markdown)


def files_linked(markdown: str, path: str) -> Iterator[str]:
    """The files outside of docs/ that a page of docs/ leads to, pages left out."""
    for found in LINK.finditer(markdown):
        target = _target(found[1], path)
        if not target.startswith("docs/") and target not in PAGES and (ROOT / target).is_file():
            yield target


def _target(link: str, path: str) -> str:
    return posixpath.normpath(str(PurePosixPath(path).parent / link))


def spaced(markdown: str) -> str:
    """A blank line before each list and table that follows a line of text at once: Python-Markdown sees none without.

    >>> spaced("Two things:\\n- one\\n- two")
    'Two things:\\n\\n- one\\n- two'
    """
    lines: list[str] = []
    fenced, before = False, ""
    for line in markdown.splitlines():
        begins = (ITEM.match(line) and not ITEM.match(before)) or (line.startswith("|") and not before.startswith("|"))
        if begins and before and not before.startswith(" ") and not fenced:
            lines.append("")
        lines.append(line)
        fenced ^= FENCE.match(line) is not None
        before = line
    return "\n".join(lines)
