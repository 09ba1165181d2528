"""Only what can be a ticker gets past the door."""

import pytest

from data_pipeline.ticker import MalformedTickerError, parse_ticker


@pytest.mark.parametrize(
    ("text", "ticker"),
    [("aapl", "AAPL"), ("petr4.sa", "PETR4.SA"), ("BRK-B", "BRK-B"), ("^GSPC", "^GSPC"), ("EURUSD=X", "EURUSD=X")],
)
def test_tickers_are_read_in_any_case(text: str, ticker: str) -> None:
    assert parse_ticker(text) == ticker


@pytest.mark.parametrize(
    "text", ["", " AAPL", "AAPL\n", "../../etc/passwd", ".SA", "A" * 21, "a b", "straße", "ＡＡ", "A'--"]
)
def test_what_is_no_ticker_is_refused(text: str) -> None:
    with pytest.raises(MalformedTickerError):
        parse_ticker(text)


def test_the_longest_ticker_has_twenty_characters() -> None:
    assert parse_ticker("A" * 20) == "A" * 20


def test_a_ten_kilobyte_ticker_is_named_by_its_beginning_only() -> None:
    with pytest.raises(MalformedTickerError) as refused:
        parse_ticker("A" * 10_000)

    assert len(str(refused.value)) < 120
