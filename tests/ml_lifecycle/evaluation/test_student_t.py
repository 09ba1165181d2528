"""Student's t beside SciPy's."""

import pytest
from scipy import stats

from ml_lifecycle.evaluation.student_t import student_t_critical, student_t_tail

DEGREES = [1.3, 4.2, 11.7, 57.3, 400.0, 6000.0]


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("statistic", [0.0, 1e-3, 0.3, 1.0, 2.0, 3.5, 8.0, 20.0])
def test_the_tail_is_that_of_scipy(statistic: float, degrees: float) -> None:
    assert student_t_tail(statistic, degrees) == pytest.approx(stats.t.sf(statistic, degrees), rel=1e-9)
    assert student_t_tail(-statistic, degrees) == pytest.approx(stats.t.cdf(statistic, degrees), rel=1e-9)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("tail", [0.5, 0.4, 0.025, 0.01, 1e-6])
def test_the_critical_value_is_that_of_scipy(tail: float, degrees: float) -> None:
    assert student_t_critical(tail, degrees) == pytest.approx(stats.t.isf(tail, degrees), rel=1e-9, abs=1e-12)
