"""`closecast worker`: one job worker, for containers whose platform supervises."""


def worker() -> None:
    """Run one worker until SIGTERM: it collects bars and publishes serving windows.

    Example: [bold]closecast worker[/bold]
    """
    from app.supervisor.worker_process import serve_jobs
    from cli.settings import read_settings, require_database

    serve_jobs(require_database(read_settings()))
