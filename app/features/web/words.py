"""What the pages say, in English and in Portuguese, and which of the two a reader gets."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("en", "pt")  # the first is for whoever reads neither
FOLDER: Final = Path(__file__).parent / "translations"


@cache
def words_of(language: str) -> Mapping[str, str]:
    """Every text of the pages by its key; each file of the language's folder holds those of a part of them."""
    words: dict[str, str] = {}
    for file in sorted((FOLDER / language).glob("*.json")):
        words |= json.loads(file.read_text(encoding="utf-8"))
    return words


def language_of(asked: str | None, remembered: str | None, accept_language: str) -> str:
    """The language of the address, else the one chosen before, else what the browser likes best (RFC 9110, 12.5.4).

    >>> language_of(None, None, "fr, pt-BR;q=0.8, en;q=0.1"), language_of("en", "pt", ""), language_of(None, None, "*")
    ('pt', 'en', 'en')
    """
    for wanted in (asked, remembered):
        if wanted in LANGUAGES:
            return wanted
    weighed = [_weighed(part) for part in accept_language.split(",")]
    ours = [(weight, name) for name, weight in weighed if name in LANGUAGES and weight > 0]
    return max(ours, key=lambda each: each[0])[1] if ours else LANGUAGES[0]


def _weighed(part: str) -> tuple[str, float]:
    """Main language and weight of one range; 0 where the weight is none.

    >>> _weighed(" pt-BR;q=0.8"), _weighed("en"), _weighed("en;q=much")
    (('pt', 0.8), ('en', 1.0), ('en', 0.0))
    """
    name, _, parameter = part.partition(";")
    try:
        weight = float(parameter.strip().removeprefix("q=") or "1")
    except ValueError:
        weight = 0.0
    return name.strip().lower().partition("-")[0], weight
