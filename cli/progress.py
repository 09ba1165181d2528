"""Progress bars on standard error; where nobody watches, nothing is drawn."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.console import err

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.features.training.kinds import Emit


@contextmanager
def counted(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that is told how many are done, of how many, and which one just was."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[item]}"), console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task(title, total=None, item="")
        yield lambda done, total, item: progress.update(task, completed=done, total=total, item=item)


@contextmanager
def working(title: str) -> Iterator[None]:
    """A spinner with the time gone by, for what cannot be counted; ``title`` stays as a line when it is done."""
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task(title, total=1)
        yield
        progress.update(task, completed=1)
    if not err.is_terminal:
        err.print(title)


@contextmanager
def telling(title: str) -> Iterator[Emit]:
    """What a runner of ``app.features.training.kinds`` tells: its lines, and a bar of the batches done.

    Early stopping may end the bar before its end.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, TextColumn("{task.fields[loss]}"), console=err, disable=not err.is_terminal) as bar:
        yield _Shown(bar, title)


class _Shown:
    """An ``Emit`` for people."""

    def __init__(self, bar: Progress, title: str) -> None:
        self._bar = bar
        self._task = bar.add_task(title, total=None, loss="starting TensorFlow")

    def progress(self, **values: Any) -> None:
        if "trials" in values:  # of a tuning
            self._bar.update(self._task, completed=values["trials"], total=values["total"], loss=values["newest"])
            return
        loss = f"validation loss {values['validation_loss']:.5f} (best {values['best_loss']:.5f})"
        self._bar.update(self._task, completed=values["batches"], total=values["total"], loss=loss)

    def log(self, text: str) -> None:
        err.print(text, soft_wrap=True)
