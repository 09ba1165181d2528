"""What differs between machines, in one place; the bundle describes the model."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    Field,
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

# Bounds that no use of a setting comes near, and that no date, timer or PostgreSQL parameter made of one goes beyond.
Days = Annotated[int, Field(ge=1, le=36_500)]
Minutes = Annotated[int, Field(ge=1, le=525_600)]  # a year
Seconds = Annotated[float, Field(ge=0.001, le=3_600.0)]
LONGEST_COLLECT_WAIT_SECONDS = 10.0  # an idempotency key is claimed for longer than a request may take
Amount = Annotated[int, Field(ge=1, le=1_000_000_000)]
Threads = Annotated[int, Field(ge=1, le=1_000)]  # or processes, or connections

STORES = ("s3://", "s3a://", "file://")
EVERY_ADDRESS = "*"  # of `trusted_proxies`, where nobody but proxies can reach the port
PREFIX = "CLOSECAST_"
JSON_EXAMPLES: Final = {
    "store_options": '{"region": "eu-west-1"}',
    "sources": '["yfinance", "files"]',
    "cors_origins": '["https://app.example.org"]',
    "jwt_other_secrets": '["9f86d0…"]',
}
# Read by others than `Settings`: docker-compose.yml, the tests, and the processes of one supervisor.
OTHER_VARIABLES = frozenset(
    f"{PREFIX}{name}" for name in ("PUBLISH", "SHARED", "LISTEN_FD", "LIFELINE_FD", "READY_FD", "PROCESS")
)


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
    host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    workers: Threads = 1
    jwt_secret: SecretStr | None = None  # the API refuses to start without a strong one
    jwt_other_secrets: list[SecretStr] = []  # verify and sign nothing: the former ones, the next one
    jwt_issuer: str = "closecast"
    jwt_audience: str = "closecast-api"
    access_token_minutes: Minutes = 15
    refresh_token_days: Days = 30
    sign_in_days: Days = 90  # however often it is refreshed: then the password is asked for again
    refresh_grace_seconds: Annotated[int, Field(ge=0, le=3_600)] = 10  # a retry of the same refresh by the same client
    password_threads: Threads = 1  # of each worker: more hash faster in a login flood and leave forecasts less
    burst_per_second: Amount = 100  # requests of one user, keys included
    forecasts_per_day: Amount = 100_000  # of one user, keys included; the day is UTC's
    sign_in_requests_per_minute: Amount = 120  # to /auth, from one address
    wrong_passwords_per_address: Amount = 50  # at once, then one each 10 s; many people may share an address
    redis_url: SecretStr | None = None  # counts bursts for all processes; None: each takes its share of the limit
    body_limit_bytes: Amount = 262_144  # a longer request body is a 413
    header_limit_bytes: Amount = 16_384  # more of request line and headers is a 431
    cors_origins: list[Origin] = []  # other sites whose scripts may call the API from a browser; none unless named
    trusted_proxies: str = ""  # addresses or networks, joined by commas, whose X-Forwarded-… are believed; no others'
    docs_enabled: bool = True  # /docs, /redoc and /openapi.json
    pages_enabled: bool = True  # the pages that people look at; without them `/` answers JSON to browsers too
    internal_port: int | None = Field(default=None, ge=1, le=65535)  # docs and metrics answer there, not at `port`
    inference_engine: Literal["onnx", "keras"] = "onnx"
    metrics_enabled: bool = True
    public_track_record: bool = False  # /track-record for everybody, without an account
    worker_metrics_port: int | None = Field(default=None, ge=1, le=65535)  # None: the worker serves no metrics itself
    # Base address of a collector that takes OTLP over HTTP; None: no spans are recorded.
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=2_000)] | None = None
    otlp_sample_ratio: float = Field(default=1.0, ge=0.0, le=1.0)  # of traces that begin here; callers decide on theirs
    database_pool_size: Threads = 5  # per worker
    database_timeout_seconds: Seconds = 2.0  # a connection or statement that takes longer is a 503
    log_requests: bool = True  # one line on stderr for each
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_queue_size: Amount = 4096  # prediction log rows that may wait for a commit
    log_retention_months: Annotated[int, Field(ge=1, le=1_200)] | None = (
        None  # whole months of the prediction log; None: all of it stays
    )

    # Prices
    sources: list[Literal["yfinance", "files", "sample"]] = Field(default=["yfinance"], min_length=1)  # in this order
    files_path: Path | None = None  # what the source `files` reads
    source_timeout_seconds: Seconds = 10.0  # one ticker, its retries included
    source_requests_per_minute: Annotated[float, Field(gt=0.0, le=1_000_000.0)] = (
        30.0  # token bucket over all processes
    )
    # How long a request waits for an unseen ticker.
    collect_wait_seconds: float = Field(default=8.0, ge=0.001, le=LONGEST_COLLECT_WAIT_SECONDS)
    final_after_minutes: Annotated[int, Field(ge=0, le=525_600)] = (
        60  # a bar is final this long after its exchange's close
    )
    stale_after_days: Days = 3  # trading days; older bars of a live ticker are a 503
    new_tickers_per_day: Amount = 20  # per user, past days of stored ones included
    kept_window_days: Days = 30  # windows of past days that were built longer ago are deleted

    # Jobs of the queue `train`
    job_lease_seconds: float = Field(
        default=60.0, ge=1.0, le=3_600.0
    )  # without a heartbeat their worker is taken for dead
    # A job that told nothing for so long is ended: it hangs, and nothing else is trained meanwhile.
    job_silence_minutes: float = Field(default=180.0, ge=0.01, le=525_600.0)
    # A worker ends a job that has run for so long, whatever it tells: it may go round in circles.
    job_longest_hours: float = Field(default=168.0, ge=0.001, le=8_760.0)

    # The served model
    gate_days: Annotated[int, Field(ge=0, le=36_500)] = 250  # newest trading days that training leaves to the gate
    model_max_age_days: Days = 90  # an older champion is flagged
    model_hard_age_days: Days = 365  # past it the reference serves

    # Training anew after a close, where the champion is a network (docs/after-close.md)
    # So long after it was made, or after a training was last asked for; 0: never.
    retrain_every_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    retrain_on_drift: bool = True  # inputs are far from those of training
    retrain_on_error: bool = True  # live errors went up, and the naive forecast is better
    retrain_on_coverage: bool = True  # live intervals hold less than they promise
    retrain_pause_days: Days = 7  # no second training so soon, whatever asks for it

    # Tracking, and what is kept
    tracking: bool = True  # runs are told to MLflow
    tracking_uri: SecretStr | None = None  # sqlite:///…, postgresql://…, http://…; None: SQLite in `home`/mlflow
    tracking_flush_seconds: Seconds = 10.0  # how long the end of a training waits for MLflow at most
    kept_bundle_days: Days = 90  # bundles that nothing refers to
    kept_data_version_days: Days = 30  # data versions that nothing refers to
    kept_run_days: Days = 365  # runs in MLflow that made no bundle
    kept_job_event_days: Days = 90  # progress and log lines of jobs that are over
    kept_checkpoint_days: Days = 7  # of trainings that broke off and that nobody goes on with

    @field_validator(*JSON_EXAMPLES, mode="before")
    @classmethod
    def _read_json(cls, value: Any, info: ValidationInfo) -> Any:
        try:
            return from_json(value) if isinstance(value, str) else value
        except ValueError as error:
            example = JSON_EXAMPLES[str(info.field_name)]
            raise PydanticCustomError("json", "Input should be JSON such as {example}", {"example": example}) from error

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for part in filter(None, map(str.strip, value.split(","))):
            if part == EVERY_ADDRESS:
                continue
            with suppress(ValueError):
                ip_network(part)
                continue
            raise PydanticCustomError("proxies", "Input should be addresses or networks such as 10.0.0.7,10.1.0.0/16")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise PydanticCustomError("redis", "Input should be an address such as redis://host:6379")
        return value

    @field_validator("store_uri")
    @classmethod
    def _store(cls, value: str | None) -> str | None:
        if value is not None and "://" in value and not value.startswith(STORES):
            raise PydanticCustomError("store", "Input should be a folder, or an address such as s3://bucket/prefix")
        return value

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
