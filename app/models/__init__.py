"""ORM models, one module per subject; importing this package fills ``Base.metadata``."""

from app.models.adaptive import AdaptiveStateRow
from app.models.api_key import ApiKey
from app.models.base import Base
from app.models.chain import ChainDay
from app.models.challenge import Challenge, ShadowDecision
from app.models.forecast import Forecast
from app.models.idempotency import IdempotencyKey
from app.models.limits import DailyQuota, SignInBrake
from app.models.live_skill import LiveSkill
from app.models.market_data import (
    DataVersionRow,
    NewTickerRequest,
    QualityReportRow,
    SourceBudget,
    SourceCircuit,
    WindowFailure,
)
from app.models.prediction_log import PredictionLogRow
from app.models.promotion import BundleRow, Promotion
from app.models.score import Score, ScoreDay, ScoredSeries
from app.models.serving_window import ServingWindowRow
from app.models.token import RefreshToken, SignIn
from app.models.training_job import TrainingDefaults, TrainingJob, TrainingJobEvent
from app.models.user import User

__all__ = [
    "AdaptiveStateRow",
    "ApiKey",
    "Base",
    "BundleRow",
    "ChainDay",
    "Challenge",
    "DailyQuota",
    "DataVersionRow",
    "Forecast",
    "IdempotencyKey",
    "LiveSkill",
    "NewTickerRequest",
    "PredictionLogRow",
    "Promotion",
    "QualityReportRow",
    "RefreshToken",
    "Score",
    "ScoreDay",
    "ScoredSeries",
    "ServingWindowRow",
    "ShadowDecision",
    "SignIn",
    "SignInBrake",
    "SourceBudget",
    "SourceCircuit",
    "TrainingDefaults",
    "TrainingJob",
    "TrainingJobEvent",
    "User",
    "WindowFailure",
]
