"""`closecast champion` over bundles: the gate chooses, and what it chose becomes a configuration."""

import json
from pathlib import Path

import pytest
import yaml

from app.features.registry import judging
from cli.bundles import register
from cli.settings import read_settings
from ml_lifecycle.evaluation.gate import GateVerdict
from ml_lifecycle.training.config import load_config
from tests.app.features.registry.quick_judge import proven, unproven
from tests.app.networks import write_network
from tests.cli.conftest import Closecast
from tests.ml_lifecycle.export.handmade import SPEC


@pytest.fixture
def networks(closecast: Closecast, home: Path, database: str) -> list[str]:
    """Two networks that nobody has judged, the older one first."""
    assert closecast("migrate").code == 0
    specs = [SPEC, SPEC.model_copy(update={"lookback": SPEC.lookback + 1})]
    folders = [write_network(home / "bundles", spec) for spec in specs]
    return [register(read_settings(), folder) for folder in folders]


def judge_as(monkeypatch: pytest.MonkeyPatch, verdicts: dict[str, GateVerdict]) -> list[tuple[str, str]]:
    """Have the gate find this of each challenger; who was held against whom is noted."""
    judged: list[tuple[str, str]] = []

    def found(_settings: object, challenger: Path, champion: Path, **_: object) -> GateVerdict:
        judged.append((challenger.name, champion.name))
        return verdicts[challenger.name]

    monkeypatch.setattr(judging, "verdict_on", found)
    return judged


def test_each_new_bundle_challenges_in_turn_and_the_one_that_passes_is_written_down(
    closecast: Closecast, networks: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    older, newer = networks
    judged = judge_as(monkeypatch, {newer: unproven(), older: proven()})

    chosen = closecast("champion", "--json")

    assert chosen.code == 0, chosen.err
    assert [challenger for challenger, _ in judged] == [newer, older]
    document = yaml.safe_load((tmp_path / "best_config.yaml").read_text())
    assert json.loads(chosen.out) == {"file": "best_config.yaml", **document}
    metadata = document["metadata"]
    assert (metadata["bundle"], metadata["challenged_by"]) == (older, [newer, older])
    assert (metadata["gate"]["number"], metadata["gate"]["p_value"] < metadata["gate"]["alpha"]) == (2, True)
    assert load_config(tmp_path / "best_config.yaml").horizons == load_config("default").horizons


def test_who_was_tested_is_not_tested_again_unless_named(
    closecast: Closecast, networks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = judge_as(monkeypatch, dict.fromkeys(networks, unproven()))

    first, second = closecast("champion"), closecast("champion")
    named = closecast("champion", networks[0][:12])

    assert (first.code, second.code, named.code) == (5, 5, 5)
    assert first.err.endswith("stays a challenger: gain_not_proven\n")
    assert "no new bundle, and the champion is the reference" in second.err
    assert [challenger for challenger, _ in judged] == [*reversed(networks), networks[0]]
    assert not Path("best_config.yaml").exists()


def test_bundles_and_a_study_are_two_questions(closecast: Closecast, home: Path) -> None:
    refused = closecast("champion", "3f9a1c2b4d5e", "--study", "spring")

    assert (refused.code, refused.err) == (2, "closecast: name bundles or a study, not both\n")
