"""What the routes about signing in take."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.core.security import LONGEST_TOKEN
from app.schemas.json_body import JsonBody
from app.schemas.token import EXAMPLE_TOKEN
from app.schemas.user import EmailAddress, KnownPassword, NewPassword

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
