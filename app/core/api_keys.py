"""What an API key looks like. It is shown once; what is kept of it is a digest and its beginning.

SHA-256 is right here where it would be wrong for a password: a key has 256 random bits, so there is nothing to guess
faster, and each request that brings one would pay for a slow hash.
"""

import re
from hashlib import sha256
from secrets import token_urlsafe

BEGINNING = "closecast_"  # the same for all, so that scanners for leaked secrets know one when they see it
RANDOM_BYTES = 32
SHOWN = 8  # characters after the beginning by which its owner knows a key again; 208 of the 256 bits stay unknown
FORM = re.compile(rf"{BEGINNING}[A-Za-z0-9_-]{{43}}")


def new_api_key() -> str:
    """A key that nobody has seen."""
    return f"{BEGINNING}{token_urlsafe(RANDOM_BYTES)}"


def is_api_key(text: str) -> bool:
    """Whether ``text`` could be a key: whatever else is sent is refused without asking the database.

    >>> is_api_key("closecast_" + 43 * "x"), is_api_key("closecast_x")
    (True, False)
    """
    return FORM.fullmatch(text) is not None


def prefix_of(key: str) -> str:
    """What lists show of a key.

    >>> prefix_of("closecast_" + "0123456789" + 33 * "x")
    'closecast_01234567'
    """
    return key[: len(BEGINNING) + SHOWN]


def digest_of(key: str) -> bytes:
    """What a key is found by."""
    return sha256(key.encode()).digest()
