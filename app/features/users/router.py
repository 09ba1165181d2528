"""Accounts over HTTP."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request

from app.core.brake import Brake, SignInBrakedError
from app.core.database import DbSession
from app.core.identities import forget_here
from app.core.openapi import problem_responses
from app.core.paging import Cursor, InvalidCursorError, PageLimit
from app.core.passwords import HashingBusyError, PasswordHasher
from app.core.refusals import SignInNeededError
from app.core.security import AdminUser, CurrentUser, SignedInUser
from app.features.users import service
from app.features.users.errors import (
    LastAdministratorError,
    OwnAccountError,
    UserNotFoundError,
    WeakPasswordError,
    WrongPasswordError,
)
from app.features.users.schemas import PasswordChange, UserPatch
from app.models.user import User
from app.schemas.page import Page
from app.schemas.user import UserRead

router = APIRouter(prefix="/users", tags=["accounts"])


@router.get("/me", response_model=UserRead)
async def read_me(user: CurrentUser, db: DbSession) -> User:
    """Your own account."""
    return await service.read_user(db, user.user_id)


@router.post(
    "/me/password",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problem_responses(
        SignInNeededError, WrongPasswordError, WeakPasswordError, SignInBrakedError, HashingBusyError
    ),
)
async def change_password(body: PasswordChange, request: Request, user: SignedInUser, db: DbSession) -> None:
    """Replace your password; every sign-in ends, this one too, so sign in again afterwards. API keys stay."""
    passwords: PasswordHasher = request.app.state.passwords
    brake: Brake = request.app.state.brake
    await service.change_password(
        db,
        passwords,
        brake,
        user_id=user.user_id,
        current=body.current_password.get_secret_value(),
        new=body.new_password.get_secret_value(),
    )
    forget_here(request, user.user_id)


@router.delete(
    "/me", status_code=HTTPStatus.NO_CONTENT, responses=problem_responses(SignInNeededError, LastAdministratorError)
)
async def delete_me(request: Request, user: SignedInUser, db: DbSession) -> None:
    """Delete your account for good; what was answered to you stays, without your name."""
    await service.delete_own_account(db, user.user_id)
    forget_here(request, user.user_id)


@router.get("", responses=problem_responses(InvalidCursorError))
async def list_users(_admin: AdminUser, db: DbSession, cursor: Cursor = None, limit: PageLimit = 50) -> Page[UserRead]:
    """All accounts, oldest first."""
    return await service.list_users(db, cursor=cursor, limit=limit)


@router.patch("/{user_id}", response_model=UserRead, responses=problem_responses(UserNotFoundError, OwnAccountError))
async def patch_user(
    user_id: Annotated[UUID, Path(examples=["0b9f7c1e-6a5d-4d1c-9a3e-2f6f0c9a7b11"])],
    body: UserPatch,
    request: Request,
    admin: AdminUser,
    db: DbSession,
) -> User:
    """Change what an account may do, or disable it; both work in every process within a second."""
    user = await service.patch_user(db, admin, user_id, body)
    forget_here(request, user_id)
    return user
