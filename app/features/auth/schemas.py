"""What the routes about signing in and about API keys take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.core.security import LONGEST_TOKEN
from app.models.user import Scope
from app.schemas.json_body import JsonBody
from app.schemas.token import EXAMPLE_TOKEN
from app.schemas.user import EmailAddress, KnownPassword, NewPassword, Scopes

ShortText = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\x00]*$")]  # PostgreSQL's text holds no NUL


class Registration(JsonBody):
    """A new account."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"email": "jane@example.org", "password": "seven green herons wade"}},
    )

    email: EmailAddress
    password: NewPassword


class PasswordGrant(BaseModel):
    """OAuth2's password form. ``scope`` may ask for less than is given: an account always gets what it may do."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"grant_type": "password", "username": "jane@example.org", "password": "seven green herons wade"}
        },
    )

    grant_type: Literal["password"] = "password"
    username: ShortText = Field(description="The account's e-mail address.")
    password: KnownPassword
    scope: ShortText = ""
    client_id: ShortText | None = None
    client_secret: ShortText | None = None


class RefreshGrant(JsonBody):
    """A refresh token."""

    model_config = ConfigDict(json_schema_extra={"example": {"refresh_token": EXAMPLE_TOKEN}})

    refresh_token: str = Field(min_length=1, max_length=LONGEST_TOKEN)


LONGEST_LIFE_DAYS = 3650
# On one line, and not of blanks alone.
KeyName = Annotated[
    str, StringConstraints(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s][^\x00-\x1f\x7f]*$")
]


class ApiKeyWish(JsonBody):
    """A key that shall be."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "nightly report", "scopes": ["predict"], "expires_in_days": 90}}
    )

    name: KeyName = Field(description="What it is for, in your own words.")
    scopes: Scopes = Field(min_length=1, description="What it may do, of what you may do.")
    expires_in_days: int | None = Field(
        default=90, ge=1, le=LONGEST_LIFE_DAYS, description="null: it lasts until it is revoked."
    )


def _example(**more: str) -> ConfigDict:
    shown: dict[str, Any] = {
        "id": "6d1f0c52-9b7e-4c1a-8f53-0e5d6a1c2b34",
        "name": "nightly report",
        "prefix": "closecast_Xq3vT0aB",
        "scopes": ["predict"],
        "created_at": "2026-11-21T09:30:00Z",
        "expires_at": "2027-02-19T09:30:00Z",
        "last_used_at": None,
        "revoked_at": None,
    }
    return ConfigDict(from_attributes=True, json_schema_extra={"example": {**shown, **more}})


class ApiKeyRead(BaseModel):
    """One API key; its text is told once, when it is made."""

    model_config = _example()

    id: UUID
    name: str
    prefix: str = Field(description="The key's beginning, by which you know it again.")
    scopes: list[Scope] = Field(description="What it may do, as far as its account may.")
    created_at: datetime
    expires_at: datetime | None = Field(description="null: it lasts until it is revoked.")
    last_used_at: datetime | None = Field(description="To about a minute; null: never.")
    revoked_at: datetime | None = Field(description="Since when it opens nothing; null: not revoked.")


class NewApiKeyRead(ApiKeyRead):
    """A key that was just made."""

    model_config = _example(key="closecast_Xq3vT0aB…")

    key: str = Field(description="Send it as `X-API-Key`. Keep it now: it is told to nobody again.")
