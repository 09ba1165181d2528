"""`closecast champion`: which bundle, or which trial of a study, is worth going on with, as a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from app.config import Settings
    from app.models.challenge import Challenge


def champion(
    bundles: Annotated[
        list[str] | None,
        typer.Argument(help="Bundles that challenge, in this order; none: those that are new since the champion."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Take the best trial of this study instead, to be trained in full.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the configuration is written.")] = Path("best_config.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Choose by what beats the naive and the champion on days not trained on, never by the lowest training error.

    Bundles challenge the champion one after the other; the gate decides and promotes, as `closecast promote` does.
    A study's best trial is chosen by its gain over the naive on folds that walk forward; nothing is promoted then.
    What was chosen is written as a configuration that `closecast train --config` takes.

    Example: [bold]closecast champion --study spring && closecast train --config best_config.yaml[/bold]
    """
    from cli.settings import read_settings, require_database, whoami, with_running_database
    from data_pipeline.errors import ConfigurationError

    if study and bundles:
        raise ConfigurationError("name bundles or a study, not both")
    if study:
        _from_study(with_running_database(read_settings()), study, out, by=whoami(), as_json=as_json)
    else:
        _from_bundles(require_database(read_settings()), bundles or [], out, by=whoami(), as_json=as_json)


def _from_study(settings: Settings, study: str, file: Path, *, by: str, as_json: bool) -> None:
    from app.features.training.studies import study_place
    from cli.console import out
    from cli.tune_table import show_skill
    from ml_lifecycle.training.best_trial import BestTrial

    document = BestTrial.of(study_place(settings, study)).document(by=by)
    _write(document, file, as_json=as_json)
    if not as_json:
        metadata = document["metadata"]
        out.print(f"trial {metadata['trial']} of study {study} ({metadata['strategy']}): {file}", soft_wrap=True)
        show_skill(metadata["skill_beside_naive"])
        out.print(f"Train it: closecast train --config {file}", soft_wrap=True)


def _from_bundles(settings: Settings, names: list[str], file: Path, *, by: str, as_json: bool) -> None:
    """The gate's choice.

    Raises
    ------
    NothingToChooseError : nobody challenged, and the champion is the reference.
    GateNotPassedError : those who challenged did not pass, and the champion is the reference.
    """
    from app.features.registry.choosing import champion_document, new_candidates
    from app.features.registry.errors import GateNotPassedError
    from cli.bundles import find_bundle
    from cli.console import out
    from ml_lifecycle.training.tuning_errors import NothingToChooseError

    folders = [find_bundle(settings, name) for name in names or new_candidates(settings)]
    decided = [_challenge(settings, folder, by=by) for folder in folders]
    if not as_json:
        for each in decided:
            _show(each)
    try:
        document = champion_document(settings, by=by, decided=decided)
    except NothingToChooseError:
        if decided:
            raise GateNotPassedError(decided[-1].bundle_id, decided[-1].verdict["reasons"]) from None
        raise
    _write(document, file, as_json=as_json)
    if not as_json:
        out.print(f"champion {document['metadata']['bundle']}: {file}", soft_wrap=True)


def _challenge(settings: Settings, folder: Path, *, by: str) -> Challenge:
    from cli import bundles
    from cli.progress import counted

    with counted(f"Judging {folder.name[:12]}") as progress:
        return bundles.challenge(settings, folder, by=by, progress=lambda done, total: progress(done, total, ""))


def _show(decided: Challenge) -> None:
    from cli import gate_table
    from cli.console import out

    out.print(f"{decided.bundle_id[:12]}: {gate_table.brief(decided.verdict)}", soft_wrap=True)


def _write(document: dict[str, Any], file: Path, *, as_json: bool) -> None:
    from cli.console import print_json
    from ml_lifecycle.training.best_trial import write_document

    write_document(document, file)
    if as_json:
        print_json({"file": str(file), **document})
