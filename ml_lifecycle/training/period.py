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
    if period == "ytd":
        return np.datetime64(np.datetime64(last, "Y"), "D")
    number, unit = int(found[1]), found[2]
    if unit in DAYS:
        return last - number * DAYS[unit] + 1
    this_month = np.datetime64(last, "M")
    month = this_month - number * MONTHS[unit]
    # The 31st of a month that has 30 days is the first of the next one.
    return min(np.datetime64(month, "D") + (last - np.datetime64(this_month, "D")) + 1, np.datetime64(month + 1, "D"))
