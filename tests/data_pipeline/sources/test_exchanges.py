"""Exchange and currency of a ticker."""

import exchange_calendars
import pytest

from data_pipeline.sources import exchanges
from data_pipeline.sources.exchanges import UnknownExchangeError, currency_of, exchange_of


@pytest.mark.parametrize(
    ("ticker", "yahoo_code", "exchange", "currency"),
    [
        ("AAPL", None, "XNYS", "USD"),
        ("AAPL", "NMS", "XNYS", "USD"),
        ("BRK-B", "NYQ", "XNYS", "USD"),
        ("PETR4.SA", None, "BVMF", "BRL"),
        ("SAP.DE", "GER", "XETR", "EUR"),
        ("OCDO.L", None, "XLON", "GBp"),
        ("0700.HK", None, "XHKG", "HKD"),
        ("BTC-USD", None, "24/7", "USD"),
        ("EURUSD=X", "CCY", "24/5", "USD"),
        ("GC=F", "CMX", "CMES", "USD"),
        ("^BVSP", "SAO", "BVMF", "BRL"),
        ("^GSPC", "SNP", "XNYS", "USD"),
    ],
)
def test_the_form_of_a_symbol_tells_its_exchange(
    ticker: str, yahoo_code: str | None, exchange: str, currency: str
) -> None:
    """What the form leaves open, Yahoo's code tells."""
    assert exchange_of(ticker, yahoo_code) == exchange
    assert currency_of(exchange) == currency


@pytest.mark.parametrize("ticker", ["BRK.B", "FOO.QQ", "^BVSP", "X=Y"])
def test_an_exchange_is_not_guessed(ticker: str) -> None:
    """A share class with a dot is the usual mistake: Yahoo writes BRK-B."""
    with pytest.raises(UnknownExchangeError, match="no exchange known for it"):
        exchange_of(ticker)


def test_a_code_that_says_nothing_is_named() -> None:
    with pytest.raises(UnknownExchangeError, match=r"\^NOPE: no exchange known for it \(Yahoo names XXX\)"):
        exchange_of("^NOPE", "XXX")


def test_every_exchange_has_a_calendar_and_a_currency() -> None:
    """As exchange_calendars names it, aliases excluded: one exchange, one name."""
    named = {
        *exchanges._EXCHANGE_OF_SUFFIX.values(),
        *exchanges._EXCHANGE_OF_YAHOO_CODE.values(),
        *(exchange for _, exchange in exchanges._EXCHANGE_OF_FORM),
    }
    assert named <= set(exchange_calendars.get_calendar_names(include_aliases=False))
    assert all(currency_of(exchange) for exchange in named)


def test_a_currency_is_not_guessed() -> None:
    with pytest.raises(UnknownExchangeError, match="XXXX"):
        currency_of("XXXX")
