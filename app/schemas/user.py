"""Accounts as they go over the wire."""

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, Strict
from pydantic_core import PydanticCustomError

from app.models.user import Scope

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 128

# What HTML's own e-mail field takes, with a domain that has a dot: no quoting, no comments, nothing to normalise.
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS = rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+$"


def refuse_other_addresses(value: str) -> str:
    """``value``, if it is an e-mail address; the refusal says so in words, not as a pattern."""
    if re.fullmatch(ADDRESS, value) is None:
        raise PydanticCustomError("email", "Input should be an e-mail address such as jane@example.org")
    return value


def refuse_half_characters(value: SecretStr) -> SecretStr:
    """``value``, unless UTF-8 cannot spell it, and so nothing can hash it: JSON may hold half of a surrogate pair."""
    try:
        value.get_secret_value().encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("string_unicode", "Input should be text that UTF-8 can spell") from None
    return value


def refuse_repeated(value: object) -> object:
    """``value``, unless it is a list that names something twice, of which a set would say nothing."""
    if isinstance(value, list) and len(set(map(repr, value))) < len(value):
        raise PydanticCustomError("repeated_item", "Input should name each scope once")
    return value


# Not strict: JSON knows neither sets nor our enumeration, only a list of texts.
Scopes = Annotated[set[Annotated[Scope, Strict(False)]], Strict(False), BeforeValidator(refuse_repeated)]
EmailAddress = Annotated[
    str, Field(max_length=254, json_schema_extra={"pattern": ADDRESS}), AfterValidator(refuse_other_addresses)
]
NewPassword = Annotated[
    SecretStr,
    Field(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD),
    AfterValidator(refuse_half_characters),
]
KnownPassword = Annotated[
    SecretStr, Field(min_length=1, max_length=LONGEST_PASSWORD), AfterValidator(refuse_half_characters)
]


class UserRead(BaseModel):
    """One account; its password is told to nobody."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    scopes: list[Scope]
    created_at: datetime
    password_changed_at: datetime
    disabled_at: datetime | None = Field(description="Since when nobody can sign in; null: not disabled.")
