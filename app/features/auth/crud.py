"""Rows of sign-ins, refresh tokens and API keys. Nothing here commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, cast, delete, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.api_key import ApiKey
from app.models.token import RefreshToken, SignIn
from app.models.user import User


@dataclass(frozen=True)
class Credentials:
    """What a sign-in is checked against; ``knows_address``: the account has a sign-in from the same address."""

    user_id: UUID
    password_hash: str
    disabled: bool
    scopes: tuple[str, ...]
    knows_address: bool


async def find_credentials(db: AsyncSession, email: str, address_digests: list[bytes]) -> Credentials | None:
    """Those of the account with this e-mail address, in whatever case it is written."""
    from_there = exists().where(SignIn.user_id == User.id, SignIn.address_digest.in_(address_digests))
    query = select(User.id, User.password_hash, User.disabled_at, User.scopes, from_there.label("knows_address"))
    row = (await db.execute(query.where(func.lower(User.email) == func.lower(email)))).one_or_none()
    if row is None:
        return None
    return Credentials(row.id, row.password_hash, row.disabled_at is not None, tuple(row.scopes), row.knows_address)


async def hold_credentials(db: AsyncSession, known: Credentials) -> bool:
    """Whether the account still has this password and is not disabled; if so, both stay until the commit."""
    query = select(User.id).where(
        User.id == known.user_id, User.password_hash == known.password_hash, User.disabled_at.is_(None)
    )
    return await db.scalar(query.with_for_update(read=True)) is not None


async def add_sign_in(db: AsyncSession, user_id: UUID, address_digest: bytes) -> SignIn:
    """A new sign-in, without a token yet; the account's expired ones are swept on the way."""
    alive = select(RefreshToken.id).where(RefreshToken.sign_in_id == SignIn.id, RefreshToken.expires_at > func.now())
    await db.execute(delete(SignIn).where(SignIn.user_id == user_id, ~alive.exists()))
    sign_in = SignIn(user_id=user_id, address_digest=address_digest)
    db.add(sign_in)
    await db.flush()
    return sign_in


async def find_sign_in(db: AsyncSession, sign_in_id: UUID) -> tuple[SignIn, User] | None:
    """A sign-in and its account; the sign-in is locked, so that its tokens are used in turn."""
    query = select(SignIn, User).join(User, User.id == SignIn.user_id).where(SignIn.id == sign_in_id)
    row = (await db.execute(query.with_for_update(of=SignIn))).one_or_none()
    return None if row is None else (row[0], row[1])


async def find_refresh_token(db: AsyncSession, token_id: UUID, *, sign_in_id: UUID) -> RefreshToken | None:
    """One refresh token of one sign-in."""
    return await db.scalar(
        select(RefreshToken).where(RefreshToken.id == token_id, RefreshToken.sign_in_id == sign_in_id)
    )


async def add_refresh_token(
    db: AsyncSession, sign_in_id: UUID, *, issued_at: datetime, expires_at: datetime
) -> RefreshToken:
    """A new head of the family."""
    token = RefreshToken(sign_in_id=sign_in_id, issued_at=issued_at, expires_at=expires_at)
    db.add(token)
    await db.flush()
    return token


async def lock_user(db: AsyncSession, user_id: UUID) -> User | None:
    """An account that stays as it is until the commit, and makes one key at a time."""
    return await db.get(User, user_id, with_for_update=True)


async def count_live_api_keys(db: AsyncSession, user_id: UUID) -> int:
    """Keys of an account that open something."""
    not_expired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    live = select(func.count()).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None), not_expired)
    return await db.scalar(live) or 0


async def add_api_key(db: AsyncSession, key: ApiKey) -> ApiKey:
    """Insert one key and read what the database filled in."""
    db.add(key)
    await db.flush()
    await db.refresh(key)
    return key


async def list_api_keys(
    db: AsyncSession, user_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[ApiKey]:
    """Keys of an account in the order in which they were made."""
    query = select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.created_at, ApiKey.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(ApiKey.created_at, ApiKey.id) > tuple_(*after))
    return (await db.scalars(query)).all()


async def find_api_key(db: AsyncSession, key_id: UUID, *, user_id: UUID) -> ApiKey | None:
    """One key of one account, locked until the commit."""
    query = select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id)
    return await db.scalar(query.with_for_update())


async def find_named_api_key(db: AsyncSession, name: str) -> ApiKey | None:
    """The one key with this id or this beginning, locked until the commit; None where two begin alike."""
    query = select(ApiKey).where(or_(cast(ApiKey.id, Text) == name, ApiKey.prefix == name)).with_for_update()
    found = (await db.scalars(query)).all()
    return found[0] if len(found) == 1 else None
