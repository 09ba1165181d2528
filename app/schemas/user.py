"""Accounts as they go over the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from app.models.user import Scope

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 128

# What HTML's own e-mail field takes, with a domain that has a dot: no quoting, no comments, nothing to normalise.
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EmailAddress = Annotated[
    str,
    StringConstraints(max_length=254, pattern=rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+$"),
]
NewPassword = Annotated[SecretStr, Field(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD)]
KnownPassword = Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_PASSWORD)]


class UserRead(BaseModel):
    """One account; its password is told to nobody."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    scopes: list[Scope]
    created_at: datetime
    password_changed_at: datetime
    disabled_at: datetime | None = Field(description="Since when nobody can sign in; null: not disabled.")
