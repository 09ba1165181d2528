"""The trial of a study that is worth training in full, as ``best_config.yaml``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.config_document import ConfigDocument, DataChoice, as_document
from ml_lifecycle.training.search_space import STRATEGY, Candidates, parse_space, spelled
from ml_lifecycle.training.strategies import STRATEGIES
from ml_lifecycle.training.study import StudyPlace, read_records
from ml_lifecycle.training.trial import TrialRecord
from ml_lifecycle.training.trial_correction import WinnerSkill, ranked, winner_skill
from ml_lifecycle.training.tuning_errors import NoCandidateError


@dataclass(frozen=True)
class BestTrial:
    """What a study recommends.

    Attributes
    ----------
    skill : of this trial, corrected for all that were looked at.
    identity : bars, folds and values that the study was made with.
    """

    study: str
    record: TrialRecord
    skill: WinnerSkill
    config: TrainingConfig
    identity: Mapping[str, Any]

    @classmethod
    def of(cls, place: StudyPlace) -> "BestTrial":
        """The complete trial with the largest gain over the naive, of those that the gate could let serve.

        Raises
        ------
        StudyNotFoundError, NoCandidateError
        """
        records, identity = read_records(place)
        servable = [record for record in ranked(records) if not STRATEGIES[record.strategy].comparison_only]
        skill = winner_skill(records, servable[0]) if servable else None
        if skill is None:
            raise NoCandidateError(place.name)
        return cls(place.name, servable[0], skill, _config(servable[0], identity), identity)

    def document(self, *, by: str) -> dict[str, Any]:
        """As ``closecast train --config`` takes it.

        Parameters
        ----------
        by : who chose.
        """
        one_ticker = STRATEGIES[self.record.strategy].one_ticker
        metadata = {
            "chosen_by": by,
            "chosen_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "study": self.study,
            "trial": self.record.number,
            "strategy": self.record.strategy,
            "params": dict(self.record.params),
            "skill_beside_naive": {**self.skill.to_dict(), "label": str(self.skill.label)},
            "folds": self.identity["folds"],
            "bars": self.identity["bars"],
        }
        if one_ticker:
            metadata["note"] = "a network for each ticker: train it on one of the tickers at a time"
        return as_document(self.config, metadata=metadata, data=DataChoice(tickers=tuple(self.identity["tickers"])))


def write_document(document: Mapping[str, Any], file: Path) -> None:
    """As YAML, in one step: a file that is there is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True), encoding="utf-8")
    partial.replace(file)


def _config(record: TrialRecord, identity: Mapping[str, Any]) -> TrainingConfig:
    space = parse_space(identity["search space"])
    base = ConfigDocument(identity["base configuration"], DataChoice())
    choice = {STRATEGY: record.strategy, **{name: spelled(value) for name, value in record.params.items()}}
    return Candidates(space, base, gate_days=identity["gate days"]).config(choice)
