"""Which passwords are refused though they are long enough: those that are tried first."""

import re
from itertools import pairwise

from app.features.users.errors import WeakPasswordError

FEWEST_CHARACTERS = 5  # distinct ones
SHORTEST_NAME = 4  # a shorter part of the address may be in a good password by chance
# What most leaked passwords of twelve characters and more are built on; digits and signs around it do not help.
COMMON_STEMS = frozenset(
    {
        "administrator",
        "changeme",
        "closecast",
        "correcthorsebatterystaple",
        "iloveyou",
        "letmein",
        "passphrase",
        "password",
        "passwort",
        "qwerty",
        "qwertyuiop",
        "qwertzuiop",
        "azertyuiop",
        "asdfghjkl",
        "secret",
        "senha",
        "sunshine",
        "superman",
        "princess",
        "trustno",
        "welcome",
        "zxcvbnm",
    }
)
LOOK_ALIKES = str.maketrans("013457@$!", "oleastasi")


def refuse_weak_password(password: str, *, email: str) -> None:
    """Refuse what would be guessed early, whoever guesses.

    Raises
    ------
    WeakPasswordError : with the reason.
    """
    folded = password.casefold()
    if len(set(folded)) < FEWEST_CHARACTERS:
        raise WeakPasswordError("it repeats few characters")
    if _is_run(folded):
        raise WeakPasswordError("its characters follow each other")
    if COMMON_STEMS & {_stem(folded), _stem(_without_ends(folded).translate(LOOK_ALIKES))}:
        raise WeakPasswordError("it is a common one with something added")
    name = email.casefold().split("@")[0]
    if len(name) >= SHORTEST_NAME and name in folded:
        raise WeakPasswordError("it contains the e-mail address's name")


def _without_ends(folded: str) -> str:
    """Without the digits and signs that are put before and after a word."""
    return re.sub(r"^[^a-z]+|[^a-z]+$", "", folded)


def _stem(folded: str) -> str:
    """The letters of a password, doubled ones (``passwordpassword``) once."""
    letters = re.sub(r"[^a-z]", "", folded)
    half = letters[: len(letters) // 2]
    return half if half and half * 2 == letters else letters


def _is_run(folded: str) -> bool:
    """Whether most neighbours are neighbours in the alphabet too: ``123456789012``, ``abcdefghijkl``."""
    steps = [ord(after) - ord(before) for before, after in pairwise(folded)]
    return max(steps.count(1), steps.count(-1)) > 0.7 * len(steps)
