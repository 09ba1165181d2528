"""``python -m tests.faults.soak``: half of what an API process can bear, for long, and whether its memory grows.

``make soak`` asks for thirty minutes.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.acknowledged import AcknowledgedFile
from tests.faults.generator import Generator
from tests.faults.installation import Installation, installed
from tests.faults.processes import resident_bytes
from tests.faults.siege import TICKERS

MEASURED_SECONDS = 10.0  # for what the process can bear
CONNECTIONS = 8
SAMPLE_SECONDS = 5.0
WARM_UP = 0.25  # of the whole time: caches fill, the allocator finds its size
LIMIT = 1.0  # megabytes in ten minutes
UNBOUNDED = 1e9


@dataclass(frozen=True)
class Soaked:
    """Memory of the API process, in bytes, at instants in seconds; ``asked`` requests got ``answered`` 200s."""

    seconds: list[float]
    resident: list[int]
    asked: int
    answered: int

    @property
    def slope(self) -> float:
        """Megabytes in ten minutes, by least squares, the warm-up left out."""
        at = np.array(self.seconds)
        late = at >= WARM_UP * at[-1]
        return float(np.polyfit(at[late], np.array(self.resident)[late], 1)[0] * 600 / 1e6)

    @property
    def is_shown(self) -> bool:
        """Whether all was answered, and memory grew no faster than the limit."""
        return 0 < self.asked == self.answered and self.slope <= LIMIT

    def lines(self) -> list[str]:
        """What came of it, to be printed."""
        return [
            f"minutes                  {self.seconds[-1] / 60:>8.1f}",
            f"requests                 {self.asked:>8,}, {self.asked / self.seconds[-1]:.0f} a second",
            f"  answered with 200      {self.answered:>8,}",
            f"memory at first, at last {self.resident[0] / 1e6:>8.1f} MB, {self.resident[-1] / 1e6:.1f} MB",
            f"slope after the warm-up  {self.slope:>8.2f} MB in ten minutes",
        ]


async def soak(installation: Installation, folder: Path, *, seconds: float, per_second: float | None) -> Soaked:
    """Ask at ``per_second``, or at half of what can be borne, and watch the memory."""
    with AcknowledgedFile(folder / "soaked.jsonl") as file:
        if per_second is None:
            per_second = await _most_per_second(installation, file) / 2
        generator = Generator(installation.port, installation.token, TICKERS, file, "soak", per_second)
        load = asyncio.create_task(generator.run(sys.maxsize, CONNECTIONS))
        (process,) = installation.api_processes()
        started = time.monotonic()
        at, resident = [0.0], [resident_bytes(process)]
        while at[-1] < seconds and not load.done():
            await asyncio.sleep(SAMPLE_SECONDS)
            at.append(time.monotonic() - started)
            resident.append(resident_bytes(process))
        generator.stopping = True
        await load
    return Soaked(at, resident, generator.told.total(), generator.told["200"])


async def _most_per_second(installation: Installation, file: AcknowledgedFile) -> float:
    generator = Generator(installation.port, installation.token, TICKERS, file, "measure", UNBOUNDED)
    load = asyncio.create_task(generator.run(sys.maxsize, CONNECTIONS))
    await asyncio.sleep(MEASURED_SECONDS)
    generator.stopping = True
    await load
    return generator.told.total() / MEASURED_SECONDS


def main() -> int:
    """Soak as told; 0 when all was answered and memory did not grow faster than the limit."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--per-second", type=float, help="requests; half of what can be borne, if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with installed(folder, workers=1, tickers=TICKERS) as installation:
            soaked = asyncio.run(soak(installation, folder, seconds=60 * given.minutes, per_second=given.per_second))
    print("\n".join(soaked.lines()), f"\nlimit                    {LIMIT:>8.2f} MB")  # noqa: T201 (a command's output)
    return 0 if soaked.is_shown else 1


if __name__ == "__main__":
    sys.exit(main())
