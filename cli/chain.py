"""The chain after a close, once and here: the steps of the worker, one after the other, through the same functions."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.console import err
from cli.progress import counted, telling, working
from data_pipeline.errors import ClosecastError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from app.config import Settings
    from app.core.jobs import WorkerTools
    from app.features.after_close.rules import Verdict
    from app.features.after_close.steps import Outcome


@dataclass(frozen=True)
class Done:
    """What one step did; ``error`` is why it did not."""

    step: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    skipped: bool = False
    error: ClosecastError | None = None

    @property
    def state(self) -> str:
        """As the rows of the chain say it."""
        return "failed" if self.error is not None else "skipped" if self.skipped else "done"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        told = {"step": self.step, "state": self.state, **self.figures}
        return told if self.error is None else {**told, "error": str(self.error)}


@dataclass(frozen=True)
class Chain:
    """One run over ``tickers`` (none: the live ones that are stored); ``train`` trains without asking the rules."""

    settings: Settings
    tickers: Sequence[str]
    train: bool
    config: str | None
    by: str

    def run(self) -> list[Done]:
        """All steps; one that fails keeps the others from nothing but what it would have made."""
        told = [asyncio.run(self._collect())]
        told += [self._step(name) for name in ("score", "precompute")]
        told.append(self._step("drift"))
        report = told[-1].figures.get("report")
        verdict = asyncio.run(self._judge(report))
        retrain = {"reason": verdict.reason, "rules": list(verdict.rules)}
        told.append(Done("retrain", retrain, skipped=not verdict.train))
        return told + (self._train() if verdict.train else [])

    async def _collect(self) -> Done:
        from app.features.after_close.work import collect_now
        from app.features.market_data.closes import failures_of

        async with _tools(self.settings) as tools:
            asked = list(self.tickers) or await _live(tools)
            if not asked:
                return Done("collect", {"why": "no ticker is stored that a live source keeps up to date"}, skipped=True)
            with working(f"Collecting {len(asked)} tickers"):
                await collect_now(tools, asked)
            async with tools.sessions() as db:
                failed = await failures_of(db, asked)
        figures = {"asked": len(asked), "failed": failed}
        lost = _lost(failed) if len(failed) == len(asked) else None
        return Done("collect", figures, error=lost)

    def _step(self, name: str) -> Done:
        from app.features.after_close import work
        from app.features.after_close.steps import Outcome
        from app.features.stock_prediction.precomputing import precompute_forecasts
        from app.features.track_record.service import score_final_steps

        async def score(tools: WorkerTools) -> Outcome:
            return work.scored(await score_final_steps(tools))

        async def precompute(tools: WorkerTools) -> Outcome:
            return Outcome({"made": await precompute_forecasts(tools)})

        async def drift(tools: WorkerTools) -> Outcome:
            return await work.drift_now(tools, self.tickers or await _live(tools), asked_by=self.by)

        steps = {"score": score, "precompute": precompute, "drift": drift}
        with working(name.capitalize()):
            return asyncio.run(self._attempt(name, steps[name]))

    async def _attempt(self, name: str, step: Callable[[WorkerTools], Awaitable[Outcome]]) -> Done:
        async with _tools(self.settings) as tools:
            try:
                outcome = await step(tools)
            except ClosecastError as error:
                err.print(f"{name}: {error}", soft_wrap=True, markup=False)
                return Done(name, error=error)
        return Done(name, outcome.figures, skipped=outcome.skipped)

    async def _judge(self, report: str | None) -> Verdict:
        from uuid import UUID

        from app.features.after_close.retraining import decide_here

        asked_by = self.by if self.train else None
        async with _tools(self.settings) as tools, tools.sessions() as db:
            return await decide_here(db, tools, asked_by=asked_by, report=UUID(report) if report else None)

    def _train(self) -> list[Done]:
        """Features, training, figures and export, then the gate, which promotes what passes."""
        from app.features.training.run_train import run
        from cli.bundles import challenge

        told: list[Done] = []
        try:
            told.append(self._check())
            with telling("Training") as emit:
                trained = run(self.settings, self._spec(), emit)
            told += [
                Done("train", {name: trained[name] for name in ("bundle", "data_version", "training_seconds")}),
                Done("evaluate", {"scores": _figures(trained["scores"])}),
                Done("export", {"folder": trained["folder"]}),
            ]
            with counted("Judging") as progress:
                decided = challenge(
                    self.settings,
                    self.settings.bundles / trained["bundle"],
                    by=self.by,
                    progress=lambda done, total: progress(done, total, ""),
                )
        except ClosecastError as error:
            err.print(f"training: {error}", soft_wrap=True, markup=False)
            return [*told, Done("gate" if told and told[-1].step == "export" else "train", error=error)]
        gate = {"challenge": str(decided.id), "passed": decided.passed, "reasons": decided.verdict["reasons"]}
        return [*told, Done("gate", gate)]

    def _check(self) -> Done:
        from data_pipeline.storage.feature_store import FeatureStore
        from ml_lifecycle.training.config import load_config
        from ml_lifecycle.training.data_check import check_data

        store = FeatureStore(self.settings.bars_uri, self.settings.store_options)
        with counted("Features") as progress:
            found = check_data(
                store, load_config(self.config or "default"), tickers=self.tickers or None, progress=progress
            )
        if not found.passed:
            raise UnsoundBarsError(found.faults)
        return Done("features", {"tickers": found.n_tickers, "bars": found.n_bars, "windows": found.n_windows})

    def _spec(self) -> dict[str, Any]:
        """As told, else the champion's configuration, else the packaged one."""
        from app.features.configuration.errors import NoChampionConfigError

        if self.config is not None:
            return {"config": self.config, "tickers": list(self.tickers)}
        try:
            content, tickers = asyncio.run(self._of_the_champion())
        except NoChampionConfigError:
            return {"tickers": list(self.tickers)}
        return {"content": content, "tickers": list(self.tickers) or tickers}

    async def _of_the_champion(self) -> tuple[dict[str, Any], list[str]]:
        from app.features.configuration.service import champion_training
        from app.supervisor.one_session import one_session

        async with one_session(self.settings) as db:
            return await champion_training(db)


class UnsoundBarsError(ClosecastError):
    """The stored bars cannot be trained on as they are: `closecast data check` names all that is wrong."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(f"{len(faults)} faults in the stored bars; the first: {faults[0]}")


@asynccontextmanager
async def _tools(settings: Settings) -> AsyncIterator[WorkerTools]:
    from app.core.jobs import WorkerTools
    from app.supervisor.one_session import own_sessions

    async with own_sessions(settings) as sessions:
        yield WorkerTools(settings, sessions)


async def _live(tools: WorkerTools) -> list[str]:
    from app.features.market_data.closes import live_tickers
    from app.features.market_data.service import live_exchanges

    async with tools.sessions() as db:
        return [ticker for exchange in await live_exchanges(db) for ticker in await live_tickers(db, exchange)]


def _lost(failed: Mapping[str, str]) -> ClosecastError:
    from data_pipeline.sources.base import PriceSourceUnavailableError

    ticker, detail = next(iter(failed.items()))
    return PriceSourceUnavailableError(ticker, "every source", detail)


def _figures(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Over all tickers, by horizon, beside the naive forecast."""
    names = ("horizon", "n", "pinball", "naive_pinball", "mae_log_return", "naive_mae_log_return")
    return [{name: score.get(name) for name in names} for score in scores if score.get("ticker", "all") == "all"]
