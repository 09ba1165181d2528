"""What the routes about accounts take."""

from typing import Annotated

from pydantic import ConfigDict, Field, Strict

from app.models.user import Scope
from app.schemas.json_body import JsonBody
from app.schemas.user import KnownPassword, NewPassword


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

    # Not strict: JSON knows neither sets nor our enumeration, only a list of texts.
    scopes: Annotated[set[Annotated[Scope, Strict(False)]], Strict(False)] | None = Field(
        default=None, description="All that the account may do from now on."
    )
    disabled: bool | None = Field(default=None, description="True: sign-ins and tokens of the account stop at once.")
