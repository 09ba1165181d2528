"""Which other sites' pages may call the API from a browser: none, unless the setting names them."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

ASKED_WITH = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "X-API-Key",
    "X-Request-ID",
    "traceparent",
)
SHOWN = (
    "ETag",
    "Idempotency-Replayed",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
PREFLIGHT_SECONDS = 600


def allow_origins(app: FastAPI, origins: list[str]) -> None:
    """Let pages of ``origins`` read answers; without any, a browser lets no other site.

    Tokens travel in a header that a page must know, so no credentials of the browser are allowed; the one cookie there
    is, of our own pages, is for their session alone (app/features/web/session_router.py).
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=ASKED_WITH,
            expose_headers=SHOWN,
            max_age=PREFLIGHT_SECONDS,
        )
