"""Training, validation, calibration and test follow each other in time and share no outcome."""

from datetime import date

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.look_ahead import future_variants
from ml_lifecycle.training.pairs import gather
from ml_lifecycle.training.parts import PART_NAMES, Parts, TooFewPairsError, part_dates, split_ends
from ml_lifecycle.training.training_statistics import sample_rows, unconditional_quantiles
from tests.made_up_bars import make_bars, weekdays
from tests.ml_lifecycle.conftest import tiny_config, tiny_universe

DAYS = weekdays(100, "2020-01-01")
PARTS = Parts(DAYS[49].item(), DAYS[74].item(), DAYS[89].item())


def test_a_pair_belongs_to_a_part_only_when_its_whole_target_ends_inside_it() -> None:
    ends = split_ends(np.arange(10, 100), DAYS, PARTS, longest=5)

    assert ends["train"].tolist() == list(range(10, 45))  # 44 + 5 is the last day of the part
    assert ends["validation"].tolist() == list(range(50, 70))
    assert ends["calibration"].tolist() == list(range(75, 85))


def test_no_outcome_of_one_part_is_known_before_the_next_part_begins() -> None:
    ends = split_ends(np.arange(100), DAYS, PARTS, longest=30)

    last_outcome = {name: rows.max() + 30 for name, rows in ends.items() if len(rows)}
    assert last_outcome == {"train": 49}  # 25 days hold no target of 30: better none than one that leaks


def test_shares_become_dates_over_the_days_of_all_tickers_together() -> None:
    config = tiny_config(train_share=0.5, validation_share=0.25, calibration_share=0.15)
    halves = {"A": make_bars(60, start="2020-01-01"), "B": make_bars(60, start=str(DAYS[40]))}

    assert part_dates(config, halves) == PARTS


def test_dates_that_are_given_stand() -> None:
    config = tiny_config(train_end="2018-12-31", validation_end="2019-06-30", calibration_end="2019-12-31")

    assert part_dates(config, tiny_universe()) == Parts(date(2018, 12, 31), date(2019, 6, 30), date(2019, 12, 31))


def test_targets_are_log_returns_in_units_of_scale_and_root_of_the_horizon() -> None:
    config, bars = tiny_config(), {"A": make_bars(900)}
    data = gather(config, bars, part_dates(config, bars))
    row = int(data.pairs["train"].rows[5])

    price, scale = bars["A"].adj_close, data.series.scale[row]
    expected = [np.log(price[row + h] / price[row]) / (scale * np.sqrt(h)) for h in config.horizons]
    np.testing.assert_allclose(data.pairs["train"].targets[5], expected, rtol=1e-6)


def test_each_ticker_gives_every_fourth_of_its_cutoffs_by_turns_and_a_short_one_is_named() -> None:
    """The second begins a day later than the first, so that tickers listed alike see every day of the market."""
    config = tiny_config()
    data = gather(config, tiny_universe(), part_dates(config, tiny_universe()))

    assert (data.tickers, data.skipped) == (("T1", "T2", "T3"), ("NEW",))
    rows = data.pairs["train"].rows
    starts = [rows[rows // 900 == ticker].min() for ticker in range(3)]
    assert starts == [64, 965, 1866]  # 64 bars of history; the first turn is that of the one that is too short
    assert set(np.diff(rows[rows < 900])) == {4}


@pytest.mark.parametrize(
    ("variant", "tickers"),
    [("changed", "T1 T2 T3"), ("shifted", "T1 T2 T3"), ("erased", "T1 T3"), ("cut", "T1 T3")],  # some future must stay
)
def test_nothing_after_the_training_part_reaches_scaler_targets_or_windows(variant: str, tickers: str) -> None:
    config = tiny_config(train_end="2012-01-02", validation_end="2012-08-01", calibration_end="2013-01-01")
    bars = tiny_universe()
    parts = part_dates(config, bars)
    with_other_future = bars | {
        ticker: _future_replaced(bars[ticker], parts.train_end, variant) for ticker in tickers.split()
    }

    known, other = (
        _learnt_before_training(config, bars, parts),
        _learnt_before_training(config, with_other_future, parts),
    )

    for one, same in zip(known, other, strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_scaler_fitted_on_all_windows_would_be_caught() -> None:
    """The planted leak of the test above: the same comparison, with the scaler's sample taken from every part."""
    config = tiny_config()
    bars = tiny_universe()
    parts = part_dates(config, bars)
    changed = {ticker: _future_replaced(one, parts.train_end, "changed") for ticker, one in bars.items()}

    known, other = (
        np.mean([data.series.windows(data.pairs[name].rows).window.mean() for name in PART_NAMES])
        for data in (gather(config, bars, parts), gather(config, changed, parts))
    )

    assert known != other


def test_a_part_without_pairs_is_named() -> None:
    config = tiny_config(train_end="2012-01-02", validation_end="2012-01-10", calibration_end="2013-01-01")

    with pytest.raises(TooFewPairsError, match="the validation part"):
        gather(config, tiny_universe(), part_dates(config, tiny_universe()))


def test_a_universe_of_newcomers_cannot_be_trained_on() -> None:
    with pytest.raises(TooFewPairsError, match="no ticker has the 64 bars"):
        gather(tiny_config(), {"NEW": make_bars(30)}, PARTS)


def _learnt_before_training(config, bars, parts):  # type: ignore[no-untyped-def]  # a tuple of four arrays
    from data_pipeline.processing.scaler import fit_scaler

    data = gather(config, bars, parts)
    train = data.pairs["train"]
    sample = data.series.windows(sample_rows(train))
    scaler = fit_scaler("robust", sample.window, sample.context)
    window, context = scaler.apply(sample.window, sample.context)
    return window, context, train.targets, unconditional_quantiles(train, config)


def _future_replaced(bars: BarArrays, last: date, variant: str) -> BarArrays:
    end = int(np.searchsorted(bars.trading_day, np.datetime64(last), side="right")) - 1
    return future_variants(bars, end)[variant] if end < len(bars) - 1 else bars


@pytest.mark.parametrize(("gate_days", "after"), [(0, 10), (10, 10), (40, 40), (99, 99)])
def test_at_least_the_days_of_the_gate_are_left_after_calibration(gate_days: int, after: int) -> None:
    """All parts shrink alike: half, a quarter and three twentieths of what is left."""
    config = tiny_config(train_share=0.5, validation_share=0.25, calibration_share=0.15, gate_days=gate_days)
    bars = {"A": make_bars(100, start="2020-01-01")}

    parts = part_dates(config, bars)

    assert int(np.sum(np.array(parts.calibration_end, dtype="datetime64[D]") < DAYS)) in (after, after + 1)
    if gate_days == 40:
        assert parts.train_end == DAYS[int(60 * 5 / 9) - 1].item()


def test_no_more_days_than_the_gate_wants_are_too_few() -> None:
    with pytest.raises(TooFewPairsError, match="have 100 trading days, and the newest 100 are left to the gate"):
        part_dates(tiny_config(gate_days=100), {"A": make_bars(100)})


@pytest.mark.parametrize("gate_days", [0, 50])
@pytest.mark.parametrize("shares", [(0.5, 0.25, 0.15), (0.7, 0.12, 0.08), (0.2, 0.3, 0.4)])
def test_with_a_few_days_less_than_the_fewest_no_training_is_possible(
    gate_days: int, shares: tuple[float, float, float]
) -> None:
    """And with a few more one is: days are whole, shares of them are not."""
    names = ("train_share", "validation_share", "calibration_share")
    config = tiny_config(**dict(zip(names, shares, strict=True)), gate_days=gate_days, every_days=1)
    fewest = config.fewest_days

    def tried(n_days: int) -> None:
        bars = {"A": make_bars(n_days)}
        gather(config, bars, part_dates(config, bars))

    with pytest.raises(TooFewPairsError):
        tried(fewest - 1)
    tried(fewest + 10)


def test_days_that_are_told_need_a_window_with_its_outcome() -> None:
    told = {"train_end": "2010-01-01", "validation_end": "2011-01-01", "calibration_end": "2012-01-01"}

    assert tiny_config(**told).fewest_days == tiny_config().input_spec.history_needed + 30
