"""Student's t without SciPy, which neither the API's nor the worker's image has; tests hold it against SciPy's."""

import math
from functools import lru_cache

CONTINUED_FRACTION_TERMS = 200  # some √(degrees of freedom) of them suffice, and those are a few thousand at most
HALVINGS = 100  # of the span that a quantile lies in: beyond the last bit


def student_t_tail(statistic: float, degrees_of_freedom: float) -> float:
    """P(T > statistic) for Student's t.

    >>> round(student_t_tail(1.812461, 10), 6)
    0.05
    """
    if statistic < 0.0:
        return 1.0 - student_t_tail(-statistic, degrees_of_freedom)
    x = degrees_of_freedom / (degrees_of_freedom + statistic**2)
    return 0.5 * _incomplete_beta(degrees_of_freedom / 2.0, 0.5, x)


@lru_cache(maxsize=1024)  # tens of milliseconds, and the tickers of one evaluation share their degrees of freedom
def student_t_critical(tail: float, degrees_of_freedom: float) -> float:
    """The statistic, 0 or above, that is exceeded with probability ``tail``, at most one half.

    >>> round(student_t_critical(0.05, 10), 6)
    1.812461
    """
    low, high = 0.0, 1.0
    while student_t_tail(high, degrees_of_freedom) > tail:
        low, high = high, 2.0 * high
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if student_t_tail(middle, degrees_of_freedom) > tail else (low, middle)
    return high


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function by its continued fraction (DLMF 8.17.22), on the side that converges."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    fraction = 1.0
    for term in range(CONTINUED_FRACTION_TERMS, 0, -1):
        fraction = 1.0 + _coefficient(term, a, b, x) / fraction
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * fraction)


def _coefficient(term: int, a: float, b: float, x: float) -> float:
    m = term // 2
    if term % 2:
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
