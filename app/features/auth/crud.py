"""Rows of sign-ins and refresh tokens. Nothing here commits."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.token import RefreshToken, SignIn
from app.models.user import User


@dataclass(frozen=True)
class Credentials:
    """What a sign-in is checked against."""

    user_id: UUID
    password_hash: str
    disabled: bool
    scopes: tuple[str, ...]


async def find_credentials(db: AsyncSession, email: str) -> Credentials | None:
    """Those of the account with this address, in whatever case it is written."""
    query = select(User.id, User.password_hash, User.disabled_at, User.scopes)
    row = (await db.execute(query.where(func.lower(User.email) == func.lower(email)))).one_or_none()
    if row is None:
        return None
    return Credentials(row.id, row.password_hash, row.disabled_at is not None, tuple(row.scopes))


async def hold_credentials(db: AsyncSession, known: Credentials) -> bool:
    """Whether the account still has this password and is not disabled; if so, both stay until the commit."""
    query = select(User.id).where(
        User.id == known.user_id, User.password_hash == known.password_hash, User.disabled_at.is_(None)
    )
    return await db.scalar(query.with_for_update(read=True)) is not None


async def add_sign_in(db: AsyncSession, user_id: UUID) -> SignIn:
    """A new sign-in, without a token yet; the account's expired ones are swept on the way."""
    alive = select(RefreshToken.id).where(RefreshToken.sign_in_id == SignIn.id, RefreshToken.expires_at > func.now())
    await db.execute(delete(SignIn).where(SignIn.user_id == user_id, ~alive.exists()))
    sign_in = SignIn(user_id=user_id)
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
