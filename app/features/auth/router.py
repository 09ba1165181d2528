"""Signing in over HTTP."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.openapi import problem_responses
from app.core.passwords import HashingBusyError, PasswordHasher
from app.core.security import ExpiredTokenError, InvalidTokenError
from app.features.auth.errors import AccountDisabledError, InvalidCredentialsError, RefreshTokenReusedError
from app.features.auth.schemas import PasswordGrant, RefreshGrant, Registration
from app.features.auth.service import Client, SignIns
from app.features.users import service as users
from app.features.users.errors import EmailTakenError, WeakPasswordError
from app.models.user import User
from app.schemas.token import TokenRead
from app.schemas.user import UserRead

router = APIRouter(prefix="/auth", tags=["accounts"])


def sign_ins_of(request: Request) -> SignIns:
    """The use cases, as this process was started with them."""
    sign_ins: SignIns = request.app.state.sign_ins
    return sign_ins


def client_of(request: Request) -> Client:
    """Where the request came from."""
    address = request.client.host if request.client is not None else ""
    return Client(address=address, user_agent=request.headers.get("user-agent", ""))


ServedSignIns = Annotated[SignIns, Depends(sign_ins_of)]


@router.post(
    "/register",
    status_code=HTTPStatus.CREATED,
    response_model=UserRead,
    responses=problem_responses(EmailTakenError, WeakPasswordError, HashingBusyError, DatabaseUnavailableError),
)
async def register(body: Registration, request: Request, db: DbSession) -> User:
    """Make an account that may ask for forecasts; then sign in at POST /auth/token."""
    passwords: PasswordHasher = request.app.state.passwords
    return await users.create_user(db, passwords, email=body.email, password=body.password.get_secret_value())


@router.post(
    "/token",
    responses=problem_responses(
        InvalidCredentialsError, AccountDisabledError, HashingBusyError, DatabaseUnavailableError
    ),
)
async def sign_in(form: Annotated[PasswordGrant, Form()], sign_ins: ServedSignIns, db: DbSession) -> TokenRead:
    """Exchange an e-mail address and a password for tokens (OAuth2 password form)."""
    return await sign_ins.sign_in(db, email=form.username, password=form.password.get_secret_value())


@router.post(
    "/refresh",
    responses=problem_responses(
        InvalidTokenError, ExpiredTokenError, RefreshTokenReusedError, DatabaseUnavailableError
    ),
)
async def refresh(
    body: RefreshGrant, client: Annotated[Client, Depends(client_of)], sign_ins: ServedSignIns, db: DbSession
) -> TokenRead:
    """Exchange a refresh token for the next pair; each works once, and a second use ends the sign-in."""
    return await sign_ins.refresh(db, body.refresh_token, client)


@router.post("/logout", status_code=HTTPStatus.NO_CONTENT, responses=problem_responses(DatabaseUnavailableError))
async def sign_out(body: RefreshGrant, sign_ins: ServedSignIns, db: DbSession) -> None:
    """Stop every token of the sign-in that this refresh token belongs to, the access tokens included."""
    await sign_ins.sign_out(db, body.refresh_token)
