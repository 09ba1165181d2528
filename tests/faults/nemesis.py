"""What breaks things: `kill -9` of API processes and PostgreSQL, cut, silent and slow connections."""

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests.faults.installation import Installation
from tests.faults.processes import children_of

KILL_API, KILL_IN_SILENCE = "API process", "API process while the network was silent"
KILL_POSTMASTER, KILL_BACKEND = "PostgreSQL", "PostgreSQL's process of one connection"
CUT, HOLD, DELAY = "all connections cut", "silent for up to 2 s", "20 to 100 ms slower for up to 2 s"
# How often each comes, beside the others: an API process takes seconds to start, and meanwhile tells little. A killed
# process of one connection makes PostgreSQL end all others and recover, as its own death does. In silence rows wait for
# their commit: whoever is answered before it is found out.
WEIGHTS = {KILL_API: 3, KILL_IN_SILENCE: 1, KILL_POSTMASTER: 4, KILL_BACKEND: 8, CUT: 3, HOLD: 1, DELAY: 1}
KILLS = frozenset({KILL_API, KILL_IN_SILENCE, KILL_POSTMASTER, KILL_BACKEND})
SILENCE_SECONDS = 0.4  # shorter than an identity is remembered: so long requests get as far as their row


@dataclass
class Nemesis:
    """Does one thing at a time, by chance; ``done`` counts what was done."""

    installation: Installation
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(count for deed, count in self.done.items() if deed in KILLS)

    def strike(self) -> None:
        """Do something; what finds nobody to be done to does not count."""
        (deed,) = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        self.do(deed)

    def do(self, deed: str) -> bool:
        """Do this; False where there was nobody to be done to."""
        if deed == KILL_IN_SILENCE:
            done = self._kill_in_silence()
        else:
            done = self._kill(self._victims(deed)) if deed in KILLS else self._disturb(deed)
        self.done[deed] += done
        return done

    def _kill_in_silence(self) -> bool:
        self.installation.proxy.hold()
        time.sleep(SILENCE_SECONDS)
        done = self._kill(self.installation.api_processes())
        self.installation.proxy.let_through()
        return done

    def _victims(self, deed: str) -> list[int]:
        if deed == KILL_API:
            return self.installation.api_processes()
        postmaster = self.installation.postgres.server.postmaster()
        if postmaster is None:
            return []
        return [postmaster.pid] if deed == KILL_POSTMASTER else children_of(postmaster.pid, "postgres: postgres")

    def _kill(self, victims: list[int]) -> bool:
        if not victims:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.chance.choice(victims), signal.SIGKILL)
            return True
        return False

    def _disturb(self, deed: str) -> bool:
        proxy = self.installation.proxy
        if deed == CUT:
            return proxy.cut() > 0
        if deed == HOLD:
            proxy.hold()
            time.sleep(self.chance.uniform(0.5, 2))
            proxy.let_through()
        else:
            proxy.delay(self.chance.uniform(0.02, 0.1))
            time.sleep(self.chance.uniform(0.5, 2))
            proxy.delay(0)
        return True
