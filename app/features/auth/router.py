"""Signing in, and API keys, over HTTP."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Path, Request

from app.core.brake import SignInBrakedError
from app.core.database import DatabaseUnavailableError, DbSession
from app.core.identities import forget_here
from app.core.limits import TooManyRequestsError
from app.core.openapi import problem_responses
from app.core.paging import Cursor, InvalidCursorError, PageLimit
from app.core.passwords import HashingBusyError, PasswordHasher
from app.core.refusals import SignInNeededError
from app.core.security import ExpiredTokenError, InvalidTokenError, SignedInUser
from app.features.auth import api_keys
from app.features.auth.dependencies import STRANGERS, ServedSignIns, ThisClient
from app.features.auth.errors import (
    AccountDisabledError,
    ApiKeyNotFoundError,
    InvalidCredentialsError,
    RefreshTokenReusedError,
    ScopeNotYoursError,
    TooManyApiKeysError,
)
from app.features.auth.schemas import (
    ApiKeyRead,
    ApiKeyWish,
    NewApiKeyRead,
    PasswordGrant,
    RefreshGrant,
    Registration,
)
from app.features.users import service as users
from app.features.users.errors import EmailTakenError, WeakPasswordError
from app.models.user import User
from app.schemas.page import Page
from app.schemas.token import TokenRead
from app.schemas.user import UserRead

router = APIRouter(prefix="/auth", tags=["accounts"])


@router.post(
    "/register",
    status_code=HTTPStatus.CREATED,
    response_model=UserRead,
    dependencies=STRANGERS,
    responses=problem_responses(
        EmailTakenError, WeakPasswordError, TooManyRequestsError, HashingBusyError, DatabaseUnavailableError
    ),
)
async def register(body: Registration, request: Request, db: DbSession) -> User:
    """Make an account that may ask for forecasts; then sign in at POST /auth/token."""
    passwords: PasswordHasher = request.app.state.passwords
    return await users.create_user(db, passwords, email=body.email, password=body.password.get_secret_value())


@router.post(
    "/token",
    dependencies=STRANGERS,
    responses=problem_responses(
        InvalidCredentialsError,
        AccountDisabledError,
        SignInBrakedError,
        TooManyRequestsError,
        HashingBusyError,
        DatabaseUnavailableError,
    ),
)
async def sign_in(
    form: Annotated[PasswordGrant, Form()], client: ThisClient, sign_ins: ServedSignIns, db: DbSession
) -> TokenRead:
    """Exchange an e-mail address and a password for tokens (OAuth2 password form)."""
    return await sign_ins.sign_in(db, email=form.username, password=form.password.get_secret_value(), client=client)


@router.post(
    "/refresh",
    dependencies=STRANGERS,
    responses=problem_responses(
        InvalidTokenError, ExpiredTokenError, RefreshTokenReusedError, TooManyRequestsError, DatabaseUnavailableError
    ),
)
async def refresh(body: RefreshGrant, client: ThisClient, sign_ins: ServedSignIns, db: DbSession) -> TokenRead:
    """Exchange a refresh token for the next pair; each works once, and a second use ends the sign-in."""
    return await sign_ins.refresh(db, body.refresh_token, client)


@router.post(
    "/logout",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=STRANGERS,
    responses=problem_responses(TooManyRequestsError, DatabaseUnavailableError),
)
async def sign_out(body: RefreshGrant, sign_ins: ServedSignIns, db: DbSession) -> None:
    """Stop every token of the sign-in that this refresh token belongs to, the access tokens included."""
    await sign_ins.sign_out(db, body.refresh_token)


@router.get("/api-keys", responses=problem_responses(SignInNeededError, InvalidCursorError))
async def list_api_keys(
    user: SignedInUser, db: DbSession, cursor: Cursor = None, limit: PageLimit = 50
) -> Page[ApiKeyRead]:
    """Your API keys, oldest first, without their text."""
    return await api_keys.list_api_keys(db, user.user_id, cursor=cursor, limit=limit)


@router.post(
    "/api-keys",
    status_code=HTTPStatus.CREATED,
    responses=problem_responses(SignInNeededError, ScopeNotYoursError, TooManyApiKeysError),
)
async def create_api_key(body: ApiKeyWish, user: SignedInUser, db: DbSession) -> NewApiKeyRead:
    """Make an API key for a program; keep `key`, which is told this once."""
    return await api_keys.create_api_key(db, user.user_id, body)


@router.delete(
    "/api-keys/{key_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problem_responses(SignInNeededError, ApiKeyNotFoundError),
)
async def revoke_api_key(
    key_id: Annotated[UUID, Path(examples=["6d1f0c52-9b7e-4c1a-8f53-0e5d6a1c2b34"])],
    request: Request,
    user: SignedInUser,
    db: DbSession,
) -> None:
    """Stop one of your API keys for good, in every process within a second."""
    await api_keys.revoke_api_key(db, user.user_id, key_id)
    forget_here(request, user.user_id)
