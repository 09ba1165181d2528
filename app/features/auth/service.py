"""Signing in, staying signed in, signing out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.typing import FilteringBoundLogger

from app.config import Settings
from app.core.brake import Brake
from app.core.identities import Identities
from app.core.passwords import HashingBusyError, PasswordHasher
from app.core.security import InvalidTokenError, TokenClaims, Tokens, now_utc
from app.features.auth import crud
from app.features.auth.errors import AccountDisabledError, InvalidCredentialsError, RefreshTokenReusedError
from app.models.token import RefreshToken, SignIn
from app.schemas.token import TokenRead

log: FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True)
class Client:
    """Where a request came from, as far as it tells one program on one machine from another."""

    address: str
    user_agent: str


class SignIns:
    """The use cases, with what they share: keys, hashing, lifetimes."""

    def __init__(
        self, tokens: Tokens, passwords: PasswordHasher, brake: Brake, identities: Identities, settings: Settings
    ) -> None:
        self._tokens, self._passwords, self._brake, self._identities = tokens, passwords, brake, identities
        self._access_lifetime = timedelta(minutes=settings.access_token_minutes)
        self._refresh_lifetime = timedelta(days=settings.refresh_token_days)
        self._longest_sign_in = timedelta(days=settings.sign_in_days)
        self._grace = timedelta(seconds=settings.refresh_grace_seconds)

    async def sign_in(self, db: AsyncSession, *, email: str, password: str, client: Client) -> TokenRead:
        """Exchange a password for tokens. Unknown accounts take as long as wrong passwords, and answer the same.

        Raises
        ------
        InvalidCredentialsError, AccountDisabledError, SignInBrakedError, HashingBusyError
        """
        self._passwords.refuse_when_busy()  # a flood costs no query
        known = await crud.find_credentials(db, email, self._tokens.digests(client.address))
        await db.rollback()  # hashing takes long: a flood of sign-ins must not hold the pool's connections
        tries = self._tries(email, client.address, known)
        await self._brake.take(db, tries)
        if not await self._is_right(db, password, known, tries) or known is None:
            raise InvalidCredentialsError
        if known.disabled:
            raise AccountDisabledError
        if not await crud.hold_credentials(db, known):
            raise InvalidCredentialsError  # the password was changed while this one was being checked
        await self._brake.put_back(db, tries)
        sign_in = await crud.add_sign_in(db, known.user_id, self._tokens.digest(client.address))
        head = await self._add_head(db, sign_in)
        await db.commit()
        return self._token_pair(known.user_id, head, known.scopes)

    def _tries(self, email: str, address: str, known: crud.Credentials | None) -> dict[str, bytes]:
        """What a try is counted against; strangers that use up an account's tries do not keep its owner out."""
        account = email.lower()
        tries = {"address": self._tokens.digest(address), "pair": self._tokens.digest(f"{account}\n{address}")}
        if known is None or not known.knows_address:
            tries["account"] = self._tokens.digest(account)
        return tries

    async def _is_right(
        self, db: AsyncSession, password: str, known: crud.Credentials | None, tries: dict[str, bytes]
    ) -> bool:
        try:
            return await self._passwords.verify(password, known.password_hash if known else None)
        except HashingBusyError:
            await self._brake.put_back(db, tries)
            await db.commit()
            raise

    async def refresh(self, db: AsyncSession, refresh_token: str, client: Client) -> TokenRead:
        """Exchange a refresh token for the next pair. Each works once; a retry of the same client gets the same again.

        Raises
        ------
        InvalidTokenError, ExpiredTokenError
        RefreshTokenReusedError : somebody else used it, or too long ago; the whole sign-in is revoked.
        """
        claims = self._tokens.verify(refresh_token, "refresh")
        sign_in, scopes = await self._open_sign_in(db, claims)
        token = await crud.find_refresh_token(db, claims.jti, sign_in_id=sign_in.id)
        if token is None:
            raise InvalidTokenError
        head = await self._next_head(db, sign_in, token, client)
        if head is None:
            await self._revoke(db, sign_in)
            log.warning("refresh reused, sign-in revoked", user_id=str(sign_in.user_id), sign_in_id=str(sign_in.id))
            raise RefreshTokenReusedError
        await db.commit()
        return self._token_pair(sign_in.user_id, head, scopes)

    async def sign_out(self, db: AsyncSession, refresh_token: str) -> None:
        """Stop every token of the sign-in that ``refresh_token`` belongs to.

        A token that is good for nothing any more is no error: what the caller wants is so already (RFC 7009).
        """
        try:
            claims = self._tokens.verify(refresh_token, "refresh")
            sign_in, _ = await self._open_sign_in(db, claims)
        except InvalidTokenError:
            return
        await self._revoke(db, sign_in)

    async def _open_sign_in(self, db: AsyncSession, claims: TokenClaims) -> tuple[SignIn, tuple[str, ...]]:
        """The sign-in behind a verified token, locked, and what its account may do."""
        found = await crud.find_sign_in(db, claims.sid)
        if found is None:
            raise InvalidTokenError
        sign_in, user = found
        if sign_in.revoked_at is not None or user.disabled_at is not None or user.id != claims.sub:
            raise InvalidTokenError
        return sign_in, tuple(user.scopes)

    async def _next_head(
        self, db: AsyncSession, sign_in: SignIn, token: RefreshToken, client: Client
    ) -> RefreshToken | None:
        """The token that follows ``token``; None where asking for it is theft."""
        described = f"{sign_in.id}\n{client.address}\n{client.user_agent}"
        if token.used_at is None:
            head = await self._add_head(db, sign_in)
            token.used_at, token.successor_id = now_utc(), head.id
            token.client_digest = self._tokens.digest(described)
            return head
        in_time = now_utc() - token.used_at <= self._grace
        same_client = token.client_digest in self._tokens.digests(described)  # also across a change of the secret
        if not (in_time and same_client) or token.successor_id is None:
            return None
        head_again = await crud.find_refresh_token(db, token.successor_id, sign_in_id=sign_in.id)
        return head_again if head_again is not None and head_again.used_at is None else None

    async def _add_head(self, db: AsyncSession, sign_in: SignIn) -> RefreshToken:
        issued_at = now_utc()
        # However often it is refreshed, a sign-in ends: its password is asked for again.
        ends_at = min(issued_at + self._refresh_lifetime, _to_the_second(sign_in.started_at) + self._longest_sign_in)
        return await crud.add_refresh_token(db, sign_in.id, issued_at=issued_at, expires_at=ends_at)

    async def _revoke(self, db: AsyncSession, sign_in: SignIn) -> None:
        sign_in.revoked_at = now_utc()
        await db.commit()
        self._identities.forget(sign_in.user_id)

    def _token_pair(self, user_id: UUID, head: RefreshToken, scopes: tuple[str, ...]) -> TokenRead:
        """Signed tokens of one head; the refresh token is the same however often it is asked for."""
        return TokenRead(
            access_token=self._tokens.sign(
                "access", user_id=user_id, sign_in_id=head.sign_in_id, lifetime=self._access_lifetime
            ),
            expires_in=int(self._access_lifetime.total_seconds()),
            refresh_token=self._tokens.sign(
                "refresh",
                user_id=user_id,
                sign_in_id=head.sign_in_id,
                token_id=head.id,
                issued_at=head.issued_at,
                lifetime=head.expires_at - head.issued_at,
            ),
            scope=" ".join(scopes),
        )


def _to_the_second(instant: datetime) -> datetime:
    """Tokens know nothing finer."""
    return instant.replace(microsecond=0)
