"""`closecast tune`: which training gains most over the naive, on folds that walk forward."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.comma_separated import names_in

if TYPE_CHECKING:
    from ml_lifecycle.training.search_space import SearchSpace


def tune(
    trials: Annotated[int | None, typer.Option(help="How many; a grid may do without.")] = None,
    backend: Annotated[
        str, typer.Option(help="local: processes of this machine; ray: RAY_ADDRESS, or a cluster started here.")
    ] = "local",
    search: Annotated[
        str, typer.Option(help="grid: every combination; tpe: Optuna's; asha: Optuna's with successive halving.")
    ] = "tpe",
    space: Annotated[
        Path | None, typer.Option(help="YAML file of what may be tried; none: the packaged one.", metavar="FILE")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Training configuration under it, instead of the space's own.", metavar="FILE")
    ] = None,
    compare_strategies: Annotated[
        bool, typer.Option("--compare-strategies", help="Each strategy once, on the same folds, in one table.")
    ] = False,
    tickers: Annotated[str | None, typer.Option(help="Comma-separated; none: all that are stored.")] = None,
    data_version: Annotated[int | None, typer.Option(help="Version of the bars; none: the newest.")] = None,
    study: Annotated[str | None, typer.Option(help="Name under which trials are kept and gone on with.")] = None,
    workers: Annotated[int, typer.Option(help="Trials at a time.")] = 1,
    folds: Annotated[int, typer.Option(help="Folds that walk forward.")] = 4,
    every: Annotated[int, typer.Option(help="Trading days between two cutoffs on them.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Try trainings on days before the test part and rank them by what they gain over the naive forecast.

    A tuning that was killed goes on under the same --study. What the best one gained is told with all trials counted:
    of many, one is always lucky. Nothing is promoted; `closecast champion` makes a configuration of the best.

    Example: [bold]closecast tune --trials 20 --search asha --workers 2 --study spring[/bold]
    """
    import os

    from cli.console import print_json
    from cli.progress import telling
    from cli.settings import read_settings, with_running_database
    from cli.tune_table import show

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks on the processor would break the bar
    told: dict[str, Any] = {
        "trials": trials,
        "backend": backend,
        "search": search,
        "space": _space(space, base, alone=compare_strategies),
        "compare_strategies": compare_strategies,
        "tickers": names_in(tickers),
        "data_version": data_version,
        "study": study or ("strategies" if compare_strategies else "tune"),
        "workers": workers,
        "folds": folds,
        "every": every,
    }
    settings = with_running_database(read_settings())
    from app.features.training.run_tune import run  # brings Optuna: after what can be refused

    with telling("Tuning") as emit:
        result = run(settings, told, emit)
    if as_json:
        print_json(result)
    else:
        show(result)


def _space(file: Path | None, base: str | None, *, alone: bool) -> SearchSpace:
    """What the options say; ``alone``: of a space only its base counts."""
    from ml_lifecycle.training.search_space import SearchSpace, load_space

    told = load_space(file)
    changed = told if base is None else told.model_copy(update={"base": base})
    return SearchSpace(base=changed.base) if alone else changed
