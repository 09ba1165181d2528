"""What the pages say: everything in both languages, everything used, nothing missing."""

import json
import re
from collections.abc import Collection, Mapping
from string import Formatter
from typing import Final, get_args

from pydantic import BaseModel

from app.core.problems import FOUND_ON_THE_WAY_IN, PROBLEMS
from app.features.stock_prediction.schemas import FrozenForecastRead, ServedBundle, SkillRead
from app.features.track_record.schemas import Kind, LabelRead
from app.features.web.pages import MENU, PAGES
from app.features.web.words import FOLDER, LANGUAGES, words_of
from app.models.user import Scope
from tests.app.features.web.families import MODELS, OPERATION, RECORD

WEB: Final = FOLDER.parent
SLUGS: Final = {kind.slug for kind in (*PROBLEMS.values(), *FOUND_ON_THE_WAY_IN.values())}
IN_QUOTES: Final = re.compile(r"""\bt\(\s*["'`]([^"'`$]+)["'`]\s*[,)]""")
MADE_UP: Final = re.compile(r"""\bt\(\s*(?:["'`]([a-z_.]+)["'`]\s*~|`([a-z_.]+)\$\{|["']([a-z_.]+)["'] \+)""")


def _choices(schema: type[BaseModel], field: str) -> set[str]:
    """The words that a field of an answer may hold."""
    return set(get_args(schema.model_fields[field].annotation))


LABELS: Final = set(get_args(LabelRead))

# Keys that a script or a template puts together: what comes after their beginning.
FAMILIES: Final[Mapping[str, Collection[str]]] = {
    **RECORD,
    **MODELS,
    **OPERATION,
    "menu.": {page.name for page in MENU},
    "scope.": {str(scope) for scope in Scope},
    "skill.": LABELS,
    "skill.from_": _choices(SkillRead, "source"),
    "skill_short.": LABELS,
    "bundle.": _choices(ServedBundle, "kind"),
    "market.": _choices(FrozenForecastRead, "market_inputs"),
    "kind.": set(get_args(Kind)),
    "kind_short.": set(get_args(Kind)),
    "promotion.": {"reference", "gate", "forced", "rollback", "stand_in", "closes_network"},
    "ticker.": {
        *("cutoff", "day", "naive", "median", "range_80", "came", "verdict", "error", "naive_error"),
        *("kind", "horizon", "forecasts", "scored", "relative_mae", "coverage_80", "judged"),
    },
    "keys.": {"name", "prefix", "scopes", "created", "ends", "last_used", "revoke"},
}


def sources() -> str:
    """Templates and scripts in one."""
    files = [*WEB.glob("templates/*.html"), *WEB.glob("static/js/**/*.js")]
    return "\n".join(file.read_text() for file in files)


def used() -> set[str]:
    """Every key that a page can ask for, but those of problems, which are asked for if they are there."""
    made = {f"{beginning}{end}" for beginning, ends in FAMILIES.items() for end in ends}
    return set(IN_QUOTES.findall(sources())) | made | {f"{page.name}.title" for page in PAGES}


def test_both_languages_have_the_same_texts() -> None:
    english, portuguese = (words_of(language) for language in LANGUAGES)

    assert english.keys() == portuguese.keys()
    assert all(text.strip() for words in (english, portuguese) for text in words.values())


def test_every_text_that_a_page_asks_for_is_there() -> None:
    assert used() - words_of("en").keys() == set()


def test_every_text_is_asked_for_by_some_page() -> None:
    spoken_of = {f"problem.{slug}" for slug in SLUGS}

    assert words_of("en").keys() - used() - spoken_of == set()


def test_keys_that_are_put_together_are_of_known_families() -> None:
    beginnings = {next(filter(None, found)) for found in MADE_UP.findall(sources())}

    assert beginnings - FAMILIES.keys() - {"problem."} == set()


def test_a_text_has_the_same_places_in_both_languages() -> None:
    def places(language: str) -> dict[str, set[str | None]]:
        parsed = {key: Formatter().parse(text) for key, text in words_of(language).items()}
        return {key: {name for _, name, _, _ in parts} - {None} for key, parts in parsed.items()}

    assert places("en") == places("pt")


def test_no_key_stands_twice() -> None:
    for language in LANGUAGES:
        keys = [
            key
            for file in (FOLDER / language).glob("*.json")
            for key, _ in json.loads(file.read_text(), object_pairs_hook=list)
        ]
        assert len(keys) == len(set(keys))
