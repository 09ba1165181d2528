"""Answers to what came in a body: a ticker, several of them, or a window of one's own."""

import json
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter
from uuid import uuid5

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.idempotency import Answer, LogIdentity
from app.core.limits import Limits
from app.core.monitoring.requests import count_unanswered
from app.core.problems import document_of, problem_of
from app.core.security import MissingScopeError, Principal
from app.features.market_data.errors import CollectionPendingError
from app.features.registry.champion import Champion
from app.features.registry.shelf import BundleShelf
from app.features.stock_prediction.batching import BatchDesk
from app.features.stock_prediction.own_window_desk import OwnWindowDesk, OwnWindowQuestion
from app.features.stock_prediction.own_windows import OwnWindow
from app.features.stock_prediction.predict_bodies import BatchRequest, PredictRequest
from app.features.stock_prediction.service import ForecastDesk, Question
from app.models.user import Scope
from data_pipeline.errors import ClosecastError
from data_pipeline.ticker import MalformedTickerError, parse_ticker


@dataclass(frozen=True)
class Posted:
    """A body, who sent it, and where to."""

    request: Request
    db: AsyncSession
    user: Principal
    body: PredictRequest

    async def answer(self, logged_as: LogIdentity | None) -> Answer:
        """The forecast asked for, logged; of a ticker it is frozen.

        Raises
        ------
        MissingScopeError : a bundle is named by somebody who is no administrator.
        BundleNotFoundError, BundleRefusedError : and whatever ``ForecastDesk`` or ``OwnWindowDesk`` does.
        """
        bundle = await self._bundle()
        window = self.body.own_window
        if window is None:
            return Answer(await self._of_ticker(bundle, logged_as))
        return Answer(await self._of_window(window, bundle, logged_as))

    async def infer(self, logged_as: LogIdentity | None) -> Answer:
        """The same with ``prediction`` and ``timestamp``, which clients of `/infer` read."""
        answer = await self.answer(logged_as)
        said = json.loads(answer.body)
        more = json.dumps({"prediction": said["predicted_price"], "timestamp": said["generated_at"]})
        return Answer(answer.body[:-1] + b"," + more[1:].encode())

    async def _bundle(self) -> Champion | None:
        """The one that an administrator named in the champion's place."""
        if self.body.bundle is None:
            return None
        if Scope.ADMIN not in self.user.scopes:
            raise MissingScopeError([Scope.ADMIN])
        shelf: BundleShelf = self.request.app.state.bundle_shelf
        return await shelf.find(self.db, self.body.bundle)

    async def _of_ticker(self, bundle: Champion | None, logged_as: LogIdentity | None) -> bytes:
        desk: ForecastDesk = self.request.app.state.forecast_desk
        assert self.body.ticker is not None  # noqa: S101 (a body without a window names a ticker: it was checked)
        question = Question(
            ticker=self.body.ticker,
            days_ahead=self.body.steps,
            as_of=self.body.as_of,
            user_id=self.user.user_id,
            api_key_id=self.user.api_key_id,
            route=self._route,
            request_id=getattr(self.request.state, "request_id", None),
            logged_as=logged_as,
            bundle=bundle,
        )
        return (await desk.answer(self.db, question)).body

    async def _of_window(self, window: OwnWindow, bundle: Champion | None, logged_as: LogIdentity | None) -> bytes:
        desk: OwnWindowDesk = self.request.app.state.own_window_desk
        question = OwnWindowQuestion(
            window=window,
            told=self.body.told,
            days_ahead=self.body.steps,
            user_id=self.user.user_id,
            api_key_id=self.user.api_key_id,
            route=self._route,
            request_id=getattr(self.request.state, "request_id", None),
            body_sha256=sha256(await self.request.body()).digest(),
            bundle=bundle,
            logged_as=logged_as,
        )
        return (await desk.answer(self.db, question)).model_dump_json().encode()

    @property
    def _route(self) -> str:
        """As it is logged."""
        return f"{self.request.method} {self.request.scope['path']}"


@dataclass(frozen=True)
class PostedBatch:
    """A body with several tickers, who sent it, and where to."""

    request: Request
    db: AsyncSession
    user: Principal
    body: BatchRequest

    async def answer(self, logged_as: LogIdentity | None) -> Answer:
        """A forecast or a problem for each ticker, in the order of the body; each forecast is logged by itself.

        Raises
        ------
        DailyQuotaError : and whatever ``BatchDesk.answer`` does.
        """
        started = perf_counter()
        limits: Limits = self.request.app.state.limits
        # The first of them was taken when the request was admitted.
        await limits.take_forecasts(self.request, self.user.user_id, len(self.body.tickers) - 1)
        parsed = {ticker: _parsed(ticker) for ticker in self.body.tickers}
        asked = {ticker: found for ticker, found in parsed.items() if isinstance(found, str)}
        desk: BatchDesk = self.request.app.state.batch_desk
        questions = [self._question(ticker, logged_as) for ticker in asked.values()]
        answered = dict(zip(asked, await desk.answer(self.db, questions), strict=True))
        for answer in (*answered.values(), *parsed.values()):
            self._count(answer)
        items = [_item(ticker, answered.get(ticker, parsed[ticker])) for ticker in self.body.tickers]
        latency_ms = round((perf_counter() - started) * 1000, 3)
        return Answer(b'{"answers":[%b],"latency_ms":%r}' % (b",".join(items), latency_ms))

    def _count(self, answer: bytes | str | ClosecastError) -> None:
        """A ticker that got no forecast counts as a request for it alone would."""
        if isinstance(answer, CollectionPendingError):
            return  # told to come back as promised: a batch waits for no collection, a request for one ticker does
        if isinstance(answer, ClosecastError):
            count_unanswered(self.request.scope, problem_of(answer).status)

    def _question(self, ticker: str, logged_as: LogIdentity | None) -> Question:
        return Question(
            ticker=ticker,
            days_ahead=self.body.steps,
            as_of=self.body.as_of,
            user_id=self.user.user_id,
            api_key_id=self.user.api_key_id,
            route="POST /predict/batch",
            request_id=getattr(self.request.state, "request_id", None),
            logged_as=None if logged_as is None else (uuid5(logged_as[0], ticker), logged_as[1]),
        )


def _parsed(ticker: str) -> str | MalformedTickerError:
    try:
        return parse_ticker(ticker)
    except MalformedTickerError as error:
        return error


def _item(ticker: str, answer: bytes | str | ClosecastError) -> bytes:
    """One ``BatchAnswer`` in JSON; forecasts are JSON already."""
    name = json.dumps(ticker).encode()
    if isinstance(answer, bytes):
        return b'{"ticker":%b,"forecast":%b,"problem":null}' % (name, answer)
    assert isinstance(answer, ClosecastError)  # noqa: S101 (each ticker that is one was answered)
    problem = document_of(answer)
    if (seconds := getattr(answer, "retry_after_seconds", None)) is not None:
        problem["retry_after_seconds"] = seconds
    return b'{"ticker":%b,"forecast":null,"problem":%b}' % (name, json.dumps(problem).encode())
