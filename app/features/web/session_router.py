"""The pages' session: the refresh token in a cookie that no script can read, the access token in the page's memory.

A cookie comes along whoever asks, so these routes answer our own pages alone: the cookie is SameSite=Strict, and the
browser says besides where a request is from (`Sec-Fetch-Site`, `Origin`; W3C Fetch Metadata). The rest of the API knows
no cookie.
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from app.core.database import DbSession
from app.core.problems import document_of, headers_of, problem_response
from app.core.refusals import InvalidTokenError
from app.core.security import Tokens, now_utc
from app.features.auth.dependencies import STRANGERS, ServedSignIns, ThisClient
from app.features.auth.schemas import ShortText
from app.features.web.errors import ForeignPageError
from app.schemas.json_body import JsonBody
from app.schemas.token import TokenRead
from app.schemas.user import KnownPassword

COOKIE: Final = (
    "__Host-closecast_refresh"  # the prefix: this very host set it, over TLS (or on localhost), for all paths
)


async def refuse_other_sites(request: Request) -> None:
    """Whatever a browser says of where a request is from must be this service, and it must say something.

    Raises
    ------
    ForeignPageError
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_ours = [] if site is None else [site == "same-origin"]
    if origin is not None:
        is_ours.append(_host_of(origin) == request.headers.get("host", "").lower())
    if not is_ours or not all(is_ours):
        raise ForeignPageError


def _host_of(origin: str) -> str | None:
    """Host and port of an origin; None where it has none (`null`) or is no address at all."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:  # a bracket without its other one, say
        return None


router = APIRouter(prefix="/pages/session", include_in_schema=False, dependencies=[Depends(refuse_other_sites)])


class Login(JsonBody):
    """Who signs in on a page."""

    email: ShortText
    password: KnownPassword


class PageSession(BaseModel):
    """What a page holds in memory."""

    access_token: str
    expires_in: int
    scope: str


@router.post("/login", dependencies=STRANGERS)
async def begin(request: Request, body: Login, client: ThisClient, sign_ins: ServedSignIns, db: DbSession) -> Response:
    """Sign in; raises what POST /auth/token does."""
    pair = await sign_ins.sign_in(db, email=body.email, password=body.password.get_secret_value(), client=client)
    return _session(request, pair)


@router.post("/refresh", dependencies=STRANGERS)
async def go_on(request: Request, client: ThisClient, sign_ins: ServedSignIns, db: DbSession) -> Response:
    """The next access token; 204 where nobody is signed in, which is nothing wrong."""
    token = request.cookies.get(COOKIE)
    if token is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    try:
        pair = await sign_ins.refresh(db, token, client)
    except InvalidTokenError as error:  # an answer of ours, since an error's own would leave the cookie where it is
        return _without_cookie(problem_response(request, document_of(error), headers_of(error)))
    return _session(request, pair)


@router.post("/logout", dependencies=STRANGERS)
async def end(request: Request, sign_ins: ServedSignIns, db: DbSession) -> Response:
    """Stop every token of the sign-in, and forget the cookie."""
    if (token := request.cookies.get(COOKIE)) is not None:
        await sign_ins.sign_out(db, token)
    return _without_cookie(Response(status_code=HTTPStatus.NO_CONTENT))


def _session(request: Request, pair: TokenRead) -> JSONResponse:
    """What the page's memory takes; the refresh token goes into the cookie alone, for as long as it is good."""
    tokens: Tokens = request.app.state.tokens
    lasts = tokens.verify(pair.refresh_token, "refresh").expires_at - now_utc()
    answer = JSONResponse(PageSession.model_validate(pair, from_attributes=True).model_dump())
    answer.set_cookie(
        COOKIE,
        pair.refresh_token,
        max_age=int(lasts.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
    )
    return answer


def _without_cookie(answer: Response) -> Response:
    answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return answer
