"""V2.2.1, V15.2.2: how much one request may ask for, on every operation that takes it; generated from the document."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.users.schemas import UserPatch
from app.features.users.service import change_user, create_user
from app.models.user import Scope
from tests.app.accounts import Account, sign_in
from tests.app.conftest import PASSWORD
from tests.security.matrix import MATRIX
from tests.security.test_matrix import operations, whole_document

PAGE, BATCH, ROWS = 200, 100, 5_000


def taking(parameter: str) -> list[str]:
    """Operations with a query parameter of that name."""
    return [
        name
        for name, (_, _, described) in operations(whole_document()).items()
        if parameter in {given["name"] for given in described.get("parameters", [])}
    ]


def with_body() -> list[str]:
    """Operations that read a body."""
    return [name for name, (_, _, described) in operations(whole_document()).items() if "requestBody" in described]


async def ask(client: httpx.AsyncClient, name: str, user: Account, **options: Any) -> httpx.Response:
    """One operation, asked by a user; nobody's ids stand in its path."""
    method, path, _ = operations(whole_document())[name]
    for parameter, value in MATRIX[name].path.items():
        path = path.replace(f"{{{parameter}}}", value.strip("{}"))
    return await client.request(method, path, headers=user.headers, **options)


async def test_v15_2_2_no_body_is_read_beyond_the_limit(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account
) -> None:
    settings: Settings = app.state.settings
    names = with_body()

    answers = [
        await ask(client, name, registered_user, content=b"x" * (settings.body_limit_bytes + 1)) for name in names
    ]

    assert len(names) >= 10
    assert {answer.status_code for answer in answers} == {413}


async def test_v2_2_1_no_page_is_longer_than_its_limit(
    app: FastAPI, client: httpx.AsyncClient, db: AsyncSession
) -> None:
    names, email = taking("limit"), "all@example.org"
    user = await create_user(db, app.state.passwords, email=email, password=PASSWORD)
    await change_user(db, user.id, UserPatch(scopes=set(Scope)))
    who = await sign_in(client, email=email, password=PASSWORD)

    assert len(names) >= 8
    for name in names:
        answers = {limit: await ask(client, name, who, params={"limit": limit}) for limit in (0, -1, 10**9, "1e3")}
        assert {answer.status_code for answer in answers.values()} == {422}, name


@pytest.mark.parametrize("number", [0, BATCH + 1])
async def test_v2_2_1_a_batch_has_from_one_to_a_hundred_tickers(
    number: int, client: httpx.AsyncClient, registered_user: Account
) -> None:
    body = {"tickers": [f"T{each}" for each in range(number)]}

    assert (await ask(client, "predict_batch", registered_user, json=body)).status_code == 422


@pytest.mark.parametrize("name", ["predict_from_body", "infer"])
@pytest.mark.parametrize("row", [100.0, [101.0, 99.0, 100.0, 1e6]])
async def test_v2_2_1_a_window_of_one_s_own_has_a_longest_length(
    name: str, row: Any, client: httpx.AsyncClient, registered_user: Account
) -> None:
    answer = await ask(client, name, registered_user, json={"sequence": [row] * ROWS})

    assert answer.status_code == 422
    assert len(answer.content) < 2_000  # it does not repeat what was sent
