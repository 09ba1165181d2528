"""`closecast explain`: why a frozen forecast said what it said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from app.features.track_record.schemas import ExplanationRead


def explain(
    forecast_id: Annotated[UUID, typer.Argument(help="As the answer told it.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything, each input's values too, as one JSON document.")
    ] = False,
) -> None:
    """Inputs, drift and lineage of a frozen forecast, and what came after the 20 windows of the past most like its own.

    The inputs are computed anew from the data version that the forecast names.

    Example: [bold]closecast explain 630bff24-561a-4ad2-88e6-8bb4ef82c9b2[/bold]
    """
    import asyncio

    from app.features.track_record.stored_explanation import explain_from_store
    from cli.console import print_json
    from cli.settings import read_settings, require_database

    told = asyncio.run(explain_from_store(require_database(read_settings()), forecast_id))
    if as_json:
        print_json(told.model_dump(mode="json"))
    else:
        _show(told)


def _show(told: ExplanationRead) -> None:
    from rich.table import Table

    from cli.console import err, out

    lineage = told.lineage
    out.print(f"{told.ticker} after {told.cutoff} ({told.kind}, made {told.made_at:%Y-%m-%d %H:%M} UTC)")
    why = (
        f"{lineage.promotion.kind} since {lineage.promotion.decided_at:%Y-%m-%d}"
        if lineage.promotion
        else "no champion"
    )
    out.print(
        f"bundle {lineage.bundle_id} ({lineage.bundle_kind}, {why}), trained to {lineage.train_end}", soft_wrap=True
    )
    out.print(f"data version {lineage.data_version} of {lineage.source}; market inputs {lineage.market_inputs}")
    out.print(f"intervals {'moved by their errors' if lineage.adaptive_alpha else 'as calibrated at training'}")
    for column in told.drift or ():
        out.print(f"drift: {column['column']} {column['statistic']} {column['value']:.2f} (limit {column['limit']})")
    if told.missing_because is not None or told.inputs is None:
        err.print(f"no inputs: {told.missing_because}", soft_wrap=True)
        return
    if not told.inputs.made_from.same_as_forecast:
        err.print(f"the inputs are of data version {told.inputs.made_from.version}: the forecast's own is gone")
    inputs = Table("column", "newest value", "as the network saw it", title=f"Inputs of {len(told.inputs.days)} bars")
    for name, values in told.inputs.columns.items():
        inputs.add_row(name, _number(values[-1]), _number(told.inputs.scaled[name][-1]))
    for name, value in told.inputs.context.items():
        inputs.add_row(f"{name} (at the cutoff)", _number(value), _number(told.inputs.scaled_context[name]))
    out.print(inputs)
    horizons = ("1", "5", "21")
    nearest = Table("cutoff", "distance", *(f"after {h}" for h in horizons), title="Windows of the past most like it")
    for one in told.nearest:
        nearest.add_row(str(one.cutoff), f"{one.distance:.4f}", *(f"{one.log_returns[h]:+.2%}" for h in horizons))
    out.print(nearest)


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.6g}"
