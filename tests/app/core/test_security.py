"""A token is accepted when it is ours, of the right kind and in time; nothing else is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from app.config import Settings
from app.core.security import (
    ExpiredTokenError,
    InvalidTokenError,
    StartRefusedError,
    Tokens,
    key_id,
    tokens_from,
)
from tests.app.core.forged_tokens import AUDIENCE, ISSUER, SECRET, decode, encode, forge, good_claims, good_header

USER, SIGN_IN = UUID(int=1), UUID(int=2)
ANOTHER_SECRET = "b" * 8 + "0123456789abcdef" * 3


def make_tokens(*secrets: str, clock: Callable[[], datetime] | None = None) -> Tokens:
    """A signer with the settings' own issuer and audience."""
    timed = {"clock": clock} if clock else {}
    return Tokens(list(secrets or [SECRET]), issuer=ISSUER, audience=AUDIENCE, **timed)


def sign_access(tokens: Tokens) -> str:
    """An access token of user 1 that lasts a quarter of an hour."""
    return tokens.sign("access", user_id=USER, sign_in_id=SIGN_IN, lifetime=timedelta(minutes=15))


def test_a_token_says_who_signed_in_and_names_its_key_and_algorithm() -> None:
    tokens = make_tokens(clock=lambda: datetime.now(UTC).replace(microsecond=0))

    token = sign_access(tokens)
    claims = tokens.verify(token, "access")

    assert (claims.sub, claims.sid) == (USER, SIGN_IN)
    assert claims.expires_at - claims.issued_at == timedelta(minutes=15)
    header, body, _ = token.split(".")
    assert decode(header) == {"alg": "HS256", "kid": key_id(SECRET), "typ": "JWT"}
    assert set(decode(body)) == {"iss", "aud", "sub", "sid", "jti", "typ", "iat", "nbf", "exp"}


def test_what_the_forger_makes_is_accepted_when_it_is_right() -> None:
    """Else the refusals below would prove nothing."""
    claims = good_claims()

    assert make_tokens().verify(forge(good_header(), claims), "access").jti == UUID(claims["jti"])


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "jti", "typ", "iat", "nbf", "exp"])
def test_every_claim_is_required(claim: str) -> None:
    claims = good_claims()
    del claims[claim]

    with pytest.raises(InvalidTokenError):
        make_tokens().verify(forge(good_header(), claims), "access")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody-else"},
        {"iss": ["closecast", "x"]},
        {"aud": "another-api"},
        {"aud": []},
        {"aud": {"closecast-api": 1}},
        {"typ": "refresh"},
        {"typ": "Access"},
        {"typ": None},
        {"sub": "1"},
        {"sub": 1},
        {"sub": None},
        {"sid": "' OR 1=1 --"},
        {"jti": ["a"]},
        {"exp": "never"},
        {"exp": None},
        {"exp": [1]},
        {"exp": 1e400},
        {"exp": 1_000_000_000},
        {"exp": 10**30},
        {"nbf": 4_000_000_000},
        {"nbf": None},
        {"iat": "yesterday"},
        {"iat": {}},
    ],
    ids=str,
)
def test_a_claim_with_another_value_or_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        make_tokens().verify(forge(good_header(), good_claims(**changes)), "access")


@pytest.mark.parametrize(
    ("header", "signing"),
    [
        ({"alg": "none"}, {}),
        ({"alg": "None"}, {}),
        ({"alg": "HS512"}, {"digest": "sha512"}),
        ({"alg": "HS384"}, {"digest": "sha384"}),
        ({"alg": "RS256"}, {}),
        ({"alg": ["HS256"]}, {}),
        ({"alg": None}, {}),
        ({"kid": "another"}, {}),
        ({"kid": "../../../dev/null"}, {"secret": "\0"}),
        ({"kid": ["a"]}, {}),
        ({"kid": None}, {}),
        ({}, {"secret": ANOTHER_SECRET}),
        ({}, {"secret": ""}),
        ({"jwk": {"kty": "oct", "k": encode(ANOTHER_SECRET.encode())}}, {"secret": ANOTHER_SECRET}),
        ({"jku": "https://example.org/keys"}, {"secret": ANOTHER_SECRET}),
        ({"x5u": "https://example.org/keys"}, {"secret": ANOTHER_SECRET}),
    ],
    ids=str,
)
def test_a_token_does_not_choose_how_it_is_checked(header: dict[str, Any], signing: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        make_tokens().verify(forge(good_header(**header), good_claims(), **signing), "access")


def test_an_unsigned_token_is_refused() -> None:
    header, body, _ = forge(good_header(alg="none"), good_claims()).split(".")

    for token in (f"{header}.{body}.", f"{header}.{body}"):
        with pytest.raises(InvalidTokenError):
            make_tokens().verify(token, "access")


def test_one_changed_character_anywhere_is_noticed() -> None:
    tokens = make_tokens()
    token = sign_access(tokens)
    # The last character of a part may carry bits that base64 ignores, so those are left out.
    places = [place for place in range(len(token) - 1) if "." not in token[place : place + 2]]

    accepted = []
    for place in places:
        changed = "A" if token[place] != "A" else "B"
        try:
            tokens.verify(token[:place] + changed + token[place + 1 :], "access")
        except InvalidTokenError:
            continue
        accepted.append(place)

    assert accepted == []


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "Bearer x", "\0", "é.é.é", "e30.e30.e30", "e30=.e30=.e30=", "x" * 1025],
    ids=repr,
)
def test_what_is_no_token_at_all_is_refused(token: str) -> None:
    with pytest.raises(InvalidTokenError):
        make_tokens().verify(token, "access")


@pytest.mark.parametrize("nested", ["[" * 600, '{"a":' * 150], ids=["lists", "objects"])
def test_a_header_nested_without_end_is_refused(nested: str) -> None:
    with pytest.raises(InvalidTokenError):
        make_tokens().verify(f"{encode(nested.encode())}.e30.e30", "access")


def test_a_token_longer_than_ours_ever_are_is_refused_unread() -> None:
    with pytest.raises(InvalidTokenError):
        make_tokens().verify(forge(good_header(), good_claims(padding="x" * 1024)), "access")


def test_an_expired_token_is_told_apart_so_that_a_client_knows_to_refresh() -> None:
    an_hour_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)

    with pytest.raises(ExpiredTokenError):
        make_tokens().verify(sign_access(make_tokens(clock=lambda: an_hour_ago)), "access")


def test_a_refresh_token_is_no_access_token_and_the_other_way_round() -> None:
    tokens = make_tokens()
    refresh = tokens.sign("refresh", user_id=USER, sign_in_id=SIGN_IN, lifetime=timedelta(days=1))

    with pytest.raises(InvalidTokenError, match="this is no access token"):
        tokens.verify(refresh, "access")
    with pytest.raises(InvalidTokenError, match="this is no refresh token"):
        tokens.verify(sign_access(tokens), "refresh")


def test_a_replaced_secret_still_verifies_but_signs_no_more() -> None:
    old, both = make_tokens(SECRET), make_tokens(ANOTHER_SECRET, SECRET)

    assert both.verify(sign_access(old), "access").sub == USER
    with pytest.raises(InvalidTokenError):
        old.verify(sign_access(both), "access")


def test_the_same_ids_and_instants_give_the_same_token() -> None:
    """A retried refresh is answered with the token that the first try was answered with."""
    at = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    same = {"user_id": USER, "sign_in_id": SIGN_IN, "token_id": UUID(int=3), "lifetime": timedelta(1), "issued_at": at}

    assert make_tokens().sign("refresh", **same) == make_tokens().sign("refresh", **same)


def settings_with(secret: str | None) -> Settings:
    """Settings that come from here alone."""
    return Settings(_env_file=None, jwt_secret=SecretStr(secret) if secret is not None else None)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (None, "not set"),
        ("", "not set"),
        (" " * 40, "not set"),
        ("a1b2c3d4e5f60718293a4b5c6d7e8f9", "shorter than 32"),  # 31 characters
        ("CHANGE-ME-CHANGE-ME-CHANGE-ME-CHANGE-ME", "known default"),
        ("your-secret-key-for-development-only-0123", "known default"),
        ("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "known default"),
        ("ab" * 32, "known default or a pattern"),
    ],
)
def test_the_start_is_refused_without_a_strong_secret(
    secret: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOSECAST_JWT_SECRET", raising=False)

    with pytest.raises(StartRefusedError, match=reason) as refused:
        tokens_from(settings_with(secret))

    message = str(refused.value)
    assert "\n" not in message
    assert not secret or secret.strip() == "" or secret not in message


def test_a_random_secret_starts() -> None:
    assert isinstance(tokens_from(settings_with("a1b2c3d4e5f60718293a4b5c6d7e8f90")), Tokens)
