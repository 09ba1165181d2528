"""What is learnt from what, and what is forecast: the protocol of the skill table, step by step."""

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from benchmarks.held_out import held_out
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import DataVersion
from data_pipeline.sources.exchanges import exchange_of
from ml_lifecycle.evaluation.backtest import Method, Plan
from ml_lifecycle.evaluation.backtest_bars import read_file_bars, with_markets
from ml_lifecycle.evaluation.backtest_run import BacktestResult, run_backtest
from ml_lifecycle.evaluation.methods.network import checkpoint_forecaster
from ml_lifecycle.evaluation.methods.registry import named_method
from ml_lifecycle.evaluation.methods.tutorial_lstm import TutorialLstmMethod
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.export_model import export_bundle
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.manifest import LEVELS
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.config import load_config
from ml_lifecycle.training.train import train

SERVED, LSTM = "network", "lstm"
HORIZONS = (1, 5, 10, 21)
EVERY = 5
TEST_START = date(2024, 8, 15)
PARTS = {"train_end": "2022-12-31", "validation_end": "2023-10-31", "calibration_end": "2024-08-01"}
EARLIER_PARTS = {"train_end": "2018-12-31", "validation_end": "2019-10-31", "calibration_end": "2020-12-31"}
EARLIER_START = date(2021, 1, 4)
CMIG4 = "CMIG4.SA"


@dataclass(frozen=True)
class Extent:
    """How much is computed: files, methods, and how long the tutorial's recipe is trained on how many tickers."""

    panel: str
    brazil: str | None
    events: str | None
    methods: tuple[str, ...]
    members: int | None
    recipe_tickers: int
    recipe_epochs: int

    @property
    def files(self) -> list[str]:
        """Every file that must be there."""
        return [name for name in (self.panel, self.brazil, self.events) if name]


FULL = Extent(
    panel="us_panel_2010_2026.parquet",
    brazil="b3_panel_2015_2025.parquet",
    events="b3_events_2010_2022.parquet",
    methods=("naive", "drift", "ewma_fhs", "garch_t", "autoets", "lightgbm"),
    members=None,
    recipe_tickers=3,
    recipe_epochs=10,
)
QUICK = Extent(
    panel="us_core_2004_2026.parquet",
    brazil=None,
    events=None,
    methods=("naive", "drift", "ewma_fhs", "garch_t", "autoets", "lightgbm"),
    members=1,
    recipe_tickers=1,
    recipe_epochs=1,
)


@dataclass(frozen=True)
class Figures:
    """All that the tables tell; ``brazil``, ``events`` are None where they were not asked for."""

    extent: Extent
    bundle: Bundle
    training_seconds: float | None
    learnt: tuple[str, ...]
    held_out: tuple[str, ...]
    panel: BacktestResult
    brazil: BacktestResult | None
    events: BacktestResult | None
    recipes: Mapping[str, BacktestResult]


def own_methods(bundle: Bundle, trained: Checkpoint) -> dict[str, Method]:
    """What is served and, where that is an average with trees or the ticker's own past, the network by itself.

    By itself it has the fixed offsets of the average.
    """
    served: dict[str, Method] = {SERVED: BundleForecaster(bundle)}
    config = trained.content.config
    if not config.tree_share and not any(config.long_run_shares):
        return served
    alone = config.model_copy(update={"tree_share": 0.0, "long_run_shares": ()})
    content = trained.content.model_copy(update={"config": alone, "trees_sha256": None})
    return {**served, LSTM: checkpoint_forecaster(replace(trained, content=content))}


def absurd(result: BacktestResult) -> str:
    """What no working forecaster would get, whichever the days: a leak or a broken scale; empty where all is well."""
    own = [row for row in result.scores if row.method == SERVED]
    strange = [f"{len(own)} horizons"] if len(own) < len(HORIZONS) else []
    strange += [f"MAE {row.relative_mae:.2f} times the last close's" for row in own if not 0.9 < row.relative_mae < 1.1]
    strange += [f"a gain of {row.skill or 0.0:.0%}" for row in own if not -0.15 < (row.skill or 0.0) < 0.15]
    eighty = [one.coverage for row in own for one in row.intervals if one.level == 0.8]
    strange += [f"{share:.0%} inside the 80 % interval" for share in eighty if not 0.65 < share < 0.95]
    return ", ".join(strange)


class Benchmark:
    """One run; says on standard error what it does and how long each step took."""

    def __init__(self, extent: Extent, data: Path, config: str, checkpoint: Path | None, folder: Path) -> None:
        self.extent, self.data, self.config, self.checkpoint, self.folder = extent, data, config, checkpoint, folder
        self._step_started = time.monotonic()

    def run(self) -> Figures:
        """Train, then look at the test part once."""
        extent = self.extent
        bars = self._panel()
        seen, unseen = [{name: bars[name] for name in bars if held_out(name) is wanted} for wanted in (False, True)]
        trained = self._learnt(seen, PARTS, "network", members=extent.members, checkpoint=self.checkpoint)
        bundle = self._exported(trained)
        self._told(f"the network has learnt from {len(seen)} tickers")
        panel = self._compared(own_methods(bundle, trained), unseen, extent.methods, learn_from=seen)
        self._told(f"{len(unseen)} held-out tickers are forecast")
        brazil = None
        if extent.brazil:
            shares = read_file_bars(self.data / extent.brazil)
            brazil = self._compared({SERVED: BundleForecaster(bundle)}, shares, ("naive", "ewma_fhs", "garch_t"))
            self._told(f"{len(shares)} tickers of São Paulo are forecast")
        events = self._cmig4(seen)
        seconds = trained.content.training_seconds
        return Figures(
            extent, bundle, seconds, tuple(seen), tuple(unseen), panel, brazil, events, self._recipes(unseen)
        )

    def _panel(self) -> dict[str, BarArrays]:
        """The market is that of the tickers that may be learnt from."""
        bars = read_file_bars(self.data / self.extent.panel)
        self._told(f"{len(bars)} tickers are read")
        return with_markets(bars, [ticker for ticker in bars if not held_out(ticker)])

    def _learnt(
        self,
        bars: Mapping[str, BarArrays],
        parts: Mapping[str, str],
        name: str,
        *,
        members: int | None = None,
        checkpoint: Path | None = None,
    ) -> Checkpoint:
        """Train, or take the checkpoint after a look at what it has seen."""
        trained = Checkpoint.load(checkpoint) if checkpoint else self._trained(bars, parts, name, members)
        content = trained.content
        ends = [content.train_end, content.calibration_end]
        if ends != [date.fromisoformat(parts[end]) for end in ("train_end", "calibration_end")]:
            raise SystemExit(f"{checkpoint} was trained to {ends[0]} and calibrated to {ends[1]}: not this protocol")
        if known := sorted(filter(held_out, content.tickers)):
            raise SystemExit(f"{checkpoint} has learnt from {', '.join(known)}, which are held out")
        return trained

    def _exported(self, trained: Checkpoint) -> Bundle:
        """As it would be served."""
        return load_bundle(export_bundle(trained.folder, self.folder / "bundles"))

    def _trained(
        self, bars: Mapping[str, BarArrays], parts: Mapping[str, str], name: str, members: int | None
    ) -> Checkpoint:
        changes = {"members": members} if members else {}
        config = load_config(self.config, **changes, **parts)
        digest = hashlib.sha256((self.data / self.extent.panel).read_bytes()).hexdigest()
        version = DataVersion(table_id=Path(self.extent.panel).stem, version=0, content_sha256=digest)
        # What comes after the calibration is not even given: the run's own look at the test part finds nothing.
        known = {ticker: each.until(date.fromisoformat(parts["calibration_end"])) for ticker, each in bars.items()}
        universes = {exchange_of(ticker): tuple(bars) for ticker in bars}  # all of them American
        return train(config, known, data_version=version, out_dir=self.folder / name, universes=universes)

    def _compared(
        self,
        own: Mapping[str, Method],
        bars: Mapping[str, BarArrays],
        names: Sequence[str],
        *,
        learn_from: Mapping[str, BarArrays] | None = None,
    ) -> BacktestResult:
        methods = {**own, **{name: named_method(name, LEVELS) for name in names}}
        if learn_from is not None:
            last = date.fromisoformat(PARTS["calibration_end"])
            learn_from = {ticker: each.until(last) for ticker, each in learn_from.items()}
        return run_backtest(methods, bars, Plan(TEST_START, None, EVERY, HORIZONS), learn_from=learn_from)

    def _cmig4(self, seen: Mapping[str, BarArrays]) -> BacktestResult | None:
        """By a network, of one seed, that has seen no day of the test: the bars of CMIG4.SA end in 2022."""
        if not self.extent.events:
            return None
        bundle = self._exported(self._learnt(seen, EARLIER_PARTS, "earlier", members=1))
        shares = read_file_bars(self.data / self.extent.events)
        plan = Plan(EARLIER_START, None, 1, HORIZONS)
        methods = {SERVED: BundleForecaster(bundle), "tutorial_lstm": self._recipe()}
        result = run_backtest(methods, {CMIG4: shares[CMIG4]}, plan)
        self._told(f"{CMIG4} is forecast by an earlier network")
        return result

    def _recipes(self, unseen: Mapping[str, BarArrays]) -> dict[str, BacktestResult]:
        """The tutorial's recipe, trained on each ticker's own past, on the first tickers by the alphabet."""
        chosen = sorted(unseen)[: self.extent.recipe_tickers]
        plan = Plan(TEST_START, None, EVERY, HORIZONS)
        recipes = {name: run_backtest({"tutorial_lstm": self._recipe()}, {name: unseen[name]}, plan) for name in chosen}
        self._told(f"the tutorial's recipe is trained on {', '.join(chosen)}")
        return recipes

    def _recipe(self) -> TutorialLstmMethod:
        return TutorialLstmMethod(epochs=self.extent.recipe_epochs)

    def _told(self, what: str) -> None:
        now = time.monotonic()
        print(f"{now - self._step_started:6.0f} s  {what}", file=sys.stderr, flush=True)
        self._step_started = now
