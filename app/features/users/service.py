"""What can be done with accounts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.brake import Brake
from app.core.paging import decode_cursor, encode_cursor, page_of
from app.core.passwords import PasswordHasher
from app.core.security import Principal, now_utc
from app.features.users import crud
from app.features.users.errors import (
    EmailTakenError,
    LastAdministratorError,
    NoSuchAccountError,
    OwnAccountError,
    UserNotFoundError,
    WrongPasswordError,
)
from app.features.users.password_policy import refuse_weak_password
from app.features.users.schemas import UserPatch
from app.models.user import Scope, User
from app.schemas.page import Page
from app.schemas.user import UserRead


async def create_user(
    db: AsyncSession, passwords: PasswordHasher, *, email: str, password: str, admin: bool = False
) -> User:
    """Make an account and commit it.

    Raises
    ------
    EmailTakenError, WeakPasswordError
    """
    refuse_weak_password(password, email=email)
    scopes = list(Scope) if admin else [Scope.PREDICT]
    password_hash = await passwords.hash(password)
    user = await crud.add_user(db, email=email, password_hash=password_hash, scopes=[str(scope) for scope in scopes])
    if user is None:
        raise EmailTakenError
    await db.commit()
    return user


async def read_user(db: AsyncSession, user_id: UUID) -> User:
    """One account.

    Raises
    ------
    UserNotFoundError
    """
    user = await crud.find_user(db, user_id)
    if user is None:
        raise UserNotFoundError
    return user


async def read_user_of(db: AsyncSession, email: str) -> User:
    """The account with this e-mail address, in whatever case it is written.

    Raises
    ------
    NoSuchAccountError
    """
    user = await crud.find_user_of(db, email)
    if user is None:
        raise NoSuchAccountError(email)
    return user


async def list_users(db: AsyncSession, *, cursor: str | None, limit: int) -> Page[UserRead]:
    """One page of all accounts, oldest first.

    Raises
    ------
    InvalidCursorError
    """
    rows = await crud.list_users(db, after=decode_cursor(cursor), limit=limit + 1)
    return page_of(
        rows, limit, item=UserRead.model_validate, cursor=lambda last: encode_cursor(last.created_at, last.id)
    )


async def change_password(
    db: AsyncSession, passwords: PasswordHasher, brake: Brake, *, user_id: UUID, current: str, new: str
) -> None:
    """Replace a password; every sign-in made with the former one ends.

    Raises
    ------
    WrongPasswordError, WeakPasswordError, SignInBrakedError
    """
    user = await read_user(db, user_id)
    email, known_hash = user.email, user.password_hash
    await db.rollback()  # hashing takes long: no lock and no connection is held meanwhile
    tries = {"password": user_id.bytes}
    await brake.take(db, tries)
    if not await passwords.verify(current, known_hash):
        raise WrongPasswordError
    await brake.put_back(db, tries)
    await db.commit()
    refuse_weak_password(new, email=email)
    new_hash = await passwords.hash(new)
    user = await read_user(db, user_id)
    if user.password_hash != known_hash:
        raise WrongPasswordError  # it was changed by another request in the meantime
    await _replace_password(db, user, new_hash)


async def set_password(db: AsyncSession, passwords: PasswordHasher, user: User, new: str) -> None:
    """Give an account a password without knowing the former one, as its operator may; its sign-ins end.

    Raises
    ------
    WeakPasswordError
    """
    refuse_weak_password(new, email=user.email)
    await _replace_password(db, user, await passwords.hash(new))


async def _replace_password(db: AsyncSession, user: User, new_hash: str) -> None:
    user.password_hash, user.password_changed_at = new_hash, now_utc()
    await crud.revoke_sign_ins(db, user.id, at=now_utc())
    await db.commit()


async def patch_user(db: AsyncSession, actor: Principal, user_id: UUID, patch: UserPatch) -> User:
    """Change another's account.

    Raises
    ------
    OwnAccountError, UserNotFoundError
    """
    if actor.user_id == user_id:
        raise OwnAccountError
    return await change_user(db, user_id, patch)


async def change_user(db: AsyncSession, user_id: UUID, patch: UserPatch) -> User:
    """Change what an account may do, or disable it, and commit.

    Raises
    ------
    UserNotFoundError
    """
    user = await read_user(db, user_id)
    if patch.scopes is not None:
        user.scopes = [scope for scope in Scope if scope in patch.scopes]
    if patch.disabled is not None:
        await _set_disabled(db, user, disabled=patch.disabled, at=now_utc())
    await db.commit()
    return user


async def _set_disabled(db: AsyncSession, user: User, *, disabled: bool, at: datetime) -> None:
    if not disabled:
        user.disabled_at = None
    elif user.disabled_at is None:
        user.disabled_at = at
        # Enabling the account again must not bring back what was signed in, or held a key, before.
        await crud.revoke_sign_ins(db, user.id, at=at)
        await crud.revoke_api_keys(db, user.id, at=at)


async def delete_own_account(db: AsyncSession, user_id: UUID) -> None:
    """Delete an account for good.

    Raises
    ------
    LastAdministratorError : nobody could administrate afterwards.
    """
    if list(await crud.lock_administrators(db)) == [user_id]:
        raise LastAdministratorError
    await delete_user(db, user_id)


async def delete_user(db: AsyncSession, user_id: UUID) -> None:
    """Delete an account for good, whoever's it is: operators may, at the command line."""
    await crud.delete_user(db, user_id)
    await db.commit()
