"""Where the demo lives: settings of its own, a secret of its own, and what it remembers for the next run."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from app.config import Settings
from app.supervisor import home
from app.supervisor.listening import free_port

LOOPBACK = "127.0.0.1"
TICKER = "AAPL"
FORECAST_TICKERS = (TICKER, "IBM", "MSFT")  # of the sample, with history enough; the first that can be served is
SAMPLE_TICKERS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


@dataclass(frozen=True)
class Remembered:
    """What a former run made, so that this one need not."""

    bundle: str | None = None
    email: str | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """What is kept in ``path``; nothing, where it is absent or not ours."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, TypeError, ValueError):
            return cls()

    def write(self, path: Path) -> None:
        """Keep it, readable by its owner only."""
        home.write_private(path, json.dumps(asdict(self)))


@dataclass(frozen=True)
class Installation:
    """The demo's settings and files; nothing outside its home is touched, whatever the environment says."""

    settings: Settings
    wanted_port: int

    @property
    def folder(self) -> Path:
        """What only the demo keeps."""
        return self.settings.home / "demo"

    @property
    def memory(self) -> Path:
        """See `Remembered`."""
        return self.folder / "remembered.json"

    @property
    def password(self) -> Path:
        """The demo account's password: shown once, then read from here by the printed commands."""
        return self.folder / "password"

    @property
    def log(self) -> Path:
        """What the API and the worker write."""
        return self.settings.home / "server.log"


def install(settings: Settings, *, host: str = LOOPBACK) -> Installation:
    """Settings for the demo, on a port of ``host`` that is free, with a secret made once and kept with mode 0600."""
    where = settings.home.resolve()
    home.make(where)
    (where / "demo").mkdir(mode=0o700, exist_ok=True)
    own = {
        "home": where,
        "database_url": None,  # never the one of a real installation
        "store_uri": str(where / "bars"),
        "bundle_dir": where / "bundles",
        "host": host,
        "port": free_port(host, settings.port),
        "workers": 1,
        "jwt_secret": SecretStr(home.kept_secret(where / "demo" / "secret")),
        "inference_engine": "onnx",
    }
    return Installation(settings.model_copy(update=own), wanted_port=settings.port)
