"""`closecast sample-data`: the file that `curl -d @FILE` sends."""

import asyncio
import json
from pathlib import Path

from pydantic import SecretStr

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.features.registry.service import ensure_reference_champion
from app.features.stock_prediction.predict_bodies import PredictRequest
from app.supervisor.one_session import one_session
from tests.app.windows import make_window
from tests.cli.conftest import Closecast


async def store_aapl(database: str, home: Path) -> None:
    """One ticker, and the reference as champion."""
    settings = Settings(_env_file=None, database_url=SecretStr(database), home=home)
    async with one_session(settings) as db:
        await ensure_reference_champion(db, settings)
        await publish_windows(db, [make_window("AAPL")])


def test_the_file_holds_a_window_that_the_api_takes(
    closecast: Closecast, database: str, home: Path, tmp_path: Path
) -> None:
    """As many rows as the champion uses and are stored, or as were asked for; what is wrong is one line and no file."""
    asyncio.run(store_aapl(database, home))
    file = tmp_path / "a file.json"

    done = closecast("sample-data", "--ticker", "aapl", "--out", str(file))
    fewer = closecast("sample-data", "--ticker", "AAPL", "--out", str(tmp_path / "b"), "--rows", "60", "--json")
    unknown = closecast("sample-data", "--ticker", "NEWCO", "--out", str(tmp_path / "c"))
    no_ticker = closecast("sample-data", "--ticker", "../x", "--out", str(tmp_path / "c"))

    assert (done.code, done.out) == (0, ""), done.err
    assert "300 days of AAPL up to 2013-03-01 written to" in done.err
    window = PredictRequest.model_validate(json.loads(file.read_bytes())).own_window
    assert window is not None
    assert (window.n_rows, window.missing) == (300, ())
    assert json.loads(fewer.out)["rows"] == 60
    assert (unknown.code, no_ticker.code, (tmp_path / "c").exists()) == (3, 2, False)
    assert unknown.err.count("\n") == 1
