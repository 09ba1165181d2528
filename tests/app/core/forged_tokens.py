"""Tokens made by hand, so that a test can sign what no library would."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from time import time
from typing import Any
from uuid import uuid4

from app.core.security import key_id

SECRET = "4c1f0e9b7d2a6358c1e4f7a9b3d5e8f02a4c6e8091b3d5f7"
ISSUER, AUDIENCE = "closecast", "closecast-api"


def good_header(**changes: Any) -> dict[str, Any]:
    """The header that our own tokens have."""
    return {"alg": "HS256", "kid": key_id(SECRET), "typ": "JWT"} | changes


def good_claims(**changes: Any) -> dict[str, Any]:
    """Claims of an access token that is valid now."""
    now = int(time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(uuid4()),
        "sid": str(uuid4()),
        "jti": str(uuid4()),
        "typ": "access",
        "iat": now,
        "nbf": now,
        "exp": now + 900,
    }
    return claims | changes


def forge(header: dict[str, Any], claims: Any, *, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token over whatever it is given, signed with ``secret``."""
    signed = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    return f"{signed}.{encode(hmac.digest(secret.encode(), signed.encode(), digest))}"


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> dict[str, Any]:
    """One part of a token."""
    part: dict[str, Any] = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return part
