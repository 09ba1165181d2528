"""The defaults of a training: versioned, changed by administrators, apart from what is served."""

from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.configuration import service
from app.features.market_data.service import publish_windows
from app.features.training.run_train import choose
from app.features.training.train_spec import TrainSpec
from ml_lifecycle.training.config import load_config
from tests.app import networks
from tests.app.accounts import Account
from tests.app.windows import make_window

SMALL = {
    "metadata": {"name": "small", "for": "a test"},
    "model": {"seq_length": 40, "layers": ["LSTM", "Linear"], "hidden_size": 16},
    "training": {"num_epochs": 4},
}


async def shown(client: httpx.AsyncClient, user: Account, query: str = "") -> dict[str, Any]:
    """`GET /config`."""
    answer = await client.get(f"/config{query}", headers=user.headers)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def trained_with(defaults: dict[str, Any]) -> Any:
    """The configuration of a network that is trained by these defaults."""
    parts = {part: defaults[part] for part in ("metadata", "model", "training", "data")}
    return service.validated(service.document_of(parts))


async def test_before_any_change_the_defaults_are_the_packaged_ones(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    """The reference is champion: it was not trained, and says so by empty parts."""
    config = await shown(client, registered_user)

    assert trained_with(config["defaults"]) == load_config("default")
    assert (config["defaults"]["version"], config["defaults"]["changed_by"]) == (0, None)
    assert config["champion"]["metadata"]["kind"] == "reference"
    assert {part: config[part] for part in ("metadata", "model", "training", "data")} == config["champion"]
    assert (config["model"], config["training"]) == ({}, {})


async def test_the_champion_s_configuration_is_shown_in_the_same_parts(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """What its network was trained with, wherever its bundle tells it."""
    champion = await networks.register(db, networks.write_network(settings.bundles))
    await networks.promote(db, champion)

    config = await shown(client, registered_user)

    manifest = (await client.get(f"/models/{champion}", headers=registered_user.headers)).json()
    told = {**config["model"], **config["training"], **config["data"], **config["metadata"]}
    assert config["metadata"]["bundle"] == champion
    assert manifest["config"].items() <= told.items()


async def test_put_replaces_post_changes_a_part_and_every_version_stays(
    client: httpx.AsyncClient, admin: Account
) -> None:
    """With who and when; a width that is changed is that of layers given by name; two spellings are one field."""
    before = await shown(client, admin)
    replaced = (await client.put("/config", json=SMALL, headers=admin.headers)).json()
    changes = (
        {"hyperparameters": {"hidden_size": 24}},
        {"training": {"epochs": 9}, "data": {"gate_days": 7}, "lookback": 20},
    )
    for change in changes:
        assert (await client.post("/config/", json=change, headers=admin.headers)).status_code == 200
    after = await shown(client, admin)

    first, last = trained_with(replaced), trained_with(after["defaults"])
    assert (first.name, first.lookback, first.body[0].units, first.epochs, first.gate_days) == ("small", 40, 16, 4, 0)
    assert (last.name, last.lookback, last.body[0].units, last.epochs, last.gate_days) == ("small", 20, 24, 9, 7)
    assert after["defaults"]["changed_by"] == f"user {admin.id}"
    assert after["defaults"]["changed_at"] > replaced["changed_at"]
    former = await shown(client, admin, f"?version={replaced['version']}")
    assert former["defaults"] == replaced
    assert (await shown(client, admin, "?version=0"))["defaults"] == before["defaults"]
    assert after["champion"] == before["champion"]
    missing = await client.get("/config?version=99", headers=admin.headers)
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/config-version-not-found")


UNTRAINABLE = [
    ({"model": {"lookback": 4}}, "configuration: lookback: Input should be greater than or equal to 5"),
    ({"model": {"widht": 4}}, "configuration: widht: Extra inputs are not permitted"),
    ({"model": {"columns": ["none"]}}, "configuration: no input column 'none'"),
    ({"data": {"tickers": ["../x"]}}, "not a ticker: '../x'"),
    ({"training": {"fine_tune": "0" * 64}}, "fine_tune: the defaults are of trainings of their own"),
    ({"model": {"seq_length": 20, "lookback": 30}}, "lookback: two values are given, 20 and 30"),
    ({"hyperparameters": {"num_epochs": 3}, "training": {"epochs": 4}}, "epochs: two values are given, 3 and 4"),
    ({"metadata": {"remark": "\0"}}, "none of them NUL"),
    ({"metadata": {"remark": "a" * 70_000}}, "at most 65536 characters"),
    ({"training": {"learning_rate": "1"}, "model": {"dropout": "x"}}, "configuration: dropout: Input should be"),
]


async def test_what_cannot_be_trained_is_no_default(client: httpx.AsyncClient, admin: Account) -> None:
    """The field is named, and nothing changes."""
    for change, detail in UNTRAINABLE:
        answer = await client.post("/config", json=change, headers=admin.headers)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-configuration"), answer.text
        assert detail in answer.json()["detail"]

    assert (await shown(client, admin))["defaults"]["version"] == 0


async def test_what_is_trained_like_the_champion_learns_from_newer_days(db: AsyncSession, settings: Settings) -> None:
    """Its dates and its gate days were those of its own training; the setting says what is left to the gate now."""
    days = {"train_end": "2009-12-31", "validation_end": "2010-12-31", "calibration_end": "2011-12-30"}
    config = load_config("default", hidden_size=24, gate_days=7, **days).model_dump(mode="json")
    bundle = networks.write_network(settings.bundles, config=config, tickers=["AAPL", "IBM"])
    await networks.promote(db, await networks.register(db, bundle))

    content, tickers = await service.champion_training(db)
    chosen = choose(settings, TrainSpec(content=content, tickers=tuple(tickers)))

    assert chosen.config == load_config("default", hidden_size=24, gate_days=settings.gate_days)
    assert chosen.data.tickers == ("AAPL", "IBM")


async def test_defaults_that_name_bars_which_are_not_there_are_refused(
    client: httpx.AsyncClient, admin: Account, db: AsyncSession
) -> None:
    """Every training that names none of its own would be; nothing is kept."""
    await publish_windows(db, [make_window("AAPL")])
    wrong = (
        ({"tickers": ["AAPL", "NOPE"]}, "ticker-not-stored"),
        ({"tickers": ["AAPL"], "data_version": 99}, "data-version-not-found"),
    )
    for data, problem in wrong:
        replaced = await client.put("/config", json=SMALL | {"data": data}, headers=admin.headers)
        changed = await client.post("/config", json={"data": data}, headers=admin.headers)
        for answer in (replaced, changed):
            assert (answer.status_code, answer.json()["type"]) == (404, f"/problems/{problem}"), answer.text

    assert (await shown(client, admin))["defaults"]["version"] == 0
    sound = await client.post("/config", json={"data": {"tickers": ["AAPL"]}}, headers=admin.headers)
    assert sound.status_code == 200, sound.text
