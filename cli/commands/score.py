"""`closecast score`: what came of the forecasts whose bars are final."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.config import Settings
    from app.features.track_record.service import ScoredRun


def score(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Score every frozen forecast step whose bar is final, once; then intervals, figures and hash chain follow.

    The worker does the same after each close and every hour; running it twice, or beside the worker, scores nothing
    twice (docs/track-record.md).

    Example: [bold]closecast score[/bold]
    """
    import asyncio
    from dataclasses import asdict

    from cli.console import out, print_json
    from cli.progress import working
    from cli.settings import read_settings, require_database

    settings = require_database(read_settings())
    with working("Scoring"):
        run = asyncio.run(_score(settings))
    if as_json:
        print_json(asdict(run))
        return
    out.print(
        f"{run.scored} steps scored, {run.void} void; {run.taught} tickers' intervals moved; {run.sealed} days sealed"
    )
    for bundle_id, scored in sorted(run.by_bundle.items()):
        out.print(f"bundle {bundle_id}: {scored}", soft_wrap=True)


async def _score(settings: Settings) -> ScoredRun:
    from app.core.jobs import WorkerTools
    from app.features.track_record.service import score_final_steps
    from app.supervisor.one_session import own_sessions

    async with own_sessions(settings) as sessions:
        return await score_final_steps(WorkerTools(settings, sessions))
