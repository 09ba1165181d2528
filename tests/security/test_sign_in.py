"""Guessing passwords: how it is slowed down, that nobody is locked out by it, and what it does not tell.

Names begin with the requirement of OWASP's ASVS 5.0 that is proved.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from scipy.stats import mannwhitneyu
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.brake import Allowance, Brake
from app.features.auth.tasks import sweep
from app.main import create_app
from app.models.limits import SignInBrake
from app.models.token import RefreshToken, SignIn
from tests.app.accounts import Account
from tests.app.quick_hashing import quick_hashing

WRONG = "not the password"
HOME, ELSEWHERE = "127.0.0.1", "203.0.113.9"
PAIRS = 20

__all__ = ["quick_hashing"]


def set_brake(app: FastAPI, monkeypatch: pytest.MonkeyPatch, **tries: int) -> None:
    """Brakes that give way so often, and once more after each ten minutes."""
    kinds = ("account", "address", "pair", "password")
    brake = Brake({kind: Allowance(tries.get(kind, 1_000), 600.0) for kind in kinds})
    monkeypatch.setattr(app.state.sign_ins, "_brake", brake)
    monkeypatch.setattr(app.state, "brake", brake)


async def try_password(app: FastAPI, email: str, password: str = WRONG, address: str = HOME) -> httpx.Response:
    """Sign in from an address."""
    transport = ASGITransport(app, client=(address, 4444))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.post("/auth/token", data={"username": email, "password": password})


async def statuses(app: FastAPI, email: str, number: int, address: str = HOME) -> list[int]:
    """What so many wrong passwords in a row get."""
    return [(await try_password(app, email, address=address)).status_code for _ in range(number)]


@pytest.mark.usefixtures("quick_hashing")
async def test_v6_3_1_one_address_is_slowed_down_at_one_account_and_told_how_long_to_wait(
    app: FastAPI, registered_user: Account, other_user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_brake(app, monkeypatch, pair=2)

    assert await statuses(app, registered_user.email, 3) == [401, 401, 429]
    braked = await try_password(app, registered_user.email.upper(), registered_user.password)  # the right one, even

    assert (braked.status_code, braked.json()["type"]) == (429, "/problems/too-many-sign-ins")
    assert 590 <= int(braked.headers["retry-after"]) <= 600
    assert (await try_password(app, other_user.email, other_user.password)).status_code == 200
    assert (await try_password(app, registered_user.email, registered_user.password, ELSEWHERE)).status_code == 200


@pytest.mark.usefixtures("quick_hashing")
async def test_v6_3_1_tries_sent_at_once_count_too_and_for_all_processes_together(
    app: FastAPI, registered_user: Account, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = create_app(settings)
    async with another.router.lifespan_context(another):
        for process in (app, another):
            set_brake(process, monkeypatch, pair=3)
        tries = [try_password((app, another)[n % 2], registered_user.email) for n in range(12)]
        answers = [answer.status_code for answer in await asyncio.gather(*tries)]

    assert sorted(answers) == [401] * 3 + [429] * 9


@pytest.mark.usefixtures("quick_hashing")
async def test_v6_3_1_one_address_is_slowed_down_over_all_accounts_known_or_not(
    app: FastAPI, registered_user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_brake(app, monkeypatch, address=4)
    tried = [registered_user.email, *(f"user{n}@example.org" for n in range(5))]

    answers = [(await try_password(app, email, address="2001:db8::1")).status_code for email in tried]
    same_network = await try_password(app, "user9@example.org", address="2001:db8::ffff:1")

    assert answers == [401] * 4 + [429] * 2
    assert same_network.status_code == 429  # one customer has all addresses of a /64
    assert (await try_password(app, "user9@example.org", address="2001:db8:0:1::1")).status_code == 401


@pytest.mark.usefixtures("quick_hashing")
async def test_v6_1_1_strangers_lock_nobody_out(
    app: FastAPI, registered_user: Account, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are and however long they go on: the owner signs in from where the account is known."""
    set_brake(app, monkeypatch, account=4, pair=2)
    strangers = [await statuses(app, registered_user.email, 2, f"198.51.100.{n}") for n in range(4)]
    full_at = await db.scalar(select(func.max(SignInBrake.full_at)))

    assert strangers == [[401, 401], [401, 401], [429, 429], [429, 429]]
    assert (await try_password(app, registered_user.email, registered_user.password, HOME)).status_code == 200
    new_place = await try_password(app, registered_user.email, registered_user.password, ELSEWHERE)
    assert new_place.status_code == 429  # who was never here before waits with the strangers ...

    assert await statuses(app, registered_user.email, 5, "198.51.100.77") == [429] * 5
    assert await db.scalar(select(func.max(SignInBrake.full_at))) == full_at  # ... no longer for their going on ...
    await db.execute(update(SignInBrake).values(full_at=SignInBrake.full_at - timedelta(seconds=600)))
    await db.commit()
    new_place = await try_password(app, registered_user.email, registered_user.password, ELSEWHERE)
    assert new_place.status_code == 200  # ... and gets in when one try is due again


@pytest.mark.usefixtures("quick_hashing")
async def test_v6_1_1_who_knows_the_password_is_never_slowed_down(
    app: FastAPI, registered_user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_brake(app, monkeypatch, account=2, address=2, pair=2)

    answers = [await try_password(app, registered_user.email, registered_user.password, ELSEWHERE) for _ in range(6)]

    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.usefixtures("quick_hashing")
async def test_v6_3_1_a_thief_of_a_token_does_not_guess_the_password_where_it_is_changed(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_brake(app, monkeypatch, password=2)
    body = {"current_password": WRONG, "new_password": "eleven quiet tides return"}

    answers = [await client.post("/users/me/password", json=body, headers=registered_user.headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [403, 403, 429]


@pytest.mark.usefixtures("quick_hashing")
async def test_what_is_counted_is_readable_to_nobody_and_swept_when_it_says_nothing_any_more(
    app: FastAPI, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_brake(app, monkeypatch)
    await try_password(app, "typed my password here by mistake")
    stored = [bytes(subject) for subject in await db.scalars(select(SignInBrake.subject))]

    assert {len(subject) for subject in stored} == {32}
    assert not any(b"password" in subject or HOME.encode() in subject for subject in stored)
    await sweep(db, datetime.now(UTC))
    assert await db.scalar(select(func.count()).select_from(SignInBrake)) == len(stored)
    await db.execute(update(SignInBrake).values(full_at=func.now() - timedelta(seconds=1)))
    await sweep(db, datetime.now(UTC))
    assert await db.scalar(select(func.count()).select_from(SignInBrake)) == 0


async def test_v6_3_8_an_unknown_account_answers_like_a_known_one(app: FastAPI, registered_user: Account) -> None:
    known, unknown = await try_password(app, registered_user.email), await try_password(app, "nobody@example.org")

    assert said(known) == said(unknown)


def said(answer: httpx.Response) -> dict[str, Any]:
    """All of an answer but its id and what is left of the burst, which counts down."""
    own = {"x-request-id", "ratelimit"}
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return {"status": answer.status_code, **headers, **answer.json(), "request_id": ""}


async def test_v6_3_8_an_unknown_account_takes_as_long_as_a_known_one(
    app: FastAPI, registered_user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In turn, so that other work on the machine slows both; `benchmarks/sign_in` does it 1,000 times."""
    set_brake(app, monkeypatch)
    known, unknown = [], []

    for number in range(PAIRS):
        known.append(await seconds(app, registered_user.email))
        unknown.append(await seconds(app, f"user{number}@example.org"))

    assert mannwhitneyu(known, unknown).pvalue > 1e-4  # without the stand-in hash: 1e-9


async def seconds(app: FastAPI, email: str) -> float:
    """How long a wrong password takes."""
    started = perf_counter()
    assert (await try_password(app, email)).status_code == 401
    return perf_counter() - started


@pytest.mark.usefixtures("quick_hashing")
async def test_v7_3_2_a_sign_in_ends_however_often_it_is_refreshed(
    app: FastAPI, client: httpx.AsyncClient, db: AsyncSession, registered_user: Account, settings: Settings
) -> None:
    almost = timedelta(days=settings.sign_in_days - 1)
    await db.execute(update(SignIn).values(started_at=SignIn.started_at - almost))
    await db.commit()

    answer = await client.post("/auth/refresh", json={"refresh_token": registered_user.refresh_token})

    assert answer.status_code == 200
    ends_at = await db.scalar(select(func.max(RefreshToken.expires_at)).where(RefreshToken.used_at.is_(None)))
    assert ends_at is not None
    assert timedelta(hours=23) < ends_at - datetime.now(UTC) <= timedelta(days=1)
