"""Forged tokens against the running API: none is accepted, and how many were tried is counted.

Names begin with the requirement of OWASP's ASVS 5.0 that is proved.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from time import time
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from fastapi import FastAPI
from jose import jwt
from pydantic import SecretStr

from app.config import Settings
from app.core.security import Tokens, key_id, tokens_from
from tests.app.accounts import Account
from tests.app.core.forged_tokens import encode, forge

SECRET = "a-test-key-of-3f9c1e77b2d04a68-characters"  # of the fixture `settings`
FOREIGN = "another-key-of-77b2d04a683f9c1e-characters"
FEWEST = 40

Forged = dict[str, str]


@pytest.fixture
def claims(app: FastAPI, registered_user: Account) -> dict[str, Any]:
    """Claims of a token that is good: of a real account and a real sign-in."""
    good: dict[str, Any] = jwt.get_unverified_claims(registered_user.access_token)
    return good


@pytest.fixture
def header() -> dict[str, Any]:
    """Header of a token that is good."""
    return {"alg": "HS256", "kid": key_id(SECRET), "typ": "JWT"}


async def accepted(client: httpx.AsyncClient, forged: Forged) -> list[str]:
    """Names of those that opened something."""
    opened = []
    for name, token in forged.items():
        answer = await client.get("/users/me", headers={"Authorization": b"Bearer " + token.encode()})
        if answer.status_code != 401:
            opened.append(name)
    return opened


async def test_v9_1_1_v9_1_2_v9_1_3_v9_2_1_v9_2_2_v9_2_3_no_forged_token_is_accepted(
    client: httpx.AsyncClient, registered_user: Account, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    forged = (
        tampered(registered_user.access_token)
        | other_algorithms(header, claims)
        | other_keys(header, claims)
        | out_of_time(header, claims)
        | meant_for_something_else(header, claims)
        | {"a refresh token": registered_user.refresh_token}
    )

    assert len(forged) >= FEWEST
    assert len(set(forged.values())) == len(forged)
    assert await accepted(client, {"good": forge(header, claims, secret=SECRET)}) == ["good"]  # the forger can forge
    assert await accepted(client, forged) == []


def tampered(token: str) -> Forged:
    """Bits flipped in header, claims and signature; parts left out, swapped and doubled."""
    head, body, signature = token.split(".")
    flipped = {
        f"bit flipped at {place}": flip(token, place) for place in spread(len(token) - 1, 12) if token[place] != "."
    }
    return flipped | {
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": f"{token}.{signature}",
        "signature cut": f"{head}.{body}.{signature[:-6]}",
        "parts swapped": f"{body}.{head}.{signature}",
        "padded": f"{head}==.{body}.{signature}",
    }


def flip(text: str, place: int) -> str:
    """One character replaced by another of the alphabet."""
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def spread(length: int, number: int) -> Iterator[int]:
    """Places all over a text."""
    return iter(range(3, length, length // number))


def other_algorithms(header: dict[str, Any], claims: dict[str, Any]) -> Forged:
    """`none` in each spelling, other digests, and the confusion of a public key with a secret."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    unsigned = {
        f"alg {spelling!r}": ".".join([*forge(header | {"alg": spelling}, claims).split(".")[:2], ""])
        for spelling in ("none", "None", "NONE", "nOnE", "", None)
    }
    return unsigned | {
        "signed, but alg none": forge(header | {"alg": "none"}, claims, secret=SECRET),
        "HS384": forge(header | {"alg": "HS384"}, claims, secret=SECRET, digest="sha384"),
        "HS512": forge(header | {"alg": "HS512"}, claims, secret=SECRET, digest="sha512"),
        "RS256": jwt.encode(claims, private, algorithm="RS256", headers={"kid": header["kid"]}),
        "a public key as secret": forge(header, claims, secret=public),
        "RS256 named, our digest": forge(header | {"alg": "RS256"}, claims, secret=SECRET),
        "a list of algorithms": forge(header | {"alg": ["HS256", "none"]}, claims, secret=SECRET),
    }


def other_keys(header: dict[str, Any], claims: dict[str, Any]) -> Forged:
    """Keys that the token brings, points to, or makes up."""
    octets = {"kty": "oct", "alg": "HS256", "k": encode(FOREIGN.encode())}
    return {
        "a foreign key": forge(header, claims, secret=FOREIGN),
        "an empty key": forge(header, claims, secret=""),
        "a foreign key, named": forge(header | {"kid": key_id(FOREIGN)}, claims, secret=FOREIGN),
        "no kid": forge({name: header[name] for name in ("alg", "typ")}, claims, secret=SECRET),
        "kid null": forge(header | {"kid": None}, claims, secret=SECRET),
        "kid of a file": forge(header | {"kid": "../../../dev/null"}, claims, secret=""),
        "kid of SQL": forge(header | {"kid": "' UNION SELECT 'x' --"}, claims, secret="x"),
        "jwk": forge(header | {"jwk": octets}, claims, secret=FOREIGN),
        "jku": forge(header | {"jku": "https://example.org/keys.json"}, claims, secret=FOREIGN),
        "x5u": forge(header | {"x5u": "https://example.org/cert.pem"}, claims, secret=FOREIGN),
        "x5c": forge(header | {"x5c": [encode(FOREIGN.encode())]}, claims, secret=FOREIGN),
    }


def out_of_time(header: dict[str, Any], claims: dict[str, Any]) -> Forged:
    """Expired, not yet valid, without an end."""
    now = int(time())
    changes: dict[str, dict[str, Any]] = {
        "expired a second ago": {"exp": now - 1},
        "expired long ago": {"iat": 1, "nbf": 1, "exp": 1_000_000_000},
        "valid in an hour": {"nbf": now + 3600},
        "exp that is no number": {"exp": "never"},
        "exp null": {"exp": None},
        "exp negative": {"exp": -1},
    }
    forged = {name: forge(header, claims | change, secret=SECRET) for name, change in changes.items()}
    endless = {name: value for name, value in claims.items() if name != "exp"}
    return forged | {"without exp": forge(header, endless, secret=SECRET)}


def meant_for_something_else(header: dict[str, Any], claims: dict[str, Any]) -> Forged:
    """Another issuer, audience, type, or account than that of the sign-in."""
    changes: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "somebody-else"},
        "another audience": {"aud": "another-api"},
        "no audience": {"aud": []},
        "type refresh": {"typ": "refresh"},
        "type id": {"typ": "id"},
        "another account": {"sub": str(UUID(int=7))},
        "another sign-in": {"sid": str(UUID(int=7))},
        "account null": {"sub": None},
    }
    return {name: forge(header, claims | change, secret=SECRET) for name, change in changes.items()}


async def test_v9_2_2_an_access_token_refreshes_nothing(client: httpx.AsyncClient, registered_user: Account) -> None:
    answer = await client.post("/auth/refresh", json={"refresh_token": registered_user.access_token})

    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/invalid-token")


def settings_with(first: str, *others: str) -> Settings:
    """Settings that come from here alone."""
    return Settings(_env_file=None, jwt_secret=SecretStr(first), jwt_other_secrets=[SecretStr(each) for each in others])


def test_v13_3_4_a_new_secret_signs_and_the_former_one_verifies_until_what_it_signed_has_expired() -> None:
    former, both = tokens_from(settings_with(SECRET)), tokens_from(settings_with(FOREIGN, SECRET))
    after = tokens_from(settings_with(FOREIGN))
    old, new = sign(former), sign(both)

    assert [verifies(tokens, old) for tokens in (former, both, after)] == [True, True, False]
    assert [verifies(tokens, new) for tokens in (former, both, after)] == [False, True, True]


def test_v13_3_4_the_next_secret_can_be_made_known_to_all_processes_before_the_first_one_signs_with_it() -> None:
    """So that a restart of one process after the other refuses nobody in between."""
    prepared, switched = tokens_from(settings_with(SECRET, FOREIGN)), tokens_from(settings_with(FOREIGN, SECRET))

    assert verifies(prepared, sign(switched))
    assert verifies(switched, sign(prepared))


def sign(tokens: Tokens) -> str:
    """An access token."""
    return tokens.sign("access", user_id=UUID(int=1), sign_in_id=UUID(int=2), lifetime=timedelta(minutes=15))


def verifies(tokens: Tokens, token: str) -> bool:
    """Whether ``tokens`` takes it."""
    return not raises(lambda: tokens.verify(token, "access"))


def raises(check: Callable[[], object]) -> bool:
    """Whether ``check`` refuses."""
    try:
        check()
    except Exception:  # noqa: BLE001 (whatever it is, the token is not taken)
        return True
    return False


@pytest.fixture
def rotated(settings: Settings) -> Settings:
    """The same service after its secret was replaced."""
    return settings.model_copy(update={"jwt_secret": SecretStr(FOREIGN), "jwt_other_secrets": [SecretStr(SECRET)]})


async def test_v13_3_4_nobody_is_signed_out_by_a_new_secret(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, rotated: Settings
) -> None:
    """Neither the access token, nor the refresh token, nor a retry whose first answer was lost before the change."""
    body = {"refresh_token": registered_user.refresh_token}
    before = await client.post("/auth/refresh", json=body)

    from app.main import create_app

    changed = create_app(rotated)
    async with (
        changed.router.lifespan_context(changed),
        httpx.AsyncClient(transport=httpx.ASGITransport(changed), base_url="http://test") as after,
    ):
        assert (await after.get("/users/me", headers=registered_user.headers)).status_code == 200
        retry = await after.post("/auth/refresh", json=body)
        assert (before.status_code, retry.status_code) == (200, 200)
        assert (await after.post("/auth/refresh", json={"refresh_token": retry.json()["refresh_token"]})).is_success
        assert jwt.get_unverified_header(retry.json()["access_token"])["kid"] == key_id(FOREIGN)
