"""Which tickers nothing learns from: one rule for every benchmark, and the digest that it hangs on."""

import hashlib


def held_out(ticker: str) -> bool:
    """Whether no network of this project is trained or chosen on the ticker: its digest ``mod 5 == 0``.

    Read of the whole digest and of its first four bytes: by the former alone four would be left of the American panel,
    whose makers had held back the others.
    """
    return digest(ticker) % 5 == 0 or (digest(ticker) >> 224) % 5 == 0


def digest(ticker: str) -> int:
    """SHA-256 of the ticker as a number; an order by it has to do with nothing."""
    return int(hashlib.sha256(ticker.encode()).hexdigest(), 16)
