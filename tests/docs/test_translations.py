"""What is told in Portuguese is what is told in English: the same commands, the same figures, the same places."""

import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.docs.blocks import BLOCK, DOCS, blocks_of

ROOT: Final = Path(__file__).parents[2]
PAIRS: Final = [(ROOT / "README.md", ROOT / "README.pt.md"), (DOCS / "quick-start.md", DOCS / "quick-start.pt.md")]
LINK: Final = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")

both = pytest.mark.parametrize(("english", "portuguese"), PAIRS, ids=["README", "quick-start"])


def figures_of(page: Path) -> Counter[str]:
    """Every number of the prose, without the separators, in which the languages differ: 1,000 is 1.000."""
    prose = LINK.sub("]", BLOCK.sub("", page.read_text()))
    return Counter(re.sub(r"[.,]", "", number) for number in NUMBER.findall(prose))


@both
def test_the_commands_are_the_same(english: Path, portuguese: Path) -> None:
    """Comments, and with them the room before them, may differ; what is run is marked in both."""
    blocks, translated = blocks_of(english), blocks_of(portuguese)
    assert blocks
    assert [(each.language, each.is_run, each.without_comments) for each in translated] == [
        (each.language, each.is_run, each.without_comments) for each in blocks
    ]


@both
def test_the_figures_are_the_same(english: Path, portuguese: Path) -> None:
    assert figures_of(portuguese) == figures_of(english)


@both
def test_each_leads_to_the_other_and_to_pages_that_exist(english: Path, portuguese: Path) -> None:
    for page, other in ((english, portuguese), (portuguese, english)):
        links = LINK.findall(page.read_text())
        assert other.name in links
        assert [link for link in links if ":" not in link and not (page.parent / link).exists()] == []


@both
def test_both_say_that_it_is_no_investment_advice(english: Path, portuguese: Path) -> None:
    assert "no investment advice" in english.read_text()
    assert "não é recomendação de investimento" in portuguese.read_text().lower()
