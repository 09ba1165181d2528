"""API keys, handled from the command line under the same rules as over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.accounts import PAGE, in_one_session

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from app.config import Settings
    from app.features.auth.schemas import ApiKeyRead, ApiKeyWish, NewApiKeyRead


def create_key(settings: Settings, email: str, wish: ApiKeyWish) -> NewApiKeyRead:
    """Make an API key of an account.

    Raises
    ------
    NoSuchAccountError, ScopeNotYoursError, TooManyApiKeysError
    """
    from app.features.auth.api_keys import create_api_key
    from app.features.users.service import read_user_of

    async def create(db: AsyncSession) -> NewApiKeyRead:
        return await create_api_key(db, (await read_user_of(db, email)).id, wish)

    return in_one_session(settings, create)


def keys_of(settings: Settings, email: str) -> list[ApiKeyRead]:
    """Every API key of an account, oldest first, revoked and expired ones too.

    Raises
    ------
    NoSuchAccountError
    """
    from app.features.auth import crud
    from app.features.auth.schemas import ApiKeyRead
    from app.features.users.service import read_user_of

    async def read(db: AsyncSession) -> list[ApiKeyRead]:
        user_id = (await read_user_of(db, email)).id
        found: list[ApiKeyRead] = []
        after: tuple[datetime, UUID] | None = None
        while page := await crud.list_api_keys(db, user_id, after=after, limit=PAGE):
            found += [ApiKeyRead.model_validate(key) for key in page]
            after = page[-1].created_at, page[-1].id
        return found

    return in_one_session(settings, read)


def revoke_key(settings: Settings, name: str) -> None:
    """Stop a key for good; ``name`` is its id, or its beginning as lists show it.

    Raises
    ------
    ApiKeyNotFoundError
    """
    from app.features.auth.api_keys import revoke_named_api_key

    async def revoke(db: AsyncSession) -> None:
        await revoke_named_api_key(db, name)

    in_one_session(settings, revoke)
