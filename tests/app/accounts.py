"""Who asks, in tests."""

from dataclasses import dataclass
from uuid import UUID

import httpx

from app.core.passwords import PasswordHasher


@dataclass(frozen=True)
class Account:
    """A signed-in user."""

    id: UUID
    email: str
    password: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request of this user carries."""
        return {"Authorization": f"Bearer {self.access_token}"}


class OnceHashing(PasswordHasher):
    """For accounts that a test needs beside its subject: their password is hashed once, and checked each time."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, str] = {}

    async def hash(self, password: str) -> str:
        if password not in self._known:
            self._known[password] = await super().hash(password)
        return self._known[password]


ONCE_HASHING = OnceHashing()


async def sign_in(client: httpx.AsyncClient, *, email: str, password: str) -> Account:
    """Exchange a password for tokens, over HTTP."""
    answer = await client.post("/auth/token", data={"username": email, "password": password})
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    me = await client.get("/users/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert me.status_code == 200, me.text
    return Account(UUID(me.json()["id"]), email, password, tokens["access_token"], tokens["refresh_token"])


async def register(client: httpx.AsyncClient, *, email: str, password: str) -> Account:
    """Make an account and sign in, over HTTP."""
    answer = await client.post("/auth/register", json={"email": email, "password": password})
    assert answer.status_code == 201, answer.text
    return await sign_in(client, email=email, password=password)
