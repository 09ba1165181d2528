"""A Yahoo Finance of our own: real HTTPS, real cookies, Yahoo's wire format, generated from bars and scriptable.

It is one local port that speaks as a proxy: whoever is told to use it (``FakeYahoo.session`` or, for another
process, the variables of ``FakeYahoo.environment``) asks Yahoo's true hosts and is answered here. Nothing in yfinance
is patched.
"""

from tests.fake_yahoo.answers import Answer
from tests.fake_yahoo.listing import Listing
from tests.fake_yahoo.server import FakeYahoo

__all__ = ["Answer", "FakeYahoo", "Listing"]
