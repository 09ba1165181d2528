"""ORM models, one module per subject; importing this package fills ``Base.metadata``."""

from app.models.adaptive import AdaptiveStateRow
from app.models.after_close import ChainRun, ChainStep, RetrainDecision
from app.models.answer_counts import AnswerCount, UnansweredCount
from app.models.api_key import ApiKey
from app.models.base import Base
from app.models.chain import ChainDay, ChainSeal
from app.models.challenge import Challenge, ShadowDecision
from app.models.drift import DriftReport
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
from app.models.score import OpenForecast, Score, ScoreDay, ScoredSeries, TickerScoreDay, TickerScoreSum
from app.models.serving_window import ServingWindowRow
from app.models.token import RefreshToken, SignIn
from app.models.training_job import TrainingDefaults, TrainingJob, TrainingJobEvent
from app.models.user import User

__all__ = [
    "AdaptiveStateRow",
    "AnswerCount",
    "ApiKey",
    "Base",
    "BundleRow",
    "ChainDay",
    "ChainRun",
    "ChainSeal",
    "ChainStep",
    "Challenge",
    "DailyQuota",
    "DataVersionRow",
    "DriftReport",
    "Forecast",
    "IdempotencyKey",
    "LiveSkill",
    "NewTickerRequest",
    "OpenForecast",
    "PredictionLogRow",
    "Promotion",
    "QualityReportRow",
    "RefreshToken",
    "RetrainDecision",
    "Score",
    "ScoreDay",
    "ScoredSeries",
    "ServingWindowRow",
    "ShadowDecision",
    "SignIn",
    "SignInBrake",
    "SourceBudget",
    "SourceCircuit",
    "TickerScoreDay",
    "TickerScoreSum",
    "TrainingDefaults",
    "TrainingJob",
    "TrainingJobEvent",
    "UnansweredCount",
    "User",
    "WindowFailure",
]
