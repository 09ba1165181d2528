"""The errors of this project have one root, so that each edge (HTTP, command line) can render all of them."""


class ClosecastError(Exception):
    """Base of every error this project raises on purpose."""


class InsufficientHistoryError(ClosecastError):
    """Fewer trading days than one forecast or one training window needs; collecting an earlier start may help."""

    def __init__(self, *, needed: int, found: int, ticker: str | None = None) -> None:
        subject = f"{ticker}: " if ticker else ""
        super().__init__(f"{subject}{needed} trading days needed, {found} found")
        self.needed, self.found, self.ticker = needed, found, ticker


class ConfigurationError(ClosecastError):
    """A setting or a configuration file asks for something that cannot be; the message names the field."""


class UnknownCalendarError(ClosecastError):
    """No trading calendar has this name: use a market identifier code, such as XNYS or BVMF."""

    def __init__(self, exchange: str) -> None:
        super().__init__(f"no trading calendar is called {exchange!r}")
        self.exchange = exchange


class NothingStoredError(ClosecastError):
    """The store holds no bars of this ticker, or none at all: collect them first."""

    def __init__(self, ticker: str | None = None) -> None:
        super().__init__(f"no bars of {ticker} are stored" if ticker else "no bars are stored")
        self.ticker = ticker


class UnknownDataVersionError(ClosecastError):
    """The store has no such version, or its files were vacuumed: name one that `versions` lists."""

    def __init__(self, version: int) -> None:
        super().__init__(f"data version {version} cannot be read")
        self.version = version


class StoreConflictError(ClosecastError):
    """Other runs kept changing the same bars while this one wrote: nothing was lost, run it again."""

    def __init__(self, tickers: frozenset[str], detail: str) -> None:
        super().__init__(f"{', '.join(sorted(tickers))}: {detail}")
        self.tickers = tickers


class StoreUnavailableError(ClosecastError):
    """The folder or object store of the bars does not answer: check its address, its credentials and its network."""
