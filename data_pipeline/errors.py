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
