"""What the routes about accounts take."""

from pydantic import ConfigDict, Field

from app.schemas.json_body import JsonBody
from app.schemas.user import KnownPassword, NewPassword, Scopes


class PasswordChange(JsonBody):
    """The password that is, and the one that shall be."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"current_password": "seven green herons wade", "new_password": "eleven quiet tides return"}
        },
    )

    current_password: KnownPassword
    new_password: NewPassword


class UserPatch(JsonBody):
    """What an administrator changes; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"scopes": ["predict", "train"]}})

    scopes: Scopes | None = Field(default=None, description="All that the account may do from now on.")
    disabled: bool | None = Field(default=None, description="True: sign-ins and tokens of the account stop at once.")
