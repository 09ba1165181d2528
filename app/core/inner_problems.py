"""How the errors of the inner packages look over HTTP; those packages know nothing of HTTP themselves."""

from http import HTTPStatus

from app.core.problems import problem
from data_pipeline import errors
from data_pipeline.processing.lstm_preprocessor import UnusableBarsError
from data_pipeline.sources import base
from data_pipeline.ticker import MalformedTickerError
from ml_lifecycle.export import errors as export_errors


def register_inner_problems() -> None:
    """Register each error that the inner packages can raise in an API process."""
    failure, unprocessable = HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.UNPROCESSABLE_ENTITY
    missing, unavailable = HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE
    problem(
        unprocessable,
        "insufficient-history",
        example="NEWCO: 252 trading days needed, 100 found",
        members=("ticker", "needed", "found"),
    )(errors.InsufficientHistoryError)
    for error_class, status, slug, example in (
        (errors.ConfigurationError, failure, "misconfigured", "a setting of this service is wrong; it was logged"),
        (base.PriceSourceError, unavailable, "price-source", "AAPL from yfinance: no usable bars"),
        (base.UnknownTickerError, missing, "unknown-ticker", "ZZZZZZ from yfinance: no such symbol"),
        (base.NoDataError, missing, "no-data", "TWTR from yfinance: no prices, possibly delisted"),
        (base.BeforeListingError, unprocessable, "before-listing", "FB from yfinance: first traded on 2012-05-18"),
        (base.PriceSourceUnavailableError, unavailable, "price-source-unavailable", "AAPL from yfinance: no answer"),
        (base.RateLimitedError, unavailable, "price-source-rate-limited", "AAPL from yfinance: too many requests"),
        (base.SourceNetworkError, unavailable, "price-source-network", "AAPL from yfinance: connection timed out"),
        (base.MalformedAnswerError, unavailable, "price-source-malformed", "AAPL from yfinance: an HTML page came"),
        (base.CircuitOpenError, unavailable, "price-source-paused", "AAPL from yfinance: paused after failures"),
        (export_errors.BundleRefusedError, unprocessable, "bundle-refused", "bundle refused: a digest differs"),
        (export_errors.ExportError, failure, "export-failed", "the checkpoint could not become a bundle"),
        (export_errors.InferenceError, failure, "inference-failed", "the served network could not be run"),
        (export_errors.WholeBarsNeededError, unprocessable, "whole-bars-needed", "this bundle reads whole bars"),
        (UnusableBarsError, unprocessable, "unusable-bars", "AAPL: a price in the window is 0"),
        (MalformedTickerError, unprocessable, "malformed-ticker", "'../x' is no ticker: PETR4.SA and BRK-B are"),
        (errors.UnknownCalendarError, unprocessable, "unknown-exchange", "no trading calendar is called 'XXXX'"),
        (errors.NothingStoredError, missing, "nothing-stored", "no bars of AAPL are stored"),
        (errors.UnknownDataVersionError, missing, "unknown-data-version", "data version 7 cannot be read"),
        (errors.StoreConflictError, unavailable, "store-conflict", "AAPL: other runs kept changing the same bars"),
        (errors.StoreUnavailableError, unavailable, "store-unavailable", "the store of bars does not answer"),
        (base.UnusableFileError, failure, "unusable-file", "a file of bars is unreadable; it was logged"),
    ):
        problem(status, slug, example=example)(error_class)


register_inner_problems()
