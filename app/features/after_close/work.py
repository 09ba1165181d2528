"""What each step does, through the functions that others call too. Worker and command line only."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from app.core.jobs import WorkerTools
from app.features.after_close import crud, retraining
from app.features.after_close.steps import Outcome, Step
from app.features.drift.drift_spec import DriftSpec
from app.features.market_data import closes
from app.features.market_data import service as market_data
from app.features.market_data.tasks import collect_and_publish
from app.features.registry.service import champion_manifest
from app.features.stock_prediction.precomputing import precompute_forecasts
from app.features.track_record.service import ScoredRun, score_final_steps
from app.models.after_close import ChainRun
from ml_lifecycle.export.manifest import BundleKind

COLLECT_TICKERS = 50  # at a time: one merge, within a few minutes at Yahoo's pace


async def collect(tools: WorkerTools, run: ChainRun) -> Outcome:
    """Bring the exchange's live tickers up to the day of the close; what came stays when the rest does not."""
    newest = {run.exchange: run.trading_day}
    async with tools.sessions() as db:
        behind = await market_data.live_tickers_behind(db, newest)
    await collect_now(tools, behind)
    async with tools.sessions() as db:
        left = await market_data.live_tickers_behind(db, newest)
        failed = await closes.failures_of(db, left)
    figures = {
        "asked": len(behind),
        "came": len(behind) - len(left),
        "failed": len(failed),
        "without_bar": len(left) - len(failed),
    }
    return Outcome(figures, lacking=_lacking(left, failed), news=len(left) < len(behind))


async def collect_now(tools: WorkerTools, tickers: Sequence[str]) -> None:
    """Collect and publish these tickers; what fails is remembered."""
    async with tools.sessions() as db:
        asked_at = await market_data.database_clock(db)
    for first in range(0, len(tickers), COLLECT_TICKERS):
        await collect_and_publish(tools, list(tickers[first : first + COLLECT_TICKERS]), asked_at.isoformat())


async def score(tools: WorkerTools, run: ChainRun) -> Outcome:
    """Score what has become final, of all exchanges; adaptive states learn from it."""
    del run
    return scored(await score_final_steps(tools))


def scored(done: ScoredRun) -> Outcome:
    """What a scoring run did."""
    return Outcome({"scored": done.scored, "void": done.void, "taught": done.taught})


async def precompute(tools: WorkerTools, run: ChainRun) -> Outcome:
    """Make the next forecasts of everything that is stored and has none yet."""
    del run
    return Outcome({"made": await precompute_forecasts(tools)})


async def drift(tools: WorkerTools, run: ChainRun) -> Outcome:
    """Hold the champion's recent inputs and live scores against what they were, and keep the report."""
    async with tools.sessions() as db:
        tickers = await closes.live_tickers(db, run.exchange)
    return await drift_now(tools, tickers, asked_by=f"after {run.exchange} {run.trading_day}")


async def drift_now(tools: WorkerTools, tickers: Sequence[str], *, asked_by: str) -> Outcome:
    """The same of any stored tickers. Asked by the same about the same bars, it keeps one report."""
    from app.features.drift.run_drift import compare

    if not tickers:
        return Outcome({"why": "no ticker is stored that a live source keeps up to date"}, skipped=True)
    async with tools.sessions() as db:
        champion_id, manifest = await champion_manifest(db)
    if manifest["kind"] == BundleKind.REFERENCE:
        return Outcome({"why": "the champion is the reference, which reads no inputs"}, skipped=True)
    version = await asyncio.to_thread(closes.newest_version, tools.settings)
    asked = DriftSpec(
        bundle=champion_id,
        production_version=version,
        tickers=tuple(tickers),
        asked_by=asked_by,
        job_id=str(uuid5(NAMESPACE_URL, f"{asked_by} {champion_id} {version}")),
    )
    _, measured = await asyncio.to_thread(compare, tools.settings, asked, tell=lambda *_: None)
    verdict = measured.recommendation
    return Outcome({"report": asked.job_id, "recommendation": verdict.verdict.value, "reason": verdict.reason})


async def retrain(tools: WorkerTools, run: ChainRun) -> Outcome:
    """Ask for a training where a rule says so."""
    async with tools.sessions() as db:
        steps = {each.step: each for each in await crud.list_steps(db, run.id)}
        found = steps[Step.DRIFT].outcome or {}
        return await retraining.decide(db, tools, run, report=UUID(found["report"]) if "report" in found else None)


WORK: Final[Mapping[Step, Callable[[WorkerTools, ChainRun], Awaitable[Outcome]]]] = {
    Step.COLLECT: collect,
    Step.SCORE: score,
    Step.PRECOMPUTE: precompute,
    Step.DRIFT: drift,
    Step.RETRAIN: retrain,
}


def _lacking(left: list[str], failed: Mapping[str, str]) -> str | None:
    if not left:
        return None
    if not failed:
        return f"no bar yet of {_some(left)}"
    ticker, detail = next(iter(failed.items()))
    return f"{len(failed)} of {len(left)} that lack a bar failed; {ticker}: {detail}"


def _some(tickers: list[str]) -> str:
    return ", ".join(tickers[:5]) + (f" and {len(tickers) - 5} more" if len(tickers) > 5 else "")
