"""Making, listing and revoking API keys."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.api_keys import digest_of, new_api_key, prefix_of
from app.core.paging import decode_cursor, encode_cursor, page_of
from app.core.refusals import InvalidTokenError
from app.features.auth import crud
from app.features.auth.errors import ApiKeyNotFoundError, ScopeNotYoursError, TooManyApiKeysError
from app.features.auth.schemas import ApiKeyRead, ApiKeyWish, NewApiKeyRead
from app.models.api_key import ApiKey
from app.models.user import Scope
from app.schemas.page import Page

MOST_LIVE_KEYS = 20  # of one account


async def create_api_key(db: AsyncSession, user_id: UUID, wish: ApiKeyWish) -> NewApiKeyRead:
    """Make a key and commit it; its text is in this answer and nowhere else.

    Raises
    ------
    ScopeNotYoursError, TooManyApiKeysError
    InvalidTokenError : the account is disabled or gone.
    """
    owner = await crud.lock_user(db, user_id)
    if owner is None or owner.disabled_at is not None:  # a moment ago, elsewhere: no key may outlive that
        raise InvalidTokenError
    lacking = wish.scopes.difference(owner.scopes)
    if lacking:
        raise ScopeNotYoursError(sorted(lacking))
    if await crud.count_live_api_keys(db, user_id) >= MOST_LIVE_KEYS:
        raise TooManyApiKeysError(MOST_LIVE_KEYS)
    text = new_api_key()
    row = ApiKey(
        user_id=user_id,
        name=wish.name,
        prefix=prefix_of(text),
        key_sha256=digest_of(text),
        scopes=[scope for scope in Scope if scope in wish.scopes],
        expires_at=_end_of(wish.expires_in_days),
    )
    made = ApiKeyRead.model_validate(await crud.add_api_key(db, row))
    await db.commit()
    return NewApiKeyRead(**made.model_dump(), key=text)


def _end_of(days: int | None) -> datetime | None:
    return None if days is None else datetime.now(UTC) + timedelta(days=days)


async def list_api_keys(db: AsyncSession, user_id: UUID, *, cursor: str | None, limit: int) -> Page[ApiKeyRead]:
    """One page of an account's keys, oldest first, revoked and expired ones too.

    Raises
    ------
    InvalidCursorError
    """
    rows = await crud.list_api_keys(db, user_id, after=decode_cursor(cursor), limit=limit + 1)
    return page_of(
        rows, limit, item=ApiKeyRead.model_validate, cursor=lambda last: encode_cursor(last.created_at, last.id)
    )


async def revoke_api_key(db: AsyncSession, user_id: UUID, key_id: UUID) -> None:
    """Stop a key for good and commit; a second time changes nothing.

    Raises
    ------
    ApiKeyNotFoundError : there is none of this id, or it is another account's.
    """
    await _revoke(db, await crud.find_api_key(db, key_id, user_id=user_id))


async def revoke_named_api_key(db: AsyncSession, name: str) -> None:
    """Stop any account's key for good and commit, as the operator may; ``name`` is its id or its beginning.

    Raises
    ------
    ApiKeyNotFoundError
    """
    await _revoke(db, await crud.find_named_api_key(db, name))


async def _revoke(db: AsyncSession, key: ApiKey | None) -> None:
    if key is None:
        raise ApiKeyNotFoundError
    if key.revoked_at is None:
        key.revoked_at = datetime.now(UTC)
    await db.commit()
