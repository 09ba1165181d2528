"""Long passwords are refused only when they are among the first that are tried."""

import pytest

from app.features.users.errors import WeakPasswordError
from app.features.users.password_policy import refuse_weak_password


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("aaaaaaaaaaaaaa", "repeats few"),
        ("abababababab", "repeats few"),
        ("123412341234", "repeats few"),
        ("1234567890abc", "follow each other"),
        ("abcdefghijklm", "follow each other"),
        ("zyxwvutsrqpon", "follow each other"),
        ("Password1234!", "common one"),
        ("p@ssw0rd2026!", "common one"),
        ("passwordPASSWORD", "common one"),
        ("Qwertyuiop123", "common one"),
        ("Closecast2026!", "common one"),
        ("CorrectHorseBatteryStaple", "common one"),
        ("jane.doe-and-more", "e-mail address"),
    ],
)
def test_what_is_tried_first_is_refused(password: str, reason: str) -> None:
    with pytest.raises(WeakPasswordError, match=reason) as refused:
        refuse_weak_password(password, email="Jane.Doe@example.org")

    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "password",
    ["seven green herons wade", "x7$kQ!m2Zp0@", "correct horse battery 7", "пароль из слов", "a password of words"],
)
def test_other_passwords_are_taken(password: str) -> None:
    refuse_weak_password(password, email="joe@example.org")


def test_a_short_name_may_be_in_a_password_by_chance() -> None:
    refuse_weak_password("seven green herons wade", email="her@example.org")
