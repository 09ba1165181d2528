"""`closecast backtest`: from a file of bars to files of quantiles and a table."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_pipeline.processing.calendars import trading_days
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.export.writing import write_bundle
from tests.cli.conftest import Closecast
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.export.handmade import make_contents, make_manifest

OWN = """
import numpy as np
from ml_lifecycle.evaluation.forecasters import GivenForecast

class Half:
    levels, history_needed, history_used = (0.25, 0.5, 0.75), 300, 300

    def forecast_many(self, many_bars):
        return [GivenForecast(np.tile([-0.01, 0.0, 0.01], (30, 1))) for _ in many_bars]
"""


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """Two shares, spelt as Yahoo's downloads are, on days when New York traded."""
    days = trading_days("XNYS", date(2015, 1, 2), date(2017, 1, 2))[:420]
    names = ("Open", "High", "Low", "Close", "Adj Close", "Volume")
    frames = []
    for ticker, seed in (("AAA", 1), ("BBB", 2)):
        bars = make_bars(420, seed=seed)
        values = {name: getattr(bars, name.lower().replace(" ", "_")) for name in names}
        frames.append(pl.DataFrame({"Symbol": [ticker] * 420, "Date": days, **values}))
    pl.concat(frames).write_csv(tmp_path / "prices.csv")
    return tmp_path / "prices.csv"


def test_methods_side_by_side_from_a_file(closecast: Closecast, prices: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    asked = ("--bars", str(prices), "--from", "2016-03-01", "--every", "5", "--horizons", "5,1")

    done = closecast("backtest", "--method", "mine:Half", *asked, "--out", str(tmp_path / "q.parquet"), "--json")

    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert [(row["method"], row["horizon"]) for row in told["scores"]] == [
        ("Half", 1), ("naive", 1), ("Half", 5), ("naive", 5)
    ]  # fmt: skip
    assert told["files"] == {"Half": str(tmp_path / "q.parquet")}
    rows = pl.read_parquet(tmp_path / "q.parquet")
    assert rows.columns == ["ticker", "as_of", "horizon", "quantile", "price"]
    assert rows["as_of"].min() == date.fromisoformat(told["first_cutoff"]) == date(2016, 3, 15)
    assert set(rows["ticker"]) == {"AAA", "BBB"}


def test_adaptive_intervals_stand_beside_the_fixed_ones(closecast: Closecast, prices: Path, tmp_path: Path) -> None:
    asked = ("--bars", str(prices), "--from", "2016-02-01", "--horizons", "1", "--out", str(tmp_path / "q.parquet"))

    done = closecast("backtest", "drift", "--adaptive", *asked, "--json")

    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert [row["method"] for row in told["scores"]] == ["drift", "naive", "drift+adaptive"]
    assert list(told["files"]) == ["drift", "drift+adaptive"]
    fixed, adapted = (pl.read_parquet(path) for path in told["files"].values())
    assert fixed.drop("price").equals(adapted.drop("price"))
    assert not fixed.equals(adapted)


def test_the_table_names_every_method_and_the_files(closecast: Closecast, prices: Path, tmp_path: Path) -> None:
    out = tmp_path / "q.parquet"

    done = closecast(
        "backtest",
        "naive",
        "drift",
        "--bars",
        str(prices),
        "--from",
        "2016-02-01",
        "--tickers",
        "aaa",
        "--out",
        str(out),
    )

    assert done.code == 0, done.err
    assert "1 tickers" in done.out
    assert "80% covers" in done.out
    assert str(tmp_path / "q.drift.parquet") in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "name a bundle or a method: naive, drift"),
        (("best",), 2, "no bundle is called best"),
        (("naive", "--horizons", "0,5"), 2, "--horizons: whole numbers from 1 to 30"),
        (("naive", "--refit-window", "growing"), 2, "expanding or sliding"),
        (("naive", "--to", "2000-01-01"), 2, "--to 2000-01-01 is before --from"),
        (("--method", "mine:Missing"), 2, "mine:Missing"),
        (("naive", "--tickers", "CCC"), 4, "CCC"),
        (("naive", "--reference", "best"), 2, "no method is called best"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    closecast: Closecast, prices: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = closecast(
        "backtest", *arguments, "--bars", str(prices), "--from", "2016-02-01", "--out", str(tmp_path / "q.parquet")
    )

    assert (done.code, done.err.count("\n")) == (code, 1)
    assert said in done.err
    assert not list(tmp_path.glob("*.parquet"))


def test_the_guides_own_method_runs_as_it_stands(closecast: Closecast, prices: Path, tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "backtests.md").read_text(encoding="utf-8")
    code = guide.split("```python\n")[1].split("```")[0]
    (tmp_path / "guide_method.py").write_text(code)
    asked = ("--bars", str(prices), "--from", "2016-03-01", "--every", "20", "--out", str(tmp_path / "q.parquet"))

    done = closecast("backtest", "--method", "guide_method:LastYear", *asked, "--json")

    assert done.code == 0, done.err
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    first = pl.read_parquet(tmp_path / "q.parquet").filter(pl.col("ticker") == "AAA", pl.col("horizon") == 1)[:9]
    bars = make_bars(420, seed=1)
    end = trading_days("XNYS", date(2015, 1, 2), date(2017, 1, 2)).tolist().index(first["as_of"][0])
    returns = np.diff(np.log(bars.adj_close[end - 251 : end + 1]))
    expected = bars.adj_close[end] * np.exp(np.quantile(returns, first["quantile"].to_numpy()))
    np.testing.assert_allclose(first["price"].to_numpy(), expected, rtol=1e-9)


def test_a_bundle_is_named_by_its_id_and_asked_only_after_its_calibration(
    closecast: Closecast, prices: Path, tmp_path: Path
) -> None:
    """The reference bundle is the naive itself, and has seen nothing; the network was calibrated to 2013-01-02."""
    contents = make_contents()
    network = write_bundle(tmp_path / "bundles", contents, make_manifest(contents))
    plain = write_reference_bundle(tmp_path / "bundles")
    asked = ("--bars", str(prices), "--every", "10", "--out", str(tmp_path / "q.parquet"))

    refused = closecast("backtest", str(network), "--from", "2013-01-02", *asked)
    done = closecast("backtest", str(plain), str(network), "naive", "--from", "2016-03-31", *asked, "--json")

    assert (refused.code, "has seen the days to 2013-01-02" in refused.err) == (3, True)
    assert done.code == 0, done.err
    assert set(json.loads(done.out)["files"]) == {plain.name[:12], network.name[:12], "naive"}
    naive, ours, theirs = (
        pl.read_parquet(tmp_path / f"q.{name}.parquet") for name in ("naive", plain.name[:12], network.name[:12])
    )
    assert naive.equals(ours)
    assert not naive.equals(theirs)
