"""What differs between machines, in one place; the bundle describes the model."""

from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, from_json
from pydantic_settings import BaseSettings, SettingsConfigDict

MINIMUM_SECRET_LENGTH = 32
# What examples print and people keep: a signing secret that contains one of these is no secret.
KNOWN_DEFAULT_SECRETS = frozenset(
    {
        "secret",
        "changeme",
        "change-me",
        "change_me",
        "change-this",
        "change_this",
        "password",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI's tutorial
    }
)

# What browsers send as `Origin`; `*` is none, so that nobody opens the API to every site in passing.
Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", max_length=253)]

PREFIX = "CLOSECAST_"
JSON_EXAMPLES: Final = {
    "store_options": '{"region": "eu-west-1"}',
    "sources": '["yfinance", "files"]',
    "cors_origins": '["https://app.example.org"]',
    "jwt_other_secrets": '["9f86d0…"]',
}
# Read by others than `Settings`: docker-compose.yml, the tests, and the processes of one supervisor.
OTHER_VARIABLES = frozenset(f"{PREFIX}{name}" for name in ("PUBLISH", "SHARED", "LISTEN_FD", "LIFELINE_FD", "READY_FD"))


def variable(field: str) -> str:
    """The environment variable of a setting.

    >>> variable("port")
    'CLOSECAST_PORT'
    """
    return f"{PREFIX}{field.upper()}"


class Settings(BaseSettings):
    """What differs between machines. Read once, when the process starts.

    Raises
    ------
    pydantic.ValidationError : a value is out of range; it names the variable, or the field that was given in code.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        alias_generator=variable,  # an error then names the variable that has the wrong value
        populate_by_name=True,
        env_file=".env",
        env_ignore_empty=True,  # a line without a value, as `.env.example` has them, is the default
        frozen=True,
        enable_decoding=False,  # `_read_json` does it: its refusal names the variable too
        hide_input_in_errors=True,  # a value may be a credential
        extra="ignore",
    )

    # Where things lie
    home: Path = Path(".closecast")  # embedded database, bars, bundles, metrics: unless named below
    database_url: SecretStr | None = None  # postgresql://…; None: the embedded PostgreSQL in `home`
    store_uri: str | None = None  # folder or s3://bucket/prefix of the bars; None: `home`/bars
    store_options: dict[str, str] = Field(default_factory=dict)  # object store credentials and endpoint
    bundle_dir: Path | None = None  # None: `home`/bundles
    columns: str | None = None  # modules of one's own input columns that bundles may ask for, joined by `os.pathsep`

    # The API
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    workers: PositiveInt = 1
    jwt_secret: SecretStr | None = None  # the API refuses to start without a strong one
    jwt_other_secrets: list[SecretStr] = []  # verify and sign nothing: the former ones, the next one
    jwt_issuer: str = "closecast"
    jwt_audience: str = "closecast-api"
    access_token_minutes: PositiveInt = 15
    refresh_token_days: PositiveInt = 30
    sign_in_days: PositiveInt = 90  # however often it is refreshed: then the password is asked for again
    refresh_grace_seconds: NonNegativeInt = 10  # a retry of the same refresh by the same client
    password_threads: PositiveInt = 1  # of each worker: more hash faster in a login flood and leave forecasts less
    burst_per_second: PositiveInt = 100  # requests of one user, keys included
    forecasts_per_day: PositiveInt = 100_000  # of one user, keys included; the day is UTC's
    sign_in_requests_per_minute: PositiveInt = 120  # to /auth, from one address
    wrong_passwords_per_address: PositiveInt = 50  # at once, then one each 10 s; many people may share an address
    redis_url: SecretStr | None = None  # counts bursts for all processes; None: each takes its share of the limit
    body_limit_bytes: PositiveInt = 262_144  # a longer request body is a 413
    header_limit_bytes: PositiveInt = 16_384  # more of request line and headers is a 431
    cors_origins: list[Origin] = []  # other sites whose scripts may call the API from a browser; none unless named
    trusted_proxies: str = ""  # addresses or networks, joined by commas, whose X-Forwarded-… are believed; no others'
    docs_enabled: bool = True  # /docs, /redoc and /openapi.json
    internal_port: int | None = Field(default=None, ge=1, le=65535)  # docs and metrics answer there, not at `port`
    inference_engine: Literal["onnx", "keras"] = "onnx"
    metrics_enabled: bool = True
    public_track_record: bool = False  # /track-record for everybody, without an account
    worker_metrics_port: int | None = Field(default=None, ge=1, le=65535)  # None: the worker serves no metrics itself
    database_pool_size: PositiveInt = 5  # per worker
    database_timeout_seconds: PositiveFloat = 2.0  # a connection or statement that takes longer is a 503
    log_requests: bool = True  # one line on stderr for each
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_queue_size: PositiveInt = 4096  # prediction log rows that may wait for a commit
    log_retention_months: PositiveInt | None = None  # whole months of the prediction log; None: all of it stays

    # Prices
    sources: list[Literal["yfinance", "files", "sample"]] = ["yfinance"]  # asked in this order
    files_path: Path | None = None  # what the source `files` reads
    source_timeout_seconds: PositiveFloat = 10.0  # one ticker, its retries included
    source_requests_per_minute: PositiveFloat = 30.0  # token bucket over all processes
    collect_wait_seconds: PositiveFloat = 8.0  # how long a request waits for an unseen ticker
    final_after_minutes: NonNegativeInt = 60  # a bar is final this long after its exchange's close
    stale_after_days: PositiveInt = 3  # trading days; older bars of a live ticker are a 503
    new_tickers_per_day: PositiveInt = 20  # per user, past days of stored ones included
    kept_window_days: PositiveInt = 30  # windows of past days that were built longer ago are deleted

    # Jobs of the queue `train`
    job_lease_seconds: float = Field(default=60.0, ge=1.0)  # without a heartbeat their worker is taken for dead

    # The served model
    gate_days: NonNegativeInt = 250  # newest trading days that training leaves to the gate
    model_max_age_days: PositiveInt = 90  # an older champion is flagged
    model_hard_age_days: PositiveInt = 365  # past it the reference serves

    # Tracking, and what is kept
    tracking: bool = True  # runs are told to MLflow
    tracking_uri: SecretStr | None = None  # sqlite:///…, postgresql://…, http://…; None: SQLite in `home`/mlflow
    tracking_flush_seconds: PositiveFloat = 10.0  # how long the end of a training waits for MLflow at most
    kept_bundle_days: PositiveInt = 90  # bundles that nothing refers to
    kept_data_version_days: PositiveInt = 30  # data versions that nothing refers to
    kept_run_days: PositiveInt = 365  # runs in MLflow that made no bundle
    kept_job_event_days: PositiveInt = 90  # progress and log lines of jobs that are over
    kept_checkpoint_days: PositiveInt = 7  # of trainings that broke off and that nobody goes on with

    @field_validator(*JSON_EXAMPLES, mode="before")
    @classmethod
    def _read_json(cls, value: Any, info: ValidationInfo) -> Any:
        try:
            return from_json(value) if isinstance(value, str) else value
        except ValueError as error:
            example = JSON_EXAMPLES[str(info.field_name)]
            raise PydanticCustomError("json", "Input should be JSON such as {example}", {"example": example}) from error

    @model_validator(mode="after")
    def _ages_in_order(self) -> Self:
        if self.model_hard_age_days < self.model_max_age_days:
            first, second = variable("model_hard_age_days"), variable("model_max_age_days")
            # Not a ValueError: pydantic would put its class before the message.
            raise PydanticCustomError("ages_in_order", f"{first} must not be less than {second}")
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.internal_port == self.port:
            raise PydanticCustomError("ports_differ", f"{variable('internal_port')} must not be {variable('port')}")
        return self

    @cached_property
    def bars_uri(self) -> str:
        """Where the store of bars lies."""
        return self.store_uri or str(self.home / "bars")

    @cached_property
    def bundles(self) -> Path:
        """The folder that holds one folder per bundle."""
        return self.bundle_dir or self.home / "bundles"

    @property
    def final_after(self) -> timedelta:
        """How long after the close a bar counts as final."""
        return timedelta(minutes=self.final_after_minutes)


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that look like a setting and are none, sorted: most likely misspelt.

    >>> unknown_variables(["CLOSECAST_PORT", "CLOSECAST_PROT", "PATH"])
    ['CLOSECAST_PROT']
    """
    known = OTHER_VARIABLES | {variable(field) for field in Settings.model_fields}
    return sorted(name for name in names if name.upper().startswith(PREFIX) and name.upper() not in known)
