"""Nothing of a request is quietly left out: a query parameter or a body that a route knows nothing of is refused."""

from collections.abc import Iterator
from typing import Any

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Cookie, Header, Path
from fastapi.routing import APIRoute

ELSEWHERE = (Path, Header, Cookie)  # parameters that do not come in the query
EMPTY_BODIES = (b"", b"{}")  # some clients send an object with nothing in it where there is nothing to say
NO_BODY = "Input should be left out: no body is taken here"


async def refuse_what_is_not_declared(request: Request) -> None:
    """What every route depends on; the pages that no client is to call by program are left alone.

    Raises
    ------
    RequestValidationError : with each place, as for a field that a body must not have.
    """
    route = request.scope["route"]
    if not isinstance(route, APIRoute) or not route.include_in_schema:
        return
    errors = list(_unknown_parameters(request, route)) if request.scope["query_string"] else []
    if route.body_field is None and (await request.body()).strip() not in EMPTY_BODIES:
        errors.append({"type": "body_not_taken", "loc": ("body",), "msg": NO_BODY})
    if errors:
        raise RequestValidationError(errors)


def _unknown_parameters(request: Request, route: APIRoute) -> Iterator[dict[str, Any]]:
    known = {field.alias for field in get_flat_params(route.dependant) if not isinstance(field.field_info, ELSEWHERE)}
    for name in request.query_params:
        if name not in known:
            yield {"type": "extra_forbidden", "loc": ("query", name), "msg": "Extra inputs are not permitted"}
