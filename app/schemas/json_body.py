"""JSON as it comes in: every value has the type that is documented, none is made from another."""

import re
from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict
from pydantic_core import PydanticCustomError

FULL_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")  # RFC 3339's, which OpenAPI's format `date` means


class JsonBody(BaseModel):
    """Base of every JSON body: unknown fields and values of another JSON type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


def refuse_other_dates(value: object) -> object:
    """``value``, unless pydantic would read a date from something else: seconds since 1970, an instant at midnight."""
    if isinstance(value, str) and FULL_DATE.fullmatch(value):
        return value
    raise PydanticCustomError("full_date", "Input should be a date such as 2013-03-01")


# Not strict: JSON knows a date as text only.
IsoDate = Annotated[date, Strict(False), BeforeValidator(refuse_other_dates)]
