"""A verdict in one line, as the demo tells it."""

from cli import gate_table
from ml_lifecycle.evaluation.gate import GateTest, GateVerdict, Reason

TEST = GateTest(
    number=1,
    alpha=0.025,
    gain=0.0123,
    statistic=1.1,
    degrees_of_freedom=8.4,
    p_value=0.15,
    median_ratio=1.001,
    median_p_value=0.4,
    coverage_error={"0.8": 0.01},
    champion_coverage_error={"0.8": 0.02},
    horizons=(),
)


def test_a_verdict_is_told_with_its_figures_and_its_reasons() -> None:
    verdict = GateVerdict(n_days=229, n_tickers=5, test=TEST)

    assert gate_table.brief(verdict.to_dict()) == (
        "The gate: pinball gain +1.2%, p = 0.150, 229 days, 5 tickers: gain_not_proven: the gain may be luck"
    )


def test_what_was_not_tested_has_no_figures() -> None:
    too_few = GateVerdict(n_days=119, n_tickers=5)
    refused = GateVerdict(refusal=Reason.BUNDLE_REFUSED, detail="a digest differs")

    assert gate_table.brief(too_few.to_dict()) == (
        "The gate: 119 days, 5 tickers: too_few_days: fewer than 120 trading days that neither bundle has seen"
    )
    assert gate_table.summary(refused.to_dict()) == ["bundle_refused: a bundle cannot be loaded (a digest differs)"]


def test_every_reason_has_words() -> None:
    assert set(gate_table.WORDS) == {reason.value for reason in Reason}
