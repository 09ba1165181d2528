"""The state of an unfinished run, so that a killed training goes on where it was."""

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from data_pipeline.serving_window import DataVersion
from ml_lifecycle.training.config import TrainingConfig

STATE = "unfinished.npz"
Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class UnfinishedRun:
    """Everything that the next round depends on.

    Attributes
    ----------
    run : digest of configuration, data version and tickers; another run's state is of no use.
    variables, optimizer, best : arrays of the trained network (its dropout seeds among them), of the optimiser, and
        the best weights so far.
    history : rounds so far, as plain values; ``best_round`` is one of them.
    """

    run: str
    variables: Arrays
    optimizer: Arrays
    best: Arrays
    history: Sequence[Mapping[str, Any]]
    best_round: int

    def write(self, folder: Path) -> None:
        """Replace the folder's state in one step."""
        told = json.dumps({"run": self.run, "history": list(self.history), "best_round": self.best_round})
        arrays = {
            f"{name}_{place:04d}": array
            for name in ("variables", "optimizer", "best")
            for place, array in enumerate(getattr(self, name))
        }
        partial = folder / f"partial_{STATE}"
        np.savez(partial, allow_pickle=False, told=np.array(told), **arrays)
        partial.replace(folder / STATE)

    @classmethod
    def read(cls, folder: Path, run: str) -> Self | None:
        """The folder's state; None where there is none, it is damaged, or it belongs to another run."""
        file = folder / STATE
        try:
            # From memory: NumPy leaves the file of a damaged archive open.
            with np.load(BytesIO(file.read_bytes()), allow_pickle=False) as stored:
                told = json.loads(str(stored["told"]))
                lists = {
                    name: [stored[key] for key in sorted(stored.files) if key.startswith(f"{name}_")]
                    for name in ("variables", "optimizer", "best")
                }
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        if told["run"] != run:
            return None
        return cls(run=run, history=told["history"], best_round=told["best_round"], **lists)


@dataclass(frozen=True)
class Run:
    """What an unfinished run is called and where its state is kept; ``digest`` as ``run_digest`` gives it."""

    digest: str
    folder: Path
    resume: bool
    save_every_seconds: float

    def unfinished(self) -> UnfinishedRun | None:
        """The state to go on from; None to begin anew."""
        return UnfinishedRun.read(self.folder, self.digest) if self.resume else None


def run_digest(config: TrainingConfig, data_version: DataVersion, tickers: Sequence[str]) -> str:
    """What makes two runs the same run."""
    content = {
        "config": config.model_dump(mode="json"),
        "data": [data_version.table_id, data_version.version, data_version.content_sha256],
        "tickers": list(tickers),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
