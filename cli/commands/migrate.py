"""`closecast migrate`: the schema, once per release."""


def migrate() -> None:
    """Bring the database up to date and register the reference forecaster where no champion is.

    Example: [bold]CLOSECAST_DATABASE_URL=postgresql://… closecast migrate[/bold]
    """
    from app.core.migrations import newest_revision
    from app.supervisor.preparation import prepare_database
    from cli.console import out
    from cli.settings import read_settings, require_database

    prepare_database(require_database(read_settings()))
    out.print(f"The database is at revision {newest_revision()}.")
