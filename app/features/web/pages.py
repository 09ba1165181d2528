"""The pages: frames without anybody's data, which their scripts fill from the API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from app.features.web import static_files
from app.features.web.training_fields import training_fields
from app.features.web.words import LANGUAGES, language_of, words_of
from app.schemas.user import SHORTEST_PASSWORD
from ml_lifecycle.export.manifest import HORIZONS

LANGUAGE_COOKIE: Final = "closecast_language"
THEME_COOKIE: Final = "closecast_theme"  # written by the switch's script, read here so that no page flashes
A_YEAR: Final = 365 * 86_400
THEMES: Final = ("light", "dark")

# Plotly sets styles through the DOM, which no policy forbids; its own style sheet is switched off (layout.html).
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",  # scripts send what is typed, so that a password never gets into an address
        "frame-ancestors 'none'",
    )
)


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes
    ----------
    path : where it is; a part in braces is the script's to read.
    name : of its template, of its script in static/js/pages, and of its title (`NAME.title`).
    menu : whether, and for whom, the menu leads to it.
    """

    path: str
    name: str
    menu: Literal["everybody", "signed_in", "admin"] | None = None


START: Final = Page("/", "start", menu="everybody")
PAGES: Final = (
    Page("/pages", "start"),  # where the language is chosen: a program's `/` takes no query
    Page("/pages/login", "login"),
    Page("/pages/register", "register"),
    Page("/pages/track-record", "track_record", menu="everybody"),
    Page("/pages/keys", "keys", menu="signed_in"),
    Page("/pages/models", "models", menu="admin"),
    Page("/pages/operations", "operations", menu="admin"),
    # `:path`: whatever is typed in a ticker's place reaches the API, which says what is wrong with it.
    Page("/pages/tickers/{ticker:path}", "ticker"),
)
MISSING: Final = Page("/pages/{path:path}", "missing")  # whatever else is asked for: a reader gets words, not JSON
MENU: Final = tuple(page for page in (START, *PAGES) if page.menu is not None)


@cache
def templates() -> Environment:
    """Everything that is put into a page is escaped, and what a template misses is an error."""
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "static": static_files.address_of,
        "plotly": static_files.plotly_address,
        "plotly_style_id": static_files.plotly_style_id,
        "languages": LANGUAGES,
        "menu": MENU,
        "horizons": HORIZONS,
        "training_fields": training_fields,
        "shortest_password": SHORTEST_PASSWORD,
    }
    return environment


def render(request: Request, page: Page, status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    """A page in its reader's language and theme; a language that the address names is remembered."""
    asked = request.query_params.get("lang")
    remembered = request.cookies.get(LANGUAGE_COOKIE)
    language = language_of(asked, remembered, request.headers.get("accept-language", ""))
    theme = request.cookies.get(THEME_COOKIE)
    body = (
        templates()
        .get_template(f"{page.name}.html")
        .render(
            page=page,
            language=language,
            theme=theme if theme in THEMES else None,
            t=translator(words_of(language)),
            path=request.url.path,
            docs=request.app.openapi_url is not None,
            version=request.app.version,
        )
    )
    answer = HTMLResponse(
        body,
        status_code=status,
        headers={
            "Content-Security-Policy": POLICY,
            "Content-Language": language,
            "Vary": "Accept, Accept-Language, Cookie",
        },
    )
    if asked == language != remembered:
        answer.set_cookie(
            LANGUAGE_COOKIE,
            language,
            max_age=A_YEAR,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
    return answer


def translator(words: Mapping[str, str]) -> Callable[..., str]:
    """What templates call ``t``: the text of a key, with its places in braces filled.

    >>> translator({"hello": "Hello {name}"})("hello", name="Ada")
    'Hello Ada'
    """

    def translate(key: str, **places: object) -> str:
        return words[key].format(**places) if places else words[key]

    return translate
