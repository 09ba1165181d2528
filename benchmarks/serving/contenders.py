"""The servers that are compared, each a process of its own: ``python -m benchmarks.serving.contenders NAME``.

All run under uvicorn: one worker, uvloop, httptools, no access log; ours is the API process as it is deployed.
``BENCHMARK_ANSWER`` names a file with an answer as ours gives it, so that the bare ones send as much.
"""

import os
import sys
from pathlib import Path
from typing import Any

import uvicorn

from app.supervisor.listening import inherited_sockets


def ours() -> None:
    """The API process as it is deployed."""
    from app.config import Settings
    from app.supervisor.api_process import serve_api

    serve_api(Settings())


def without_log() -> None:
    """The same, except that no answer waits for its row: what durability costs."""
    from app.features.stock_prediction.log_writer import LogEntry, PredictionLogWriter

    async def forget(_writer: PredictionLogWriter, _entry: LogEntry) -> None:
        return

    setattr(PredictionLogWriter, "append", forget)  # noqa: B010 (a type checker would rightly object)
    ours()


def bare_asgi() -> Any:
    """A function that answers the same bytes to everybody."""
    body = Path(os.environ["BENCHMARK_ANSWER"]).read_bytes()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return app


def bare_fastapi() -> Any:
    """FastAPI with the same response model and nothing else: no token, no database."""
    from fastapi import FastAPI

    from app.features.stock_prediction.schemas import ForecastRead

    answer = ForecastRead.model_validate_json(Path(os.environ["BENCHMARK_ANSWER"]).read_bytes())
    app = FastAPI()

    @app.get("/predict/{ticker}")
    async def predict(ticker: str, days_ahead: int = 5) -> ForecastRead:
        del ticker, days_ahead
        return answer

    return app


def tutorial() -> Any:
    """As tutorials have it: ``model.predict`` in the handler, then one INSERT and one COMMIT; no token is asked for."""
    import keras
    import numpy as np
    from fastapi import FastAPI
    from psycopg_pool import ConnectionPool
    from pydantic import BaseModel

    from app.config import Settings
    from app.core.database import connection_string

    model = keras.Sequential(
        [
            keras.Input((60, 16)),
            keras.layers.LSTM(64, return_sequences=True),
            keras.layers.LSTM(64),
            keras.layers.Dense(5),
        ]
    )
    windows = {"AAPL": np.random.default_rng(7).normal(size=(1, 60, 16)).astype(np.float32)}
    model.predict(windows["AAPL"], verbose=0)
    pool = ConnectionPool(connection_string(Settings()), min_size=4, max_size=16, open=True)
    app = FastAPI()

    class Prediction(BaseModel):
        ticker: str
        predictions: list[float]

    @app.get("/predict/{ticker}")
    def predict(ticker: str) -> Prediction:
        predicted = model.predict(windows["AAPL"], verbose=0)[0].tolist()
        with pool.connection() as connection:  # commits on leaving
            connection.execute(
                "INSERT INTO tutorial_predictions (ticker, predictions) VALUES (%s, %s)", (ticker, predicted)
            )
        return Prediction(ticker=ticker, predictions=predicted)

    return app


DEPLOYED = {"ours": ours, "without_log": without_log}
BARE = {"bare_asgi": bare_asgi, "bare_fastapi": bare_fastapi, "tutorial": tutorial}


def main() -> None:
    """Serve one contender on the socket that was passed on."""
    name = sys.argv[1]
    if name in DEPLOYED:
        DEPLOYED[name]()
    else:
        _serve(BARE[name]())


def _serve(app: Any) -> None:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=60,  # a slow server's connections lie idle for longer than uvicorn's five seconds
    )
    uvicorn.Server(config).run(sockets=inherited_sockets())


if __name__ == "__main__":
    main()
