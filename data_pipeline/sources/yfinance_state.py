"""The state that yfinance keeps for a whole process, and how it is kept clean.

All that reaches into yfinance's private parts is here, measured with 1.7.0.
"""

import shutil
import threading
import warnings
from pathlib import Path
from typing import Final

import yfinance as yf
from pandas.errors import Pandas4Warning
from yfinance import base as yfinance_base
from yfinance import cache as yfinance_cache
from yfinance.data import SingletonMeta, YfData

# Importing yfinance makes its deprecation warnings visible; under pandas 3.1 each call gives several, which say nothing
# to those who run this. One filter for the process, since warnings.catch_warnings around the call is not thread-safe.
warnings.filterwarnings("ignore", category=Pandas4Warning, module=r"yfinance\.")

# One ticker at a time: client, cookie, crumb and caches of yfinance belong to the process.
ONE_AT_A_TIME: Final = threading.Lock()

_ZONE_ASKED_TWICE: Final = 2


def prepare(cache_folder: Path) -> None:
    """Make the next call of yfinance send real requests, fail loudly and use our own cache folder.

    - Errors are raised; by default yfinance logs them and returns an empty frame.
    - Its cache of 64 answers is emptied: it keeps 4xx and 5xx answers too, so that a retry would send nothing.
    - Its search for the zone of an unknown symbol in quoteSummary and elsewhere (up to 28 requests) is taken for done.
    - A refusal that it took for a crumb, and would send along for good, is forgotten.
    """
    yf.config.debug.hide_exceptions = False
    YfData.cache_get.cache_clear()
    yfinance_base._tz_info_fetch_ctr = _ZONE_ASKED_TWICE
    client = SingletonMeta._instances.get(YfData)
    if client is not None and "Too Many Requests" in (client._crumb or ""):
        forget_client()
    if yfinance_cache._TzDBManager.get_location() != str(cache_folder):
        _use(cache_folder)


def forget_client() -> None:
    """Drop the client with its cookie, crumb and cookie strategy: after a failure any of them may be a bad one."""
    SingletonMeta._instances.pop(YfData, None)


def close_connections() -> None:
    """Close what this thread has open of yfinance's caches: each thread opens its own, and none would ever close it."""
    for manager in (yfinance_cache._TzDBManager, yfinance_cache._CookieDBManager, yfinance_cache._ISINDBManager):
        manager.close_db()


def discard_cache(cache_folder: Path) -> None:
    """Throw the cache folder away, on disk and in memory: a cookie stored without A3 poisons every later call."""
    _use(cache_folder)  # closes the databases before their files go
    shutil.rmtree(cache_folder, ignore_errors=True)
    cache_folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _use(cache_folder: Path) -> None:
    yf.set_tz_cache_location(str(cache_folder))
    # The open caches hold on to the databases of the former folder.
    yfinance_cache._TzCacheManager._tz_cache = None
    yfinance_cache._CookieCacheManager._Cookie_cache = None
    yfinance_cache._ISINCacheManager._isin_cache = None
