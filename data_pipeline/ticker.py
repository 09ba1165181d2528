"""What a ticker may look like: checked before it reaches a path, a query or a request."""

import re

from data_pipeline.errors import ClosecastError

_TICKER = re.compile(r"[A-Z0-9^][A-Z0-9.\-=^]{0,19}")
_SHOWN_CHARACTERS = 24


class MalformedTickerError(ClosecastError):
    """The text cannot be a ticker: 1 to 20 letters, digits or ``. - = ^``, as Yahoo spells it (PETR4.SA, BRK-B)."""

    def __init__(self, text: str) -> None:
        shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
        super().__init__(f"not a ticker: {shown!a}; 1 to 20 letters, digits or . - = ^ are, such as PETR4.SA")
        self.text = text


def parse_ticker(text: str) -> str:
    """The ticker in upper case.

    Raises
    ------
    MalformedTickerError : ``text`` has another character, is empty or is longer than 20.

    Examples
    --------
    >>> parse_ticker("petr4.sa")
    'PETR4.SA'
    """
    # Upper-casing can turn foreign letters into ASCII ones ("ß" becomes "SS"): they are no ticker either.
    ticker = text.upper()
    if not text.isascii() or not _TICKER.fullmatch(ticker):
        raise MalformedTickerError(text)
    return ticker
