"""``python -m tests.faults.siege``: generators ask while a nemesis kills and cuts; a checker prints what is left.

``make faults`` runs the long version; a short one is a test.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.acknowledged import read_acknowledged
from tests.faults.checker import Findings, check
from tests.faults.generator import TOKEN
from tests.faults.installation import Installation, installed
from tests.faults.nemesis import Nemesis

TICKERS = [f"T{number}" for number in range(50)]
GENERATORS = 2
CONNECTIONS = 64  # of each: a key whose first attempt was killed is waited for, a quarter of a minute


@dataclass(frozen=True)
class Siege:
    """How hard: the siege ends when both counts are reached, or the time is up.

    ``deeds`` are done in this order; without them it is left to chance, until there were enough kills.
    """

    requests: int
    per_second: float
    kills: int
    seconds: float
    pause_seconds: float
    seed: int = 7
    deeds: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of it; ``told`` counts requests by what came of them."""

    findings: Findings
    done: Counter[str]
    kills: int
    told: Counter[str]
    seconds: float

    def shortfalls(self, siege: Siege) -> list[str]:
        """What was wrong, or too little to show that anything is right; nothing where the siege was withstood."""
        found = self.findings
        return [
            what
            for what, is_so in (
                ("something is lost or there twice", not found.is_sound),
                (f"fewer than {siege.kills:,} kills", self.kills < siege.kills),
                (f"fewer than {siege.requests:,} requests", self.told.total() < siege.requests),
                ("nothing was answered, or nothing under a key", not 0 < found.keyed < found.answered),
            )
            if is_so
        ]

    def lines(self) -> list[str]:
        """All counts, to be printed."""
        return [
            f"seconds                      {self.seconds:>8,.0f}",
            f"kills                        {self.kills:>8,}",
            *(f"  {deed:<40} {count:>5,}" for deed, count in sorted(self.done.items())),
            f"requests                     {self.told.total():>8,}",
            *(f"  {came:<40} {count:>8,}" for came, count in sorted(self.told.items())),
            *self.findings.lines(),
        ]


def lay(siege: Siege, installation: Installation, folder: Path) -> Outcome:
    """Besiege an installation, and look what is left; ``folder`` is for what the generators keep."""
    files = [folder / f"acknowledged-{number}.jsonl" for number in range(GENERATORS)]
    started = time.monotonic()
    nemesis = Nemesis(installation, random.Random(siege.seed))
    with ExitStack() as stack:
        generators = [stack.enter_context(_generator(installation, siege, file)) for file in files]
        _besiege(siege, nemesis, generators, until=started + siege.seconds)
        told = sum((_end(each) for each in generators), Counter[str]())
    seconds = time.monotonic() - started
    installation.wait_until_ready()
    acknowledged = (each for file in files for each in read_acknowledged(file))
    findings = check(installation.postgres.server.url(), acknowledged)
    return Outcome(findings, nemesis.done, nemesis.kills, told, seconds)


def _besiege(siege: Siege, nemesis: Nemesis, generators: "list[subprocess.Popen[str]]", *, until: float) -> None:
    planned = list(siege.deeds)
    while time.monotonic() < until:
        if planned:
            nemesis.do(planned.pop(0))
        elif nemesis.kills < siege.kills:
            nemesis.strike()
        elif all(each.poll() is not None for each in generators):
            return
        time.sleep(nemesis.chance.uniform(0, 2 * siege.pause_seconds))


@contextmanager
def _generator(installation: Installation, siege: Siege, file: Path) -> "Iterator[subprocess.Popen[str]]":
    own = ["--port", str(installation.port), "--requests", str(siege.requests // GENERATORS), "--name", file.stem]
    own += ["--connections", str(CONNECTIONS), "--per-second", str(siege.per_second / GENERATORS)]
    command = [sys.executable, "-m", "tests.faults.generator", *own, "--file", str(file), *TICKERS]
    environment = {**os.environ, TOKEN: installation.token}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _end(generator: "subprocess.Popen[str]") -> Counter[str]:
    generator.terminate()
    output, _ = generator.communicate(timeout=60)
    if generator.returncode:
        raise RuntimeError("a generator gave up: see its message")
    return Counter(json.loads(output))


def main() -> int:
    """Besiege as told, print the counts; 0 when it was as hard as told, and nothing is lost or there twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.siege", description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000, help="new ones; attempts to repeat come on top")
    parser.add_argument("--per-second", type=float, default=400.0, help="requests, at most")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=12.0, help="the longest that it may take")
    parser.add_argument("--pause", type=float, default=0.95, help="mean seconds between two deeds")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    siege = Siege(given.requests, given.per_second, given.kills, 60 * given.minutes, given.pause, given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with installed(folder, workers=given.workers, tickers=TICKERS) as installation:
            outcome = lay(siege, installation, folder)
    shortfalls = outcome.shortfalls(siege)
    print("\n".join((*outcome.lines(), *(f"not shown: {each}" for each in shortfalls))))  # noqa: T201 (a command's output)
    return 1 if shortfalls else 0


if __name__ == "__main__":
    sys.exit(main())
