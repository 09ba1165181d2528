"""What can go wrong with a tuning; by themselves, so that who tells them apart need not carry Optuna."""

from data_pipeline.errors import ClosecastError


class StudyNotFoundError(ClosecastError):
    """No study of this name is kept here: `closecast tune --study NAME` makes one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no study is called {name}")


class StudyBusyError(ClosecastError):
    """Another process tunes this study: wait for it, or name another with --study."""

    def __init__(self, name: str) -> None:
        super().__init__(f"study {name} is being tuned by another process")


class NoCandidateError(ClosecastError):
    """No trial of the study went through all folds with inputs that may be served: run more of them."""

    def __init__(self, study: str) -> None:
        super().__init__(f"study {study} has no complete trial that may be served")


class TuningBrokenOffError(ClosecastError):
    """A worker process ended before its trial did, for want of memory most likely: go on under the same name."""

    def __init__(self, study: str, code: int | None) -> None:
        super().__init__(f"a worker ended with code {code}: go on with --study {study}, or with fewer --workers")


class NothingTunedError(ClosecastError):
    """No trial went through all folds: the reason of the last one is told."""


class ClusterUnavailableError(ClosecastError):
    """No Ray cluster answers at ``RAY_ADDRESS``, or none could be started here: see what it says, or work without."""


class NothingToChooseError(ClosecastError):
    """No bundle has come since the champion, and that is the reference: train one, or name a study."""

    def __init__(self) -> None:
        super().__init__("no new bundle, and the champion is the reference: train one, or name a study with --study")
