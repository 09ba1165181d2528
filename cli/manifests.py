"""What bundles say of themselves, and where two of them differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.console import out
from cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ALL_TICKERS = "all"
# What every bundle has of its own, or what is too long to be read side by side.
LEFT_OUT = ("files", "golden", "scores", "format", "created_at", "market_universe", "tickers")
FIGURES = ("pinball", "mae_log_return", "n", "n_days")  # per horizon, each with the naive's where there is one


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked manifest of a bundle.

    Raises
    ------
    BundleRefusedError
    """
    from ml_lifecycle.export.folder import read_bundle_folder

    manifest: dict[str, Any] = read_bundle_folder(folder).manifest.model_dump(mode="json")
    return manifest


def about(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Its fields, without files, golden window, figures and whole lists of tickers."""
    fields = {name: value for name, value in manifest.items() if name not in LEFT_OUT}
    return {**fields, "created_at": manifest["created_at"], "n_tickers": len(manifest["tickers"])}


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each field in which two manifests differ, by its path; figures beside the reference's included."""
    ours, theirs = (dict([*_flat("", _compared(each)), *_figures(each)]) for each in (left, right))
    paths = [*ours, *(path for path in theirs if path not in ours)]
    return [
        {"field": path, "left": ours.get(path), "right": theirs.get(path)}
        for path in paths
        if ours.get(path) != theirs.get(path)
    ]


def show_differences(left: str, right: str, found: Sequence[Mapping[str, Any]]) -> None:
    """A table, or one line where there is nothing to tell."""
    if not found:
        out.print("no difference")
        return
    rows = [(each["field"], _short(each["left"]), _short(each["right"])) for each in found]
    print_table(("field", left[:12], right[:12]), rows)


def show_figures(manifest: Mapping[str, Any]) -> None:
    """The scores over all tickers, each beside the naive's."""
    rows = [
        (
            str(score["horizon"]),
            _short(score["pinball"]),
            _short(score["naive_pinball"]),
            _short(score["mae_log_return"]),
            _short(score["naive_mae_log_return"]),
            score["skill"]["label"],
        )
        for score in manifest["scores"]
        if score["ticker"] == ALL_TICKERS
    ]
    if rows:
        print_table(("horizon", "pinball", "naive's", "median error", "naive's", "skill"), rows)
    else:
        out.print("no figures: it was not scored when it was made")


def _compared(manifest: Mapping[str, Any]) -> dict[str, Any]:
    universe = manifest["market_universe"] or {"tickers": {}}
    members = {place: len(names) for place, names in universe["tickers"].items()}
    return {**about(manifest), "market_universe": members}


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Leaves by path; lists are leaves."""
    if not isinstance(value, dict):
        yield prefix, value
        return
    for name, inner in value.items():
        yield from _flat(f"{prefix}.{name}" if prefix else name, inner)


def _figures(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for score in manifest["scores"]:
        if score["ticker"] == ALL_TICKERS:
            for name in FIGURES:
                yield f"scores.{score['horizon']}.{name}", score[name]
            yield f"scores.{score['horizon']}.pinball_skill", score["skill"]["pinball_skill"]


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else "–" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
