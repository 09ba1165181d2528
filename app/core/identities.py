"""Whose a token or an API key is, as the database says it, remembered for half a second.

Remembering saves each warm request a query and a signature check. What is taken away (a sign-in, a key, a scope, an
account) is gone in every process within a second: no answer is older than ``FRESH_SECONDS`` when it is used, whatever
notifications were lost. In the process that took it away it is gone at once (``forget``). Who asks all the time waits
for no query: a little before that age the database is asked again, beside the requests.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from time import monotonic, time
from typing import TypeVar
from uuid import UUID

from fastapi import Request
from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.core.api_keys import digest_of, is_api_key
from app.core.bounded_cache import BoundedCache
from app.core.own_session import own_session
from app.core.refusals import InvalidApiKeyError, InvalidTokenError
from app.models.api_key import ApiKey
from app.models.token import SignIn
from app.models.user import User

FRESH_SECONDS = 0.5
ASK_AGAIN_SECONDS = 0.4
REMEMBERED = 10_000  # credentials, about 1 kB each
USE_NOTED_EVERY = timedelta(minutes=1)  # a key's last use is written so seldom that it costs nothing
_USE_IS_NOT_NOTED = func.coalesce(ApiKey.last_used_at < func.now() - USE_NOTED_EVERY, True)


@dataclass(frozen=True)
class Principal:
    """The account on whose behalf a request is served, and by which of its sign-ins or API keys.

    ``scopes`` of a key are those that its account has too.
    """

    user_id: UUID
    email: str
    scopes: frozenset[str]
    sign_in_id: UUID | None = None
    api_key_id: UUID | None = None


@dataclass(frozen=True)
class TokenClaims:
    """What a verified token says: ``sid`` is the sign-in it belongs to, ``jti`` the token itself."""

    sub: UUID
    sid: UUID
    jti: UUID
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    asked_at: float  # monotonic, before the question went out
    expires_at: float  # seconds since 1970


Answer = tuple[Principal, datetime | None]  # and when the credential itself ends
Credential = TypeVar("Credential", str, bytes)


class Identities:
    """One per process.

    Parameters
    ----------
    verify_access : checks the signature and the claims of an access token.
    """

    def __init__(self, verify_access: Callable[[str], TokenClaims], sessions: async_sessionmaker[AsyncSession]) -> None:
        self._verify_access = verify_access
        self._sessions = sessions
        self._known: BoundedCache[bytes, _Known] = BoundedCache(REMEMBERED)
        self._under_way: dict[bytes, asyncio.Task[Principal]] = {}

    async def of_token(self, token: str) -> Principal:
        """Whose access token this is.

        Raises
        ------
        InvalidTokenError : it is none, its account is gone or disabled, or the sign-in was revoked.
        ExpiredTokenError, DatabaseUnavailableError
        """
        digest = sha256(token.encode()).digest()
        return self._at_hand(digest, self._ask_about_token, token) or await self._asked(digest)

    async def of_api_key(self, key: str) -> Principal:
        """Whose API key this is.

        Raises
        ------
        InvalidApiKeyError : it is none, it expired or was revoked, or its account is disabled.
        DatabaseUnavailableError
        """
        if not is_api_key(key):
            raise InvalidApiKeyError
        digest = digest_of(key)
        return self._at_hand(digest, self._ask_about_key, digest) or await self._asked(digest)

    def forget(self, user_id: UUID) -> None:
        """Ask the database again about an account that was changed here."""
        for digest, known in self._known.items():
            if known.principal.user_id == user_id:
                self._known.drop(digest)
        # Who is being asked about may have been read before the change: the next request asks anew.
        self._under_way.clear()

    def _at_hand(
        self, digest: bytes, ask: Callable[[Credential], Awaitable[Answer]], told: Credential
    ) -> Principal | None:
        """Whoever is remembered, if not for too long; None: the database is being asked."""
        known, age = self._known.get(digest), 0.0
        if known is not None:
            age = monotonic() - known.asked_at
            if age < ASK_AGAIN_SECONDS and time() < known.expires_at:
                return known.principal
        if digest not in self._under_way:  # requests that come meanwhile wait for the same answer
            task = self._under_way[digest] = asyncio.create_task(self._learn(digest, ask(told)))
            task.add_done_callback(partial(self._finish, digest))
        return known.principal if known is not None and age < FRESH_SECONDS and time() < known.expires_at else None

    async def _asked(self, digest: bytes) -> Principal:
        """What the database says to the question that is under way."""
        return await asyncio.shield(self._under_way[digest])

    async def _learn(self, digest: bytes, answer: Awaitable[Answer]) -> Principal:
        asked_at = monotonic()
        try:
            principal, ends = await answer
        except BaseException:
            self._known.drop(digest)
            raise
        if self._under_way.get(digest) is asyncio.current_task():
            self._known.put(digest, _Known(principal, asked_at, ends.timestamp() if ends else float("inf")))
        return principal

    def _finish(self, digest: bytes, task: asyncio.Task[Principal]) -> None:
        if self._under_way.get(digest) is task:
            del self._under_way[digest]
        if not task.cancelled():
            task.exception()  # whoever waited was told; if nobody does any more, it is no news

    async def _ask_about_token(self, token: str) -> Answer:
        claims = self._verify_access(token)
        query = (
            select(User.id, User.email, User.scopes)
            .join(SignIn, SignIn.user_id == User.id)
            .where(SignIn.id == claims.sid, SignIn.revoked_at.is_(None))
            .where(User.id == claims.sub, User.disabled_at.is_(None))
        )
        async with own_session(self._sessions) as db:
            row = (await db.execute(query)).one_or_none()
        if row is None:
            raise InvalidTokenError
        return Principal(row.id, row.email, frozenset(row.scopes), sign_in_id=claims.sid), claims.expires_at

    async def _ask_about_key(self, digest: bytes) -> Answer:
        query = (
            select(ApiKey.id, ApiKey.scopes, ApiKey.expires_at, _USE_IS_NOT_NOTED.label("use_is_not_noted"))
            .add_columns(User.id.label("user_id"), User.email, User.scopes.label("user_scopes"))
            .join(User, User.id == ApiKey.user_id)
            .where(ApiKey.key_sha256 == digest, ApiKey.revoked_at.is_(None), User.disabled_at.is_(None))
            .where(or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()))
        )
        async with own_session(self._sessions) as db:
            row = (await db.execute(query)).one_or_none()
            if row is None:
                raise InvalidApiKeyError
            if row.use_is_not_noted:
                await _note_use(db, row.id)
        scopes = frozenset(row.scopes).intersection(row.user_scopes)
        return Principal(row.user_id, row.email, scopes, api_key_id=row.id), row.expires_at


def forget_here(request: Request, user_id: UUID) -> None:
    """Have what was changed of an account count from the next request of this process on."""
    identities: Identities = request.app.state.identities
    identities.forget(user_id)


async def _note_use(db: AsyncSession, key_id: UUID) -> None:
    noted = update(ApiKey).where(ApiKey.id == key_id, _USE_IS_NOT_NOTED).values(last_used_at=func.now())
    await db.execute(noted)
    await db.commit()
