"""Accounts, handled from the command line under the same rules as over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from app.config import Settings
    from app.core.passwords import PasswordHasher
    from app.features.users.schemas import UserPatch
    from app.models.user import User

    Result = TypeVar("Result")

PAGE = 200


def in_one_session(settings: Settings, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
    """What ``work`` gives on a session of its own."""
    from app.supervisor.one_session import one_session

    async def run() -> Result:
        async with one_session(settings) as db:
            return await work(db)

    return asyncio.run(run())


def create_account(settings: Settings, *, email: str, password: str, admin: bool = False) -> User:
    """Make an account under the same rules as a registration.

    Raises
    ------
    pydantic.ValidationError : no e-mail address, or a password that is too short or too long.
    EmailTakenError, WeakPasswordError
    """
    from app.features.auth.schemas import Registration
    from app.features.users.service import create_user

    Registration.model_validate({"email": email, "password": password})

    async def create(db: AsyncSession, passwords: PasswordHasher) -> User:
        return await create_user(db, passwords, email=email, password=password, admin=admin)

    return _hashing(settings, create)


def replace_password(settings: Settings, email: str, password: str) -> None:
    """Give an account a password; all of its sign-ins end.

    Raises
    ------
    pydantic.ValidationError : a password that is too short or too long.
    NoSuchAccountError, WeakPasswordError
    """
    from app.features.users import service
    from app.features.users.schemas import PasswordChange

    PasswordChange.model_validate({"current_password": "unknown", "new_password": password})

    async def replace(db: AsyncSession, passwords: PasswordHasher) -> None:
        await service.set_password(db, passwords, await service.read_user_of(db, email), password)

    _hashing(settings, replace)


def _hashing(settings: Settings, work: Callable[[AsyncSession, PasswordHasher], Awaitable[Result]]) -> Result:
    from app.core.passwords import PasswordHasher

    passwords = PasswordHasher(settings.password_threads)
    try:
        return in_one_session(settings, lambda db: work(db, passwords))
    finally:
        passwords.close()


def all_accounts(settings: Settings) -> list[User]:
    """Every account, oldest first."""
    from app.features.users import crud

    async def read(db: AsyncSession) -> list[User]:
        found: list[User] = []
        after: tuple[datetime, UUID] | None = None
        while page := await crud.list_users(db, after=after, limit=PAGE):
            found += page
            after = page[-1].created_at, page[-1].id
        return found

    return in_one_session(settings, read)


def change_account(settings: Settings, email: str, patch: UserPatch) -> User:
    """Change what an account may do, or disable or enable it.

    Raises
    ------
    NoSuchAccountError
    """
    from app.features.users import service

    async def change(db: AsyncSession) -> User:
        return await service.change_user(db, (await service.read_user_of(db, email)).id, patch)

    return in_one_session(settings, change)


def delete_account(settings: Settings, email: str) -> None:
    """Delete an account for good; what was answered to it stays, without its name.

    Raises
    ------
    NoSuchAccountError
    """
    from app.features.users import service

    async def delete(db: AsyncSession) -> None:
        await service.delete_user(db, (await service.read_user_of(db, email)).id)

    in_one_session(settings, delete)
