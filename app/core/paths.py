"""Every route stands at the root and under /api/v1, with and without a trailing slash, without a redirect."""

from starlette.types import ASGIApp, Receive, Scope, Send

API_PREFIX = "/api/v1"


def canonical_path(path: str) -> str:
    """The one spelling under which a route is registered.

    >>> canonical_path("/api/v1/predict/AAPL/"), canonical_path("/api/v1"), canonical_path("/api/v10/predict")
    ('/predict/AAPL', '/', '/api/v10/predict')
    """
    if path == API_PREFIX or path.startswith(f"{API_PREFIX}/"):
        path = path.removeprefix(API_PREFIX)
    if len(path) > 1:
        path = path.removesuffix("/")
    return path or "/"


class CanonicalPathMiddleware:
    """Routes see the canonical path; the path as it was sent stays in ``raw_path``."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (path := canonical_path(scope["path"])) != scope["path"]:
            if (scope.get("raw_path") or b"")[-3:].upper() == b"%2F":  # part of a name, not the end of one
                path += "/"
            scope = {**scope, "path": path}
        await self.app(scope, receive, send)
