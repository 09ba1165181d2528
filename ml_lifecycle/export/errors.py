"""What can go wrong between a bundle on disk and a forecast."""

from data_pipeline.errors import ClosecastError


class BundleRefusedError(ClosecastError):
    """A bundle is not what it says it is, or not what may be served: keep the former one, export this one again."""

    def __init__(self, reason: str) -> None:
        self.reason = " ".join(reason.split())
        super().__init__(f"bundle refused: {self.reason}")


class WholeBarsNeededError(ClosecastError):
    """Closes were given to a bundle that reads more of a bar: give whole bars, or ask one of ``input_kind: closes``."""

    def __init__(self) -> None:
        super().__init__("this bundle reads whole bars: closes alone do not suffice")


class ExportError(ClosecastError):
    """A checkpoint could not become a bundle; nothing was written."""


class InferenceError(ClosecastError):
    """A loaded network could not be run on well-formed inputs: serve the former bundle, report this one."""
