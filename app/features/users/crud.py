"""Rows of accounts, their sign-ins and API keys. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import any_, delete, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.api_key import ApiKey
from app.models.token import SignIn
from app.models.user import Scope, User


async def add_user(db: AsyncSession, *, email: str, password_hash: str, scopes: list[str]) -> User | None:
    """Insert one account; None where the address is taken, in whatever case it was written."""
    statement = insert(User).values(email=email, password_hash=password_hash, scopes=scopes)
    return await db.scalar(statement.on_conflict_do_nothing().returning(User))


async def find_user(db: AsyncSession, user_id: UUID) -> User | None:
    """The account of this id, locked until the transaction ends."""
    return await db.get(User, user_id, with_for_update=True)


async def find_user_of(db: AsyncSession, email: str) -> User | None:
    """The account with this e-mail address, in whatever case it is written, locked until the transaction ends."""
    return await db.scalar(select(User).where(func.lower(User.email) == func.lower(email)).with_for_update())


async def list_users(db: AsyncSession, *, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[User]:
    """Accounts in the order in which they were made."""
    query = select(User).order_by(User.created_at, User.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(User.created_at, User.id) > tuple_(*after))
    return (await db.scalars(query)).all()


async def lock_administrators(db: AsyncSession) -> Sequence[UUID]:
    """Accounts that administrate and are not disabled, locked until the transaction ends."""
    enabled = select(User.id).where(literal(Scope.ADMIN.value) == any_(User.scopes), User.disabled_at.is_(None))
    return (await db.scalars(enabled.order_by(User.id).with_for_update())).all()


async def revoke_sign_ins(db: AsyncSession, user_id: UUID, *, at: datetime) -> None:
    """Stop every token of an account."""
    await db.execute(update(SignIn).where(SignIn.user_id == user_id, SignIn.revoked_at.is_(None)).values(revoked_at=at))


async def revoke_api_keys(db: AsyncSession, user_id: UUID, *, at: datetime) -> None:
    """Stop every API key of an account."""
    await db.execute(update(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)).values(revoked_at=at))


async def delete_user(db: AsyncSession, user_id: UUID) -> None:
    """Delete an account: its sign-ins and keys go too, what it asked for stays without a name (see ``User``)."""
    await db.execute(delete(User).where(User.id == user_id))
