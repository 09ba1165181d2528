"""A stretch of days as Yahoo spells it: 30d, 4wk, 6mo, 1y, ytd, max."""

import re
from typing import Annotated, Final

import numpy as np
from pydantic import StringConstraints

SPELLING: Final = r"^(?:([1-9][0-9]{0,3})(d|wk|mo|y)|ytd|max)$"
Period = Annotated[str, StringConstraints(pattern=SPELLING)]
DAYS: Final = {"d": 1, "wk": 7}
MONTHS: Final = {"mo": 1, "y": 12}


def first_day(period: str, last: np.datetime64) -> np.datetime64 | None:
    """The first day of the ``period`` that ends with the day ``last``; None: there is no first one.

    >>> first_day("30d", np.datetime64("2013-03-30")), first_day("ytd", np.datetime64("2013-03-30"))
    (np.datetime64('2013-03-01'), np.datetime64('2013-01-01'))
    >>> first_day("1mo", np.datetime64("2013-03-31"))
    np.datetime64('2013-03-01')
    """
    found = re.match(SPELLING, period)
    if found is None or period == "max":
        return None
    this_year, this_month = last.astype("datetime64[Y]"), last.astype("datetime64[M]")
    first: np.datetime64
    if period == "ytd":
        first = this_year.astype("datetime64[D]")
    elif found[2] in DAYS:
        first = last - int(found[1]) * DAYS[found[2]] + 1
    else:
        month = this_month - int(found[1]) * MONTHS[found[2]]
        same_day = month.astype("datetime64[D]") + (last - this_month.astype("datetime64[D]"))
        next_month = (month + 1).astype("datetime64[D]")
        first = min(same_day + 1, next_month)  # for a day that the month lacks
    return first
