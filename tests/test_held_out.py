"""The one rule by which benchmarks hold tickers back."""

import pytest

from benchmarks.held_out import digest, held_out


def test_digests_are_those_of_any_other_tool() -> None:
    assert f"{digest('AMZN'):x}".startswith("31ac18dc22")


@pytest.mark.parametrize(("ticker", "by_the_whole", "by_four_bytes"), [("DIS", True, False), ("AAPL", False, True)])
def test_a_ticker_is_held_back_by_its_whole_digest_or_by_the_first_four_bytes(
    ticker: str, by_the_whole: bool, by_four_bytes: bool
) -> None:
    first = int(f"{digest(ticker):064x}"[:8], 16)

    assert (digest(ticker) % 5 == 0, first % 5 == 0, held_out(ticker)) == (by_the_whole, by_four_bytes, True)


def test_the_others_may_be_learnt_from() -> None:
    assert not held_out("MSFT")
