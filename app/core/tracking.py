"""Where MLflow is, by the settings; nothing here imports it."""

from importlib.util import find_spec

from app.config import Settings
from ml_lifecycle.training.mlflow_delivery import Tracker


def tracker_of(settings: Settings) -> Tracker | None:
    """Where runs are told; None where that is switched off, or MLflow is not installed (as in the worker image)."""
    if not settings.tracking or find_spec("mlflow") is None:
        return None
    folder = settings.home.resolve() / "mlflow"
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    if settings.tracking_uri is not None:
        uri = settings.tracking_uri.get_secret_value()
    served = uri.startswith(("http://", "https://"))  # a tracking server keeps the files itself
    return Tracker(uri, None if served else folder / "artifacts", settings.tracking_flush_seconds)
