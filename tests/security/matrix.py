"""The authorisation matrix: for each operation, how it is asked and whom it answers.

A route that is added needs a row here (`test_matrix.py` fails without one), and so a decision who may use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any


class Caller(StrEnum):
    """Who asks. `user` owns whatever a path names."""

    NOBODY = "no token"
    USER = "user"
    OTHER = "other user"
    EXPIRED = "expired token"
    REVOKED = "revoked token"
    KEY = "API key without scope"
    ADMIN = "admin"


class Door(StrEnum):
    """Whom an operation lets in."""

    ALL = "everybody"
    SCOPE = "whoever has the scope"
    TRAIN = "whoever may train"
    CREDENTIAL = "whoever has an account, by key too"
    PERSON = "whoever signed in with a password"
    ADMIN = "administrators"


@dataclass(frozen=True)
class Row:
    """One operation.

    Attributes
    ----------
    answers : the statuses of who is let in.
    path, query : ``{owned…}`` and the like stand for what the user owns.
    foreign : the path names something of the user's: for all others it is not there.
    ends_account : asked with an account made for it.
    """

    door: Door
    answers: tuple[int, ...] = (HTTPStatus.OK,)
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    form: Mapping[str, str] | None = None
    foreign: bool = False
    ends_account: bool = False


REFUSED = (HTTPStatus.UNAUTHORIZED,)
FORBIDDEN = (HTTPStatus.FORBIDDEN,)
NOT_THERE = (HTTPStatus.NOT_FOUND,)
NOT_SIGNED_IN = frozenset({Caller.NOBODY, Caller.EXPIRED, Caller.REVOKED})


def expected(row: Row, caller: Caller) -> tuple[int, ...]:
    """The statuses that ``caller`` may get.

    >>> expected(Row(Door.ADMIN), Caller.USER) == FORBIDDEN
    True
    """
    if row.door is Door.ALL:
        return row.answers
    if caller in NOT_SIGNED_IN:
        return REFUSED
    if caller is Caller.KEY and row.door is not Door.CREDENTIAL:
        return FORBIDDEN
    if row.door in {Door.ADMIN, Door.TRAIN} and caller is not Caller.ADMIN:
        return FORBIDDEN
    if row.foreign and caller is not Caller.USER:
        return NOT_THERE
    return row.answers


ANYBODY_S_OWN = "{new_email}"
ABSENT = "0" * 64
NO_JOB = "630bff24-561a-4ad2-88e6-8bb4ef82c9b2"
CREATED, ACCEPTED, NO_CONTENT = HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT

MATRIX: Mapping[str, Row] = {
    "about": Row(Door.ALL),
    "livez": Row(Door.ALL),
    "readyz": Row(Door.ALL),
    "health": Row(Door.ALL),
    "explain_problem": Row(Door.ALL, path={"slug": "expired-token"}),
    "prometheus": Row(Door.ALL),
    "monitor": Row(Door.SCOPE),
    "read_operations": Row(Door.ADMIN),
    "register": Row(Door.ALL, (CREATED,), body={"email": ANYBODY_S_OWN, "password": "{password}"}),
    "sign_in": Row(Door.ALL, (HTTPStatus.UNAUTHORIZED,), form={"username": ANYBODY_S_OWN, "password": "{password}"}),
    "refresh": Row(Door.ALL, (HTTPStatus.UNAUTHORIZED,), body={"refresh_token": "none"}),
    "sign_out": Row(Door.ALL, (NO_CONTENT,), body={"refresh_token": "none"}),
    "list_api_keys": Row(Door.PERSON),
    "create_api_key": Row(Door.PERSON, (CREATED,), body={"name": "another", "scopes": ["predict"]}),
    "revoke_api_key": Row(Door.PERSON, (NO_CONTENT,), path={"key_id": "{owned_key}"}, foreign=True),
    "read_me": Row(Door.CREDENTIAL),
    "delete_me": Row(Door.PERSON, (NO_CONTENT,), ends_account=True),
    "change_password": Row(
        Door.PERSON,
        (NO_CONTENT,),
        body={"current_password": "{password}", "new_password": "{password} and more"},
        ends_account=True,
    ),
    "list_users": Row(Door.ADMIN),
    "patch_user": Row(Door.ADMIN, path={"user_id": "{other_id}"}, body={"disabled": False}),
    "predict": Row(Door.SCOPE, path={"ticker": "AAPL"}),
    "predict_from_body": Row(Door.SCOPE, body={"ticker": "AAPL", "days_ahead": 5}),
    "infer": Row(Door.SCOPE, body={"ticker": "AAPL", "days_ahead": 5}),
    "predict_batch": Row(Door.SCOPE, body={"tickers": ["AAPL"]}),
    "sample_data": Row(Door.SCOPE),
    "list_predictions": Row(Door.SCOPE),
    "read_forecast": Row(Door.SCOPE, path={"forecast_id": "{owned_forecast}"}, foreign=True),
    "explain_forecast": Row(Door.SCOPE, path={"forecast_id": "{owned_forecast}"}, foreign=True),
    "list_ticker_records": Row(Door.SCOPE),
    "download_ticker_records": Row(Door.SCOPE),
    "read_calibration": Row(Door.SCOPE),
    "read_errors_over_time": Row(Door.SCOPE),
    "read_track_record": Row(Door.SCOPE),
    "read_ticker_track_record": Row(Door.SCOPE, path={"ticker": "AAPL"}),
    "model_info": Row(Door.SCOPE),
    "reload_model": Row(Door.ADMIN),
    "list_models": Row(Door.SCOPE),
    "preview_roll_back": Row(Door.ADMIN, (HTTPStatus.CONFLICT,)),
    "read_model": Row(Door.SCOPE, path={"bundle_id": "{champion}"}),
    "promote": Row(Door.ADMIN, NOT_THERE, path={"bundle_id": ABSENT}),
    "roll_back": Row(Door.ADMIN, (HTTPStatus.CONFLICT,), body={"reason": "asked by the matrix"}),
    "list_challenges": Row(Door.SCOPE),
    "read_challenge": Row(Door.SCOPE, NOT_THERE, path={"challenge_id": "0b9f7c1e-6a5d-4d1c-9a3e-2f6f0c9a7b11"}),
    "list_promotions": Row(Door.SCOPE),
    "list_tickers": Row(Door.SCOPE),
    "read_bars": Row(Door.SCOPE, path={"ticker": "AAPL"}),
    "list_data_versions": Row(Door.SCOPE),
    "list_quality": Row(Door.SCOPE),
    "detect_drift": Row(Door.TRAIN, (ACCEPTED,), body={"ticker": "AAPL", "reference_version": 1}),
    "list_drift": Row(Door.TRAIN),
    "read_drift": Row(Door.TRAIN, NOT_THERE, path={"report_id": "0b9f7c1e-6a5d-4d1c-9a3e-2f6f0c9a7b11"}),
    "train": Row(Door.TRAIN, NOT_THERE),  # nothing is named, and the champion is the reference
    "update_champion": Row(Door.TRAIN, NOT_THERE),
    "tune": Row(Door.TRAIN, (ACCEPTED,), body={"trials": 1, "tickers": ["AAPL"]}),
    "list_jobs": Row(Door.TRAIN),
    "read_job": Row(Door.TRAIN, NOT_THERE, path={"job_id": NO_JOB}),
    "cancel_job": Row(Door.TRAIN, NOT_THERE, path={"job_id": NO_JOB}),
    "read_job_logs": Row(Door.TRAIN, NOT_THERE, path={"job_id": NO_JOB}),
    "follow_job": Row(Door.TRAIN, NOT_THERE, path={"job_id": NO_JOB}),
    "read_config": Row(Door.SCOPE),
    "replace_config": Row(Door.ADMIN, body={"model": {}, "training": {}}),
    "change_config": Row(Door.ADMIN, body={"hidden_size": 24}),
}
