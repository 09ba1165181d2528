"""``python -m tests.fake_yahoo --bars FILE --print-env``: a Yahoo for other processes, until it is interrupted."""

import argparse
import signal
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from data_pipeline.processing.calendars import last_final_day, trading_days
from data_pipeline.sources.base import FetchedBars, PriceSource
from data_pipeline.sources.file_source import FileSource
from data_pipeline.sources.sample_source import SampleSource
from tests.fake_yahoo.listing import Listing
from tests.fake_yahoo.server import FakeYahoo


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    options = _options()
    source: PriceSource = SampleSource() if options.bars == "sample" else FileSource(options.bars)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory() as folder, FakeYahoo(Path(folder)) as yahoo:
        for ticker in source.tickers():
            fetched = source.fetch_bars(ticker, None, None)
            listing = Listing.of(fetched)
            yahoo.listings[ticker] = listing.moved_to_end(_newest_days(fetched)) if options.recent else listing
        for name, value in yahoo.environment().items():
            line = f"export {name}='{value}'" if options.print_env else f"{name}={value}"
            print(line, flush=True)  # noqa: T201  # a command line's output
        stop.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fake_yahoo", description=__doc__)
    parser.add_argument("--bars", default="sample", help="file or folder of bars, or 'sample' (the default)")
    parser.add_argument("--recent", action="store_true", help="move the bars so that they end at the last final day")
    parser.add_argument("--print-env", action="store_true", help="print shell 'export' lines instead of plain ones")
    return parser.parse_args()


def _newest_days(fetched: FetchedBars) -> pd.DatetimeIndex:
    """As many trading days as there are bars, up to the last one that is final."""
    last = last_final_day(fetched.exchange, datetime.now(UTC), timedelta(hours=1))
    years = timedelta(days=round(len(fetched.bars) * 1.6) + 30)
    days = trading_days(fetched.exchange, last - years, last + timedelta(days=1))[-len(fetched.bars) :]
    return pd.DatetimeIndex(days.astype("datetime64[s]"), name="trading_day")


if __name__ == "__main__":
    main()
