"""Tokens as they go over the wire (RFC 6749)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE_TOKEN = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjZm….eyJpc3MiOiJjbG9zZWNhc3Qi….c2lnbmF0dXJl"  # noqa: S105 (shown, not used)


class TokenRead(BaseModel):
    """What a sign-in or a refresh gives."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "access_token": EXAMPLE_TOKEN,
                "token_type": "bearer",
                "expires_in": 900,
                "refresh_token": EXAMPLE_TOKEN,
                "scope": "predict",
            }
        }
    )

    access_token: str = Field(description="Send it as `Authorization: Bearer …`.")
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 (RFC 6749's word, no password)
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str = Field(description="Good for one POST /auth/refresh, which gives the next one.")
    scope: str = Field(description="What the account may do, separated by spaces.")
