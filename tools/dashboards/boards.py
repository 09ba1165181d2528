"""All dashboards, by the name of their file."""

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tools.dashboards import jobs, model, service

FOLDER = Path("deploy/grafana/dashboards")


def rendered() -> dict[str, str]:
    """The text of each file."""
    built = [service.board(), model.board(), jobs.board()]
    return {f"{board.uid}.json": JSONEncoder(indent=2).encode(board) + "\n" for board in built}
