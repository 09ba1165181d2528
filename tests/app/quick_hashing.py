"""Passwords that take no time, for tests of what comes after them."""

import pytest

from app.core.passwords import PasswordHasher
from tests.app.accounts import OnceHashing


@pytest.fixture
def quick_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored is readable, and compared at once."""

    async def hash_quickly(_self: PasswordHasher, password: str) -> str:
        return f"hash of {password}"

    async def verify(_self: PasswordHasher, password: str, hashed: str | None) -> bool:
        return hashed == f"hash of {password}"

    for hasher in (PasswordHasher, OnceHashing):
        monkeypatch.setattr(hasher, "hash", hash_quickly)
    monkeypatch.setattr(PasswordHasher, "verify", verify)


__all__ = ["quick_hashing"]
