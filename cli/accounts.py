"""Accounts made from the command line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.config import Settings
    from app.models.user import User


def create_account(settings: Settings, *, email: str, password: str, admin: bool = False) -> User:
    """Make an account under the same rules as a registration.

    Raises
    ------
    pydantic.ValidationError : no e-mail address, or a password that is too short or too long.
    EmailTakenError, WeakPasswordError
    """
    from app.features.auth.schemas import Registration

    Registration.model_validate({"email": email, "password": password})
    return asyncio.run(_create(settings, email=email, password=password, admin=admin))


async def _create(settings: Settings, *, email: str, password: str, admin: bool) -> User:
    from app.core.passwords import PasswordHasher
    from app.features.users.service import create_user
    from app.supervisor.one_session import one_session

    passwords = PasswordHasher(settings.password_threads)
    try:
        async with one_session(settings) as db:
            return await create_user(db, passwords, email=email, password=password, admin=admin)
    finally:
        passwords.close()
