"""`closecast sample-data`: a body for `POST /predict`, from stored bars."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.config import Settings
    from app.features.stock_prediction.schemas import SampleData


def sample_data(
    ticker: Annotated[str, typer.Option(help="A stored ticker.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="File to write; one that is there is replaced.")],
    rows: Annotated[
        int | None, typer.Option(min=1, help="Newest bars written; none: as many as the champion uses, or are stored.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Write a window of stored bars as `POST /predict` takes it: `curl -d @FILE` sends it.

    Example: [bold]closecast sample-data --ticker AAPL --out aapl.json[/bold]
    """
    from cli.console import err, print_json
    from cli.settings import read_settings, require_database
    from data_pipeline.ticker import parse_ticker

    sample = asyncio.run(_read(require_database(read_settings()), parse_ticker(ticker), rows))
    out.write_text(sample.model_dump_json(exclude_none=True) + "\n")
    if as_json:
        print_json({"file": str(out), "ticker": sample.ticker, "rows": len(sample.sequence), "as_of": sample.as_of})
    else:
        err.print(
            f"{len(sample.sequence)} days of {sample.ticker} up to {sample.as_of} written to {out}", soft_wrap=True
        )


async def _read(settings: Settings, ticker: str, rows: int | None) -> SampleData:
    from app.features.registry.crud import find_bundle, newest_promotions
    from app.features.registry.errors import NoChampionError
    from app.features.stock_prediction.samples import SampleSize, sample_of
    from app.supervisor.one_session import one_session
    from data_pipeline.processing.lstm_preprocessor import InputKind

    async with one_session(settings) as db:
        if rows is None:
            champion = await newest_promotions(db, limit=1)
            bundle = await find_bundle(db, champion[0].bundle_id) if champion else None
            if bundle is None:
                raise NoChampionError
            needed, used = int(bundle.manifest["history_needed"]), int(bundle.manifest["history_used"])
            size = SampleSize(needed, used, whole_bars=bundle.manifest["input_kind"] == InputKind.OHLCV)
        else:
            size = SampleSize(rows, rows)
        return await sample_of(db, ticker, size)
