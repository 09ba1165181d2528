"""The command line: each command lives in its own file and imports what it needs when it runs."""

import sys
from typing import Annotated

import typer

from cli.commands import (
    api,
    backtest,
    backup,
    champion,
    cleanup,
    collect,
    data,
    demo,
    doctor,
    drift,
    evaluate,
    explain,
    export,
    keys,
    lookahead_check,
    migrate,
    models,
    pipeline,
    predict,
    promote,
    restore,
    rollback,
    sample_data,
    score,
    serve,
    train,
    tune,
    users,
    verify_log,
    worker,
)

app = typer.Typer(
    name="closecast",
    help="Forecast the next closes of a stock, honestly: beside the naive forecast, frozen before the outcome.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(collect.collect)
app.add_typer(data.app)
app.command()(train.train)
app.command()(tune.tune)
app.command()(champion.champion)
app.command()(export.export)
app.command()(evaluate.evaluate)
app.command()(backtest.backtest)
app.command("lookahead-check")(lookahead_check.lookahead_check)
app.command()(drift.drift)
app.command()(pipeline.pipeline)
app.command()(predict.predict)
app.command()(promote.promote)
app.command()(rollback.rollback)
app.command()(score.score)
app.command("verify-log")(verify_log.verify_log)
app.command()(explain.explain)
app.command("sample-data")(sample_data.sample_data)
app.add_typer(models.app)
app.add_typer(users.app)
app.add_typer(keys.app)
app.command()(cleanup.cleanup)
app.command()(backup.backup)
app.command()(restore.restore)
app.command()(doctor.doctor)
app.command()(serve.serve)
app.command()(api.api)
app.command()(worker.worker)
app.command()(migrate.migrate)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"closecast {version('closecast')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run one command; every foreseen error ends as one line on standard error and an exit code of its kind."""
    try:
        app()
    except Exception as error:
        from cli.exit_codes import exit_code, one_line

        code = exit_code(error)
        if code is None:
            raise
        sys.stderr.write(f"closecast: {one_line(error)}\n")
        raise SystemExit(int(code)) from None
