"""The page that goes with a bundle, from its checkpoint."""

from ml_lifecycle.evaluation.report import render_report
from ml_lifecycle.export.conformal import AdaptiveChoice
from ml_lifecycle.training.checkpoint import Checkpoint


def checkpoint_report(checkpoint: Checkpoint) -> str:
    """``report.html`` of a checkpoint; the same checkpoint gives the same bytes.

    Raises
    ------
    CheckpointUnreadableError : its forecasts are damaged.
    """
    content = checkpoint.content
    version = content.data_version
    facts = {
        "configuration": content.config.name,
        "tickers": _listed(content.tickers),
        "data version": f"{version.version} of {version.table_id}, content {version.content_sha256[:12]}",
        "training part ends": str(content.train_end),
        "validation part ends": str(content.validation_end),
        "calibration part ends; the test part begins": str(content.calibration_end),
        "pairs": ", ".join(f"{name} {count:,}" for name, count in content.pairs.items()),
        "weights": content.weights_sha256,
        "adaptive intervals": _adaptive(content.adaptive),
        "kept": f"look {content.best_round} of {len(content.history) - 1} (0 is the untrained network)",
    }
    losses = [(record.train_loss, record.validation_loss) for record in content.history]
    return render_report(checkpoint.forecasts(), title=f"Closecast: {content.config.name}", facts=facts, losses=losses)


def _adaptive(choice: AdaptiveChoice) -> str:
    if choice.figures is None:
        return "off: nothing to measure on"
    figures = choice.figures
    told = f"{figures.pinball:.5f} fixed, {figures.adaptive_pinball:.5f} adaptive, {figures.n:,} forecasts"
    return f"{'on' if choice.on else 'off'}: pinball loss on the newer half of the calibration part {told}"


def _listed(tickers: tuple[str, ...], shown: int = 12) -> str:
    return f"{len(tickers)}: {', '.join(tickers[:shown])}{' …' if len(tickers) > shown else ''}"
