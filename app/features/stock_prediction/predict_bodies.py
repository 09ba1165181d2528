"""What ``POST /predict`` takes: a ticker, or a window of one's own in any of its spellings."""

from collections import Counter
from collections.abc import Collection
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from app.features.stock_prediction.errors import ModelPathRefusedError
from app.features.stock_prediction.own_windows import OwnWindow, ToldOfWindow, read_rows
from app.features.stock_prediction.schemas import ForecastWish
from app.features.stock_prediction.window_rows import Closes, Rows
from app.schemas.json_body import IsoDate, JsonBody
from data_pipeline.ticker import parse_ticker

MOST_TICKERS = 100
LONGEST_NAME = 24  # of what may be meant as a ticker; what it is not is told in the answer
WINDOWS = ("last_prices", "sequence")  # the fields that hold one
TOLD_OF_A_WINDOW = ("exchange", "currency", "target_trading_day")  # known of a ticker


class PredictRequest(ForecastWish, JsonBody):
    """A ticker, as for ``GET /predict/{ticker}``; or a window of one's own, of which a ticker may be told.

    A bare list is a window too: the same as `sequence`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"ticker": "AAPL", "days_ahead": 5, "as_of": "2013-03-01"},
                {"last_prices": [100.0 + 0.5 * (day % 7) for day in range(60)]},
            ]
        }
    )

    ticker: Annotated[str, AfterValidator(parse_ticker)] | None = None
    bundle: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="Administrators only: forecast with this registered bundle and not the champion."
    )
    last_prices: Closes | None = Field(default=None, description="Closes, oldest first; 60 suffice.")
    sequence: Rows | None = Field(
        default=None,
        description="Closes, rows `[high, low, close, volume]`, rows `[open, high, low, close, volume]`, or rows with "
        "named columns; oldest first.",
    )
    exchange: Annotated[str, StringConstraints(pattern="^[A-Z0-9]{1,10}$")] | None = None
    currency: Annotated[str, StringConstraints(pattern="^[A-Za-z]{3}$")] | None = None
    target_trading_day: IsoDate | None = Field(default=None, description="The trading day after the window's last.")

    _own_window: OwnWindow | None = None

    @property
    def own_window(self) -> OwnWindow | None:
        """The window that came; None where a ticker is asked for."""
        return self._own_window

    @property
    def told(self) -> ToldOfWindow:
        """What was said about the window."""
        return ToldOfWindow(self.ticker, self.exchange, self.currency, self.as_of, self.target_trading_day)

    @model_validator(mode="before")
    @classmethod
    def _bare_list(cls, body: Any) -> Any:
        if isinstance(body, dict) and "model_path" in body:
            raise ModelPathRefusedError
        return {"sequence": body} if isinstance(body, list) else body

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        given = [name for name in WINDOWS if getattr(self, name) is not None]
        if len(given) == 2 or (not given and self.ticker is None):
            raise ValueError("give ticker, last_prices or sequence, and not both windows")
        told = [name for name in TOLD_OF_A_WINDOW if getattr(self, name) is not None]
        if not given and told:
            raise ValueError(f"{told[0]} is told with a window, and known of a ticker")
        if given:
            self._own_window = self._read(given[0])
        return self

    def _read(self, field: str) -> OwnWindow:
        try:
            window = read_rows(getattr(self, field), as_of=self.as_of)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from error
        following = self.target_trading_day
        if following is not None and window.cutoff is not None and following <= window.cutoff:
            raise ValueError("target_trading_day must be after the window's last day")
        return window

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """One schema for each question, as the validators above tell them apart."""
        written = handler(schema)
        whole = handler.resolve_ref_schema(written)
        about_ticker = _without(whole, (*WINDOWS, *TOLD_OF_A_WINDOW), title="Ticker", required="ticker")
        windows = [_without(whole, {*WINDOWS} - {name}, title=f"Window as {name}", required=name) for name in WINDOWS]
        bare = {**whole["properties"]["sequence"]["anyOf"][0], "title": "Window as a bare list"}
        kept: JsonSchemaValue = {name: whole[name] for name in ("title", "description", "examples") if name in whole}
        whole.clear()
        whole.update({**kept, "anyOf": [about_ticker, *windows, bare]})
        return written


class BatchRequest(ForecastWish, JsonBody):
    """Several tickers, asked for the same days; each is named once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tickers": ["AAPL", "IBM"], "days_ahead": 2}]})

    tickers: list[Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]] = Field(
        min_length=1, max_length=MOST_TICKERS
    )

    @field_validator("tickers")
    @classmethod
    def _named_once(cls, tickers: list[str]) -> list[str]:
        for ticker, times in Counter(ticker.upper() for ticker in tickers).items():
            if times > 1:
                raise ValueError(f"{ticker} is named {times} times")
        return tickers


def _without(whole: JsonSchemaValue, left_out: Collection[str], *, title: str, required: str) -> JsonSchemaValue:
    """The object's schema without some of its fields, and with one that has to be there."""
    properties = {name: field for name, field in whole["properties"].items() if name not in left_out}
    field = {name: value for name, value in properties[required].items() if name not in ("anyOf", "default")}
    properties[required] = {**properties[required]["anyOf"][0], **field}
    return {
        "type": "object",
        "title": title,
        "additionalProperties": False,
        "properties": properties,
        "required": [required],
    }
