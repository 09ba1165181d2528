"""yfinance's cache on disk: private, shared by later sources, and thrown away when it is poisoned."""

import stat
from datetime import date
from http.cookiejar import Cookie
from pathlib import Path

import pytest
from yfinance import cache as yfinance_cache
from yfinance.data import YfData

from data_pipeline.sources import yfinance_state
from data_pipeline.sources.base import PriceSourceUnavailableError
from data_pipeline.sources.yfinance_collector import YFinanceSource
from tests.data_pipeline.sources.conftest import MakeSource
from tests.fake_yahoo import Answer, FakeYahoo
from tests.fake_yahoo.server import COOKIE

START, END = date(2024, 3, 1), date(2024, 4, 1)

OTHER_COOKIE = Answer(404, b"", "text/html", {"set-cookie": "GUC=x; Max-Age=9999; Domain=.yahoo.com; Path=/; Secure"})
ENDLESS_A3 = Answer(404, b"", "text/html", {"set-cookie": "A3=x; Domain=.yahoo.com; Path=/; Secure"})


def store_a_cookie_without_a3(folder: Path) -> None:
    """Leave behind what a yfinance of its own, in an earlier process, may have stored."""
    yfinance_state.prepare(folder)
    guc = Cookie(0, "GUC", "x", None, False, ".yahoo.com", True, True, "/", True, True, 2**31, False, None, None, {})
    yfinance_cache.get_cookie_cache().store("curlCffi", {".yahoo.com": {"/": {"GUC": guc}}})
    yfinance_state.prepare(folder.parent)  # closes it


def test_a_later_source_finds_cookie_and_zone(make_source: MakeSource, yahoo: FakeYahoo) -> None:
    """As a later process does: crumb and prices are all that is asked for."""
    make_source().fetch_bars("AAPL", START, END)
    yfinance_state.forget_client()
    yahoo.requests.clear()

    make_source().fetch_bars("AAPL", START, END)

    assert [request.about for request in yahoo.requests] == ["/v1/test/getcrumb", "prices"]


def test_the_cache_is_private(make_source: MakeSource, tmp_path: Path) -> None:
    """yfinance unpickles its cookies: nobody else may write there."""
    make_source().fetch_bars("AAPL", START, END)
    assert stat.S_IMODE((tmp_path / "cache" / "yfinance").stat().st_mode) == 0o700
    assert (tmp_path / "cache" / "yfinance" / "cookies.db").exists()


def test_a_stored_cookie_without_a3_is_thrown_away(make_source: MakeSource, yahoo: FakeYahoo, tmp_path: Path) -> None:
    """yfinance fails on it before it asks anything; thrown away, the same call succeeds."""
    store_a_cookie_without_a3(tmp_path / "cache" / "yfinance")

    assert len(make_source().fetch_bars("AAPL", START, END).bars) == 4
    assert yahoo.requests[0].about == COOKIE


@pytest.mark.parametrize("name", ["cookies.db", "tkr-tz.db"])
def test_a_broken_database_is_thrown_away(make_source: MakeSource, tmp_path: Path, name: str) -> None:
    """A disk that was full, a machine that went off."""
    source = make_source()
    (tmp_path / "cache" / "yfinance" / name).write_bytes(b"no database, yet long enough for one" * 100)
    assert len(source.fetch_bars("AAPL", START, END).bars) == 4


def test_only_our_own_folder_is_thrown_away(make_source: MakeSource, tmp_path: Path) -> None:
    """What else lies in the folder that the operator named stays."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "notes.txt").write_text("mine")
    source = make_source()
    (tmp_path / "cache" / "yfinance" / "cookies.db").write_bytes(b"broken" * 1000)
    source.fetch_bars("AAPL", START, END)
    assert (tmp_path / "cache" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("cookie", [OTHER_COOKIE, ENDLESS_A3], ids=["another name", "without an end"])
def test_a_useless_cookie_is_not_stored(make_source: MakeSource, yahoo: FakeYahoo, cookie: Answer) -> None:
    """It would poison the next call; asked for again each time, it does no harm."""
    yahoo.always_say(COOKIE, cookie)
    source = make_source()
    for _ in range(3):
        assert len(source.fetch_bars("AAPL", START, END).bars) == 4
    yfinance_state.forget_client()
    assert len(make_source().fetch_bars("AAPL", START, END).bars) == 4


def test_a_cache_that_stays_broken_is_told(
    source: YFinanceSource, yahoo: FakeYahoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When throwing it away does not help, the cause is in the error, and it ends."""

    def fail(_: object) -> None:
        raise KeyError("A3")

    monkeypatch.setattr("yfinance.data.YfData._load_cookie_curlCffi", fail)
    with pytest.raises(PriceSourceUnavailableError, match=r"yfinance fails: KeyError\('A3'\)"):
        source.fetch_bars("AAPL", START, END)
    assert not yahoo.requests


def test_kept_answers_are_forgotten_before_each_call(source: YFinanceSource, tmp_path: Path) -> None:
    """yfinance keeps 64 answers, errors among them, and a retry answered from there would send nothing."""
    source.fetch_bars("AAPL", START, END)
    assert YfData.cache_get.cache_info().currsize > 0
    yfinance_state.prepare(tmp_path / "cache" / "yfinance")
    assert YfData.cache_get.cache_info().currsize == 0


def test_two_sources_keep_to_their_own_folders(make_source: MakeSource, yahoo: FakeYahoo, tmp_path: Path) -> None:
    """yfinance has one cache for the process; each call is made with its source's own."""
    first = make_source()
    with yahoo.session() as session:
        second = YFinanceSource(tmp_path / "other", session=session)
        second.fetch_bars("AAPL", START, END)
        first.fetch_bars("AAPL", START, END)
    assert (tmp_path / "other" / "yfinance" / "tkr-tz.db").exists()
    assert (tmp_path / "cache" / "yfinance" / "tkr-tz.db").exists()
