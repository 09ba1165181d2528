"""Scripts, styles and words that the pages load, under addresses that change with what is in them.

All own files share one digest, `/static/{digest}/…`, so that a module finds its neighbours by a relative address and a
page never mixes two releases. Plotly is the file that its wheel carries: Python's part of it is never imported.
"""

import gzip
import json
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from app.core.etags import etag_of, is_known
from app.features.web.words import LANGUAGES, words_of

FOLDER: Final = Path(__file__).parent / "static"
PATH: Final = "/static"
FOREVER: Final = "public, max-age=31536000, immutable"  # another content has another address
ASK_EACH_TIME: Final = "no-cache"
DIGITS: Final = 16  # of a digest, in an address


@dataclass(frozen=True)
class StaticFile:
    """One file as it goes out."""

    content: bytes
    media_type: str

    @cached_property
    def zipped(self) -> bytes:
        """The same for whoever takes gzip: made once in a process."""
        return gzip.compress(self.content, mtime=0)

    @cached_property
    def etag(self) -> str:
        """Weak: the same content goes out zipped or not."""
        return etag_of(self.content)


@cache
def own_files() -> Mapping[str, StaticFile]:
    """Every file of ours by its path below the digest; the words of a language are one file of it."""
    files = {
        path.relative_to(FOLDER).as_posix(): StaticFile(path.read_bytes(), _media_type(path.name))
        for path in sorted(FOLDER.rglob("*"))
        if path.is_file()
    }
    for language in LANGUAGES:
        words = json.dumps(dict(words_of(language)), ensure_ascii=False, separators=(",", ":"))
        files[f"translations/{language}.json"] = StaticFile(words.encode(), "application/json")
    return files


@cache
def own_digest() -> str:
    """Of all own files together."""
    digest = sha256()
    for path, file in own_files().items():
        digest.update(f"{path}\0{len(file.content)}\0".encode())
        digest.update(file.content)
    return digest.hexdigest()[:DIGITS]


@cache
def plotly() -> StaticFile:
    """The whole library, 4.8 MB, 1.4 MB zipped; read and zipped when a page first asks for it.

    Raises
    ------
    FileNotFoundError : the wheel does not carry it where it did.
    """
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("plotly is not installed")
    path = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    return StaticFile(path.read_bytes(), _media_type(path.name))


@cache
def plotly_name() -> str:
    """``plotly-….js``, with a digest of what is in it."""
    return f"plotly-{sha256(plotly().content).hexdigest()[:DIGITS]}.js"


@cache
def plotly_style_id() -> str | None:
    """Id of the style element that Plotly writes for its maps, which we do not draw, unless an element has it."""
    found = re.search(rb'getElementById\("([0-9a-f]{64})"\)', plotly().content)
    return None if found is None else found[1].decode()


def address_of(path: str) -> str:
    """Where a page finds a file of ours.

    Raises
    ------
    KeyError : there is none of this path.
    """
    _ = own_files()[path]
    return f"{PATH}/{own_digest()}/{path}"


def plotly_address() -> str:
    """Where a page finds Plotly."""
    return f"{PATH}/{plotly_name()}"


def find_file(name: str) -> tuple[StaticFile, bool] | None:
    """The file at ``/static/{name}``, and whether the address is of this very content.

    A page that another release's process wrote, while both serve, gets this release's file and keeps it not.
    """
    if name.startswith("plotly-") and name.endswith(".js"):
        return plotly(), name == plotly_name()
    digest, _, path = name.partition("/")
    file = own_files().get(path)
    return None if file is None else (file, digest == own_digest())


def answer(request: Request, file: StaticFile, *, is_current: bool) -> Response:
    """The file, zipped for whoever takes that; 304 for whoever holds it."""
    headers = {
        "ETag": file.etag,
        "Cache-Control": FOREVER if is_current else ASK_EACH_TIME,
        "Vary": "Accept-Encoding",
    }
    if is_known(file.etag, request.headers.get("if-none-match")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.content, media_type=file.media_type, headers=headers)
    return Response(file.zipped, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})


def _media_type(name: str) -> str:
    """By the name's end; the table of the machine is not asked for scripts, where it may say anything."""
    if name.endswith(".js"):
        return "text/javascript"
    found, _ = mimetypes.guess_type(name)
    return found or "application/octet-stream"
