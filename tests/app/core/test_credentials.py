"""Who asks is read and remembered quickly, and as the documented schemes have it."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from fastapi import Request

from app.core import identities
from app.core.identities import Identities, Principal
from app.core.refusals import InvalidTokenError
from app.core.security import api_key_header, bearer, credentials_in

VALUES = (
    None,
    b"",
    b" ",
    b"Bearer",
    b"Bearer abc",
    b"bEARER  a b ",
    b" Bearer abc",
    b"Basic abc",
    b"Bearer \xe9",
    b"abc",
)
PRINCIPAL = Principal(uuid4(), "ada@example.org", frozenset())


async def test_headers_are_read_as_the_documented_schemes_read_them() -> None:
    """Each header once, twice, or not at all."""
    for name, one, other in product((b"authorization", b"x-api-key"), VALUES, VALUES):
        headers = [(name, value) for value in (one, other) if value is not None]
        request = Request({"type": "http", "headers": headers})

        assert credentials_in(headers) == (await bearer(request), await api_key_header(request))


class Asked(Identities):
    """Identities whose database answers when told to."""

    def __init__(self) -> None:
        super().__init__(lambda _token: pytest.fail("nobody verifies here"), None)  # type: ignore[arg-type]  # not used
        self.times = 0
        self.answering = asyncio.Event()
        self.is_known = True

    async def _ask_about_token(self, _token: str) -> Any:
        self.times += 1
        await self.answering.wait()
        if not self.is_known:
            raise InvalidTokenError
        return PRINCIPAL, datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock; it goes when it is put on."""
    told = [100.0]
    monkeypatch.setattr(identities, "monotonic", lambda: told[0])
    return told


async def test_who_asks_all_the_time_waits_for_the_first_query_alone(now: list[float]) -> None:
    asked = Asked()
    asked.answering.set()
    await asked.of_token("t")
    asked.answering.clear()  # from now on the database is slow

    for age in (0.1, 0.39, 0.41, 0.45, 0.49):
        now[0] = 100.0 + age
        async with asyncio.timeout(30):
            assert await asked.of_token("t") is PRINCIPAL
    assert asked.times == 1  # asked again, not answered yet
    await asyncio.sleep(0)
    assert asked.times == 2

    now[0] = 100.51
    late = asyncio.create_task(asked.of_token("t"))
    await asyncio.sleep(0.01)
    assert not late.done()
    asked.answering.set()
    assert await late is PRINCIPAL
    assert asked.times == 2


async def test_what_was_taken_away_is_refused_by_the_next_query(now: list[float]) -> None:
    asked = Asked()
    asked.answering.set()
    await asked.of_token("t")
    asked.is_known = False
    now[0] = 100.41
    await asked.of_token("t")
    await asyncio.sleep(0.01)  # the database was asked beside it

    with pytest.raises(InvalidTokenError):
        await asked.of_token("t")
