"""Guesses of passwords from as many addresses as there are guesses: ``python -m benchmarks.sign_in.flood``.

Addresses are made up in ``X-Forwarded-For``, which the server is told to believe, so that no brake but the bounded
hashing stands in the way. Prints one JSON document: how many answers of which status.
"""

import argparse
import json
from urllib.parse import urlencode

import uvloop

from benchmarks.serving.loader import Load

GUESSES = 20_000


def guess(number: int) -> bytes:
    """One sign-in with a wrong password, as it goes over the wire."""
    form = urlencode({"username": f"guessed{number}@example.org", "password": "not the password"}).encode()
    address = ".".join(str(part) for part in (10, *number.to_bytes(3, "big")))
    head = (
        "POST /auth/token HTTP/1.1",
        "Host: benchmark",
        f"X-Forwarded-For: {address}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(form)}",
        "",
        "",
    )
    return "\r\n".join(head).encode() + form


def main() -> None:
    """Guess as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="number of the first guess: none is made twice")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=100.0)
    told = parser.parse_args()
    load = Load([guess(told.first + number) for number in range(GUESSES)], told.seconds)
    uvloop.run(load.open("127.0.0.1", told.port, 64, told.rate))
    print(json.dumps(load.statuses))


if __name__ == "__main__":
    main()
