"""Nothing of a query is quietly left out: a key that is given twice is refused, on every route."""

from collections import Counter

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.problems import invalid_place, invalid_request, problem_response


class SingleKeysMiddleware:
    """Answers 422 where FastAPI would take the last of several values; no route takes a list."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http" and (repeated := repeated_keys(QueryParams(scope["query_string"]))):
            places = [invalid_place(("query", key), "Input should be given once", "repeated_key") for key in repeated]
            app = problem_response(Request(scope), invalid_request(places))
        await app(scope, receive, send)


def repeated_keys(query: QueryParams) -> list[str]:
    """Keys that a query gives more than once.

    >>> repeated_keys(QueryParams("limit=1&cursor=x&limit=1"))
    ['limit']
    """
    return [key for key, times in Counter(key for key, _ in query.multi_items()).items() if times > 1]
