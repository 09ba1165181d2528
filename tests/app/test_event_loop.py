"""Nothing that a request needs is handed to a thread: each hand-over costs a tenth of a millisecond, and more where
threads wait for one another."""

import inspect
from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

import app.main

ROUTERS = [value for value in vars(app.main).values() if isinstance(value, APIRouter)]


def calls_of(dependant: Dependant) -> Iterator[object]:
    """The endpoint, or a dependency, and all that it depends on."""
    yield dependant.call
    for inner in dependant.dependencies:
        yield from calls_of(inner)


def runs_on_the_loop(call: object) -> bool:
    """Whether FastAPI awaits it; what is neither of these goes to a thread."""
    called = call if inspect.isfunction(call) else type(call).__call__
    return inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)


def test_endpoints_and_dependencies_run_on_the_event_loop() -> None:
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    calls = {call for route in routes for call in calls_of(route.dependant) if call is not None}

    assert len(calls) > len(routes) > 20
    assert [call for call in calls if not runs_on_the_loop(call)] == []
