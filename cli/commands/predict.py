"""`closecast predict`: the coming closes of a stored ticker, without the API and without the network."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.config import Settings
    from app.features.registry.champion import Champion


def predict(
    ticker: Annotated[str, typer.Argument(help="A ticker whose bars are stored.")],
    days_ahead: Annotated[int, typer.Option(min=1, max=30, help="Trading days shown.")] = 5,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Leave out the bars after this day.")
    ] = None,
    bundle: Annotated[
        str | None, typer.Option(help="Bundle by id, by its beginning, or by folder; none: the champion.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Forecast from stored bars: a table, and each day's interval as a small chart. Nothing is stored, nothing scored.

    The numbers are those of the API. Where no database runs nobody knows the champion, and the naive reference answers.

    Example: [bold]closecast predict PETR4.SA --days-ahead 5[/bold]
    """
    from app.features.stock_prediction.unfrozen import forecast_stored_bars
    from cli import answer_table, forecast_chart
    from cli.console import print_json
    from cli.settings import read_settings, with_running_database
    from data_pipeline.ticker import parse_ticker

    settings = with_running_database(read_settings())
    answer = forecast_stored_bars(
        settings,
        _who_answers(settings, bundle),
        parse_ticker(ticker),
        days_ahead=days_ahead,
        as_of=None if as_of is None else as_of.date(),
    )
    if as_json:
        print_json(answer)
    else:
        answer_table.show(answer)
        forecast_chart.show(answer)


def _who_answers(settings: Settings, named: str | None) -> Champion:
    from app.features.stock_prediction.unfrozen import bundle_in, served_champion
    from cli.bundles import find_bundle
    from cli.console import err
    from ml_lifecycle.export.reference import write_reference_bundle

    if named is not None:
        return bundle_in(settings, find_bundle(settings, named))
    if settings.database_url is not None:
        return asyncio.run(served_champion(settings))
    err.print("no database runs, so the champion is not known: the reference answers (--bundle names another)")
    return bundle_in(settings, write_reference_bundle(settings.bundles))
