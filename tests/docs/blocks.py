"""The fenced blocks of a page, and which of them are run: those under `<!-- run -->`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[2] / "docs"
BLOCK: Final = re.compile(r"^(<!-- run -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT: Final = re.compile(r"(^|\s+)# .*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One of them."""

    language: str
    text: str
    is_run: bool

    @property
    def without_comments(self) -> str:
        """What a machine reads of it."""
        return COMMENT.sub("", self.text)


def blocks_of(page: Path) -> list[Block]:
    """All of a page, in order."""
    return [Block(language, text, bool(mark)) for mark, language, text in BLOCK.findall(page.read_text())]


def run_of(page: Path, language: str) -> str:
    """The marked blocks of one language, one after the other: later ones use what earlier ones set."""
    return "\n".join(block.text for block in blocks_of(page) if block.is_run and block.language == language)
