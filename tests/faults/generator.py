"""``python -m tests.faults.generator``: asks for forecasts over many connections and keeps what was answered.

Every other request is a GET, asked once. The others are POSTs under an idempotency key, repeated until they are
answered: whatever became of the first attempts, one row may come of a key.
"""

import argparse
import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.acknowledged import Acknowledged, AcknowledgedFile
from tests.faults.http_client import HttpAnswer, HttpClient, NoWholeAnswerError

TOKEN = "GENERATOR_TOKEN"  # variable of the environment: no command line shows it
PAUSE_SECONDS = 0.05  # after what was not answered
NO_ANSWER = "no whole answer"


@dataclass
class Generator:
    """Asks until it is told to stop or has asked enough; ``told`` counts requests by what came of them."""

    port: int
    token: str
    tickers: Sequence[str]
    file: AcknowledgedFile
    name: str
    per_second: float
    told: Counter[str] = field(default_factory=Counter)
    stopping: bool = False

    async def run(self, requests: int, connections: int) -> None:
        """Ask ``requests`` times, ``connections`` at once, and no faster than is to be."""
        numbers = iter(range(requests))
        await asyncio.gather(*(self._ask_in_turn(numbers, connections) for _ in range(connections)))

    async def _ask_in_turn(self, numbers: Iterator[int], connections: int) -> None:
        async with HttpClient(self.port, {"authorization": f"Bearer {self.token}"}) as http:
            for number in numbers:
                next_at = asyncio.get_running_loop().time() + connections / self.per_second
                await self._ask_one(http, number)
                await asyncio.sleep(next_at - asyncio.get_running_loop().time())
                if self.stopping:
                    return

    async def _ask_one(self, http: HttpClient, number: int) -> None:
        ticker = self.tickers[number % len(self.tickers)]
        request_id = f"{self.name}-{number}"
        keyed = number % 2 == 1
        if not keyed:
            self._keep(await self._try(http, "GET", f"/predict/{ticker}", request_id, None), request_id, keyed)
            return
        while not self.stopping:
            answer = await self._try(http, "POST", "/predict", request_id, {"ticker": ticker})
            if self._keep(answer, request_id, keyed):
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _try(self, http: HttpClient, method: str, path: str, request_id: str, body: object) -> HttpAnswer | None:
        key = {} if body is None else {"idempotency_key": request_id}
        try:
            answer = await http.ask(method, path, body=body, x_request_id=request_id, **key)
        except NoWholeAnswerError:
            self.told[NO_ANSWER] += 1
            await asyncio.sleep(PAUSE_SECONDS)
            return None
        self.told[what_came(answer)] += 1
        return answer

    def _keep(self, answer: HttpAnswer | None, request_id: str, keyed: bool) -> bool:
        if answer is None or answer.status != 200:
            return False
        self.file.add(Acknowledged(request_id, answer.json()["forecast_id"], keyed))
        return True


def what_came(answer: HttpAnswer) -> str:
    """The status and, of a refusal, its reason."""
    return "200" if answer.status == 200 else f"{answer.status} {answer.json()['type'].rpartition('/')[2]}"


def main() -> None:
    """Ask as told; the last line on standard output counts the requests by what came of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.generator", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--per-second", type=float, required=True, help="at most")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--name", required=True, help="what the request ids begin with")
    parser.add_argument("--file", type=Path, required=True, help="where what was answered is kept")
    parser.add_argument("tickers", nargs="+")
    options = parser.parse_args()
    with AcknowledgedFile(options.file) as file:
        generator = Generator(options.port, os.environ[TOKEN], options.tickers, file, options.name, options.per_second)
        signal.signal(signal.SIGTERM, lambda *_: setattr(generator, "stopping", True))
        asyncio.run(generator.run(options.requests, options.connections))
    print(json.dumps(generator.told))  # noqa: T201 (a command's output)


if __name__ == "__main__":
    main()
