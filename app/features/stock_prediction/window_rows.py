"""Rows of a client's own window as they come in: checked one by one, in any of their spellings."""

from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, Discriminator, FailFast, Field, Strict, Tag
from typing_extensions import TypeAliasType

from app.features.stock_prediction.schemas import no_later_than_today
from app.schemas.json_body import IsoDate, JsonBody

MOST_ROWS = 2_000  # eight years; no bundle can read more than 1,600 bars

LEAST_PRICE = 1e-6
# Far beyond any listed price, and near enough to 1 that no return and no forecast leaves the range of a float.
# Strict by themselves: what a named type holds does not hear of the strictness of the body that it stands in.
Price = Annotated[float, Strict(), Field(ge=LEAST_PRICE, le=1e9, allow_inf_nan=False)]
Volume = Annotated[float, Strict(), Field(ge=0, le=1e15, allow_inf_nan=False)]


class NamedRow(JsonBody):
    """One trading day, its columns by name; the rows of one window name the same ones.

    The names that pandas writes of yfinance's tables are taken too (`Date`, `Open`, …, `Adj Close`).
    """

    trading_day: Annotated[IsoDate, AfterValidator(no_later_than_today)] | None = Field(
        default=None, validation_alias=AliasChoices("trading_day", "date", "Date")
    )
    open: Price | None = Field(default=None, validation_alias=AliasChoices("open", "Open"))
    high: Price | None = Field(default=None, validation_alias=AliasChoices("high", "High"))
    low: Price | None = Field(default=None, validation_alias=AliasChoices("low", "Low"))
    close: Price = Field(validation_alias=AliasChoices("close", "Close"))
    adj_close: Price | None = Field(
        default=None,
        validation_alias=AliasChoices("adj_close", "Adj Close"),
        description="Corrected for splits and dividends; left out: the closes are taken for corrected.",
    )
    volume: Volume | None = Field(default=None, validation_alias=AliasChoices("volume", "Volume"))


HighLowCloseVolume = Annotated[tuple[Price, Price, Price, Volume], Strict(False)]  # JSON knows lists only
OpenHighLowCloseVolume = Annotated[tuple[Price, Price, Price, Price, Volume], Strict(False)]

FIRST_ERROR = FailFast()  # one bad row is told, not two thousand
LENGTH = Field(min_length=1, max_length=MOST_ROWS)
Closes = TypeAliasType("Closes", Annotated[list[Price], FIRST_ERROR, LENGTH])
RowsOfFour = TypeAliasType("RowsOfFour", Annotated[list[HighLowCloseVolume], FIRST_ERROR, LENGTH])
RowsOfFive = TypeAliasType("RowsOfFive", Annotated[list[OpenHighLowCloseVolume], FIRST_ERROR, LENGTH])
NamedRows = TypeAliasType("NamedRows", Annotated[list[NamedRow], FIRST_ERROR, LENGTH])


def spelling_of(rows: Any) -> str | None:
    """How the first row is spelled, as every other one then has to be; the name stands in an error's location."""
    first = rows[0] if isinstance(rows, list) and rows else None
    if isinstance(first, dict | NamedRow):
        return "named_columns"
    if isinstance(first, list | tuple):
        return {4: "high_low_close_volume", 5: "open_high_low_close_volume"}.get(len(first))
    return "closes" if isinstance(first, int | float) else None


Rows = Annotated[
    Annotated[Closes, Tag("closes")]
    | Annotated[RowsOfFour, Tag("high_low_close_volume")]
    | Annotated[RowsOfFive, Tag("open_high_low_close_volume")]
    | Annotated[NamedRows, Tag("named_columns")],
    Discriminator(
        spelling_of,
        custom_error_type="rows",
        custom_error_message="Input should be closes, rows of 4 (high, low, close, volume), rows of 5 (open, high, "
        "low, close, volume) or rows with named columns: at least one, oldest first",
    ),
]
