"""``python -m tests.containers.walk``: every image built, the whole compose file run, each container killed once.

``make compose-test`` runs it; it prints what it saw, and ends with 1 at the first thing that is not so.
"""

import argparse
import json
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.containers.caller import PASSWORD, Caller
from tests.containers.demo import see_demo
from tests.containers.engine import IMAGES, ROOT, ContainerError, Engine, engine_in, wait

BASE_OF = {"docker": "python:3.12-slim", "podman": "localhost/python:3.12-slim"}
API_MEGABYTES = 450.0  # above its base
SCALE = {"api": 2, "worker": 2, "trainer": 1}
KILLED = ("api", "worker", "front", "alertmanager", "prometheus", "db")
FIRST_USER, ADMIN, LATE_USER = "user@example.org", "admin@example.org", "late@example.org"
SMALL = {"tickers": ["AAPL", "IBM"], "lookback": 20, "hidden_size": 8, "epochs": 2, "batch_size": 256}
LONGER = {"tickers": ["AAPL", "IBM", "MSFT"], "lookback": 40, "hidden_size": 16, "epochs": 6, "batch_size": 128}
WORKERS_ALIVE = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '20 s'"
QUEUES_OF_TRAINER = 2  # trainings, and what is told to MLflow
JOB_DONE = "ended with status: Success"


def tell(what: str) -> None:
    """One line of what is seen."""
    print(what, flush=True)  # noqa: T201 (a command's output)


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nobody listens at now, each another."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


@dataclass
class Walk:
    """One walk through a running project; each step prints what it saw."""

    engine: Engine
    ports: dict[str, int]

    def __post_init__(self) -> None:
        self.user, self.admin = (Caller(f"http://127.0.0.1:{self.ports['CLOSECAST']}") for _ in range(2))

    def see_images(self, *, build: bool) -> None:
        """Build all, and hold the API's to its size."""
        self.engine.make_stand_ins()
        base = self.engine.image_megabytes(BASE_OF[self.engine.program])
        for image in IMAGES:
            seconds = self.engine.build(image) if build or not self.engine.has_image(image) else None
            size = self.engine.image_megabytes(image)
            took = "was there" if seconds is None else f"built in {seconds:.0f} s"
            tell(f"{image:<18}{took:<18}{size:7,.0f} MB, {size - base:6,.0f} MB above its base")
            assert image != "closecast-api" or size - base <= API_MEGABYTES
        self.engine.make_database_stand_in()
        with_tensorflow = self.engine.run(
            self.engine.program,
            "run",
            "--rm",
            "--entrypoint",
            "python",
            "closecast-api",
            "-c",
            "import importlib.util as u; print([n for n in ('tensorflow', 'pandas', 'mlflow') if u.find_spec(n)])",
        )
        assert with_tensorflow.strip() == "[]", with_tensorflow
        tell("closecast-api: neither TensorFlow nor pandas nor MLflow in it")

    def see_refusal(self) -> None:
        """An untouched copy of .env.example ends the start with a line that says what to do."""
        kept = (self.engine.folder / ".env").read_text()
        shutil.copy(ROOT / ".env.example", self.engine.folder / ".env")
        told = self.engine.compose("up", "--detach", accept_failure=True)
        (self.engine.folder / ".env").write_text(kept)
        line = next((line for line in told.splitlines() if "make env" in line), None)
        assert line is not None, told[-800:]
        assert not self.engine.containers("db")
        tell(f"an untouched .env: {line.strip()}")

    def start(self) -> None:
        """Everything up and healthy, two APIs, two data workers, one that trains."""
        started = time.monotonic()
        if self.engine.waits:
            self.engine.up(scale=SCALE)
        else:
            self.engine.up("db")
            self.engine.compose("up", "--detach", "--no-deps", "migrate")
            self.see_end_of("migrate")
            self.engine.compose("up", "--detach", "--no-deps", "reader")
            self.see_end_of("reader")
            scaled = {name: number for name, number in SCALE.items() if number > 1}
            for service in ("alertmanager", "prometheus", "api", "worker", "trainer", "front"):
                self.engine.up(service, scale={name: n for name, n in scaled.items() if name == service})
        counts = {name: len(self.engine.containers(name)) for name in SCALE}
        assert counts == SCALE, counts
        tell(f"all healthy after {time.monotonic() - started:.0f} s: {counts}, migrations ended with 0")

    def see_end_of(self, service: str) -> None:
        """A one-shot service ends, with 0."""
        (container,) = self.engine.containers(service)
        wait(
            lambda: not self.engine.inspect(container)["State"]["Running"], service, lambda: self.engine.log(container)
        )
        assert self.engine.inspect(container)["State"]["ExitCode"] == 0, self.engine.log(container)

    def see_hardening(self) -> None:
        """What the engine really gives each container, not what the file asks for."""
        services = ["db", *SCALE, "front", "prometheus", "alertmanager"]
        for container in [name for service in services for name in self.engine.containers(service)]:
            told = self.engine.inspect(container)
            status = self.engine.execute(container, "cat", "/proc/1/status")
            lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            assert lines["Uid"].split()[0] not in {"0", ""}, container
            assert int(lines["CapEff"], 16) == 0, container
            assert lines["NoNewPrivs"].strip() == "1", container
            assert told["HostConfig"]["ReadonlyRootfs"], container
            assert told["HostConfig"]["Memory"] > 0, container
        tell("each container: a user other than 0, no capability, no new privileges, read-only root, a memory limit")

    def see_empty_installation(self) -> None:
        """Everything answers at once; then the sample bars, which the image itself loads."""
        self.user.ask("POST", "/auth/register", 201, json={"email": FIRST_USER, "password": PASSWORD})
        self.user.sign_in(FIRST_USER)
        model = self.user.ask("GET", "/model/info", 200)
        seconds = wait(lambda: self.user.status("/predict/AAPL") == 200, "AAPL collected", lambda: "")
        assert [self.user.status(path) for path in ("/metrics", "/api/v1/metrics/")] == [403, 403]
        tell(
            f"empty: register 201, token 200, /model/info 200 ({model['kind']}), /predict/AAPL 200 after "
            f"{seconds:.1f} s: its bars were collected for the asking"
        )
        told = self.engine.run_once("worker", "collect", "--source", "sample", "--json")
        assert '"added"' in told, told
        answer = self.user.ask("GET", "/predict/AAPL", 200)
        assert (answer["kind"], answer["bundle"]["kind"]) == ("hindcast", "reference")
        tell("sample bars loaded by `run worker collect`; /predict/AAPL 200: kind hindcast, bundle reference")

    def see_shared_load(self) -> None:
        """Both APIs answer behind the one port; both workers take jobs; each queue's worker tells that it lives."""
        before = [self._requests_of(container) for container in self.engine.containers("api")]
        with ThreadPoolExecutor(8) as pool:
            came = list(pool.map(self._unhurried, ["/predict/AAPL"] * 200))
        after = [self._requests_of(container) for container in self.engine.containers("api")]
        assert came == [200] * 200, set(came)
        shares = [new - old for old, new in zip(before, after, strict=True)]
        assert all(share > 20 for share in shares), shares
        with ThreadPoolExecutor(8) as pool:
            days = [f"/predict/IBM?as_of=2012-{month:02}-{day}" for month in range(1, 10) for day in (15, 16)]
            asked = list(pool.map(self.user.status, days))
        done = [self._jobs_of(container) for container in self.engine.containers("worker")]
        alive = int(self._sql(WORKERS_ALIVE))
        assert alive == SCALE["worker"] + QUEUES_OF_TRAINER * SCALE["trainer"], alive
        assert all(done), done
        tell(f"200 forecasts through one port: {shares[0]} and {shares[1]} of them by the two APIs")
        tell(
            f"{len(asked)} past days of IBM ({asked.count(200)} answered 200): jobs by worker {sorted(done)}; "
            f"{alive} queues worked on"
        )

    def _unhurried(self, path: str) -> int | str:
        time.sleep(0.1)  # eight at once stay below the hundred a second that one user may ask
        return self.user.status(path)

    def see_training(self) -> None:
        """Asked for over HTTP, trained in its container, promoted, and served without a restart."""
        worker = self.engine.containers("worker")[0]
        self.engine.execute(worker, "closecast", "users", "create", "--admin", ADMIN, given=f"{PASSWORD}\n")
        self.admin.sign_in(ADMIN)
        job = self.admin.job_over(self.admin.ask("POST", "/train", 202, json=SMALL)["job_id"])
        assert job["status"] == "succeeded", job
        bundle, figures = job["result"]["bundle"], job["result"]
        tell(
            f"POST /train: {bundle[:12]} in {figures['training_duration_seconds']:.0f} s, "
            f"RMSE {figures['val_rmse']:.3f} beside the naive's {figures['naive_val_rmse']:.3f}"
        )
        self.engine.execute(worker, "closecast", "promote", bundle, "--force", "--reason", "compose-test")
        served: Callable[[], Any] = lambda: self.user.ask("GET", "/predict/AAPL", 200)["bundle"]  # noqa: E731
        seconds = wait(lambda: bool(served()["id"] == bundle), "the new network serves", lambda: str(served()))
        tell(f"promoted; /predict/AAPL is the network's after {seconds:.1f} s, nothing restarted")
        started = time.monotonic()
        told = self.engine.run_once("train", "train", "--config", "demo", "--json")
        document = json.loads(told[told.index("{") :])
        tell(f"run train --config demo: bundle {document['bundle'][:12]} in {time.monotonic() - started:.0f} s")

    def see_metrics(self) -> None:
        """Prometheus reaches whom its file names, and tells Alertmanager."""
        address = f"http://127.0.0.1:{self.ports['PROMETHEUS']}/api/v1"

        def down() -> list[str]:
            targets = httpx.get(f"{address}/targets").json()["data"]["activeTargets"]
            self.targets = sorted(target["scrapeUrl"].split("//")[1].split("/")[0] for target in targets)
            return [target["scrapeUrl"] for target in targets if target["health"] != "up"]

        wait(lambda: not down(), "every target up", lambda: str(down()))
        managers = httpx.get(f"{address}/alertmanagers").json()["data"]["activeAlertmanagers"]
        rules = sum(len(group["rules"]) for group in httpx.get(f"{address}/rules").json()["data"]["groups"])
        assert len(managers) == 1
        ready = httpx.get(f"http://127.0.0.1:{self.ports['ALERTMANAGER']}/-/ready").status_code
        assert ready == httpx.codes.OK
        tell(f"Prometheus: {len(self.targets)} targets up, {rules} rules, Alertmanager active and ready")

    def see_kills(self) -> None:
        """One container after another: what callers see of it, and how long until it is well again."""
        for service in KILLED:
            container = self.engine.containers(service)[0]
            with self.user.asking("/predict/AAPL") as came:
                self.engine.kill(container)
                well = self.engine.wait_until_healthy(container)
                forecast = wait(lambda: self.user.status("/predict/AAPL") == 200, "a forecast", lambda: str(came))
                time.sleep(1.0)
            failed = {what: number for what, number in came.items() if what != 200}
            tell(
                f"kill -9 {service:<13} healthy after {well + forecast:5.1f} s; meanwhile {came[200]} forecasts, "
                f"others: {failed or 'none'}"
            )
            assert service in {"front", "db"} or not failed, failed
        job = self.admin.ask("POST", "/train", 202, json=LONGER)["job_id"]
        wait(lambda: self.admin.ask("GET", f"/train/{job}", 200)["status"] == "running", "running", lambda: job)
        (container,) = self.engine.containers("trainer")
        time.sleep(10.0)  # into the training
        self.engine.kill(container)
        well = self.engine.wait_until_healthy(container)
        told = self.admin.job_over(job)
        assert (told["status"], told["attempt"]) == ("succeeded", 2), told
        tell(f"kill -9 trainer in a training: healthy after {well:.1f} s, the job ended well at its second attempt")

    def see_backup(self) -> None:
        """Taken while all runs, put back over what came since: it is gone, what was there is there."""
        folder = self.engine.folder / "backups"
        folder.mkdir()
        folder.chmod(0o777)  # whoever owns it elsewhere, the container's user writes it
        asked = "/predict/AAPL?days_ahead=7"
        before = self.user.ask("GET", asked, 200)
        told = self.engine.run_once("backup")
        (archive,) = folder.glob("closecast-*.tar")
        self.user.ask("POST", "/auth/register", 201, json={"email": LATE_USER, "password": PASSWORD})
        # Each by its name: podman-compose's own `stop` takes the first of several alone.
        stopped = [name for service in (*SCALE, "front") for name in self.engine.containers(service)]
        self.engine.run(self.engine.program, "stop", *reversed(stopped))
        self.engine.run_once("backup", "restore", f"/backups/{archive.name}", "--force")
        self.engine.run(self.engine.program, "start", *stopped)
        for container in stopped:
            self.engine.wait_until_healthy(container)
        after = self.user.ask("GET", asked, 200)
        assert after["forecast_id"] == before["forecast_id"], (before, after)
        self.user.ask("POST", "/auth/token", 401, data={"username": LATE_USER, "password": PASSWORD})
        tell(f"run backup: {told.strip()}; restored over what came since: the forecast is there, the late user is not")

    def see_mlflow(self) -> None:
        """The pages of the profile, and the runs of both trainings in them."""
        self.engine.compose_command += ["--profile", "mlflow"]
        self.engine.up("mlflow")
        address = f"http://127.0.0.1:{self.ports['MLFLOW']}"
        found = httpx.get(f"{address}/api/2.0/mlflow/experiments/search?max_results=10", timeout=30).json()[
            "experiments"
        ]
        ids = [each["experiment_id"] for each in found]
        runs = httpx.post(f"{address}/api/2.0/mlflow/runs/search", json={"experiment_ids": ids}, timeout=30).json()[
            "runs"
        ]
        assert httpx.get(address, timeout=30).status_code == httpx.codes.OK
        assert len(runs) >= 2, runs
        tell(f"profile mlflow: its pages answer, {len(runs)} runs in {len(ids)} experiments")

    def see_memory(self) -> None:
        """What the containers hold at the end."""
        for name, used in sorted(self.engine.memory().items()):
            tell(f"memory {name:<16}{used}")

    def _requests_of(self, container: str) -> int:
        program = (
            "import urllib.request as u; t = u.urlopen('http://127.0.0.1:8000/metrics').read().decode(); "
            "print(int(sum(float(l.split()[-1]) for l in t.splitlines() if l.startswith('http_requests_total{'))))"
        )
        return int(self.engine.execute(container, "python", "-c", program))

    def _jobs_of(self, container: str) -> int:
        log = self.engine.run(self.engine.program, "logs", container, accept_failure=True, both=True)
        return log.count(JOB_DONE)

    def _sql(self, query: str) -> str:
        (database,) = self.engine.containers("db")
        psql = 'PGPASSWORD=$POSTGRES_PASSWORD psql -h 127.0.0.1 -U closecast -d closecast -Atc "$0"'
        return self.engine.execute(database, "bash", "-c", psql, query).strip()


def prepare(folder: Path, ports: dict[str, int]) -> None:
    """The files that compose reads, in ``folder``, with an .env as `make env` makes it; nobody's own one is touched."""
    shutil.copy(ROOT / "docker-compose.yml", folder)
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    made = subprocess.run([ROOT / "tools/env"], env={"FILE": str(folder / ".env"), "PATH": "/usr/bin:/bin"}, check=True)
    assert made.returncode == 0
    folder.chmod(0o755)
    published = [f"{name}_PUBLISH=127.0.0.1:{port}" for name, port in ports.items()]
    with (folder / ".env").open("a") as file:
        file.write("\n".join([*published, 'CLOSECAST_SOURCES=["sample"]', "CLOSECAST_JOB_LEASE_SECONDS=20", ""]))


def walk(engine: Engine, ports: dict[str, int], *, build: bool) -> None:
    """All steps in order."""
    one = Walk(engine, ports)
    tell(f"{engine.version}; without {', '.join(sorted(engine.absent)) or 'nothing'}")
    if not engine.waits:
        tell("this engine calls no health check and waits for no dependency: both are done from here")
    one.see_images(build=build)
    see_demo(engine, tell)
    one.see_refusal()
    one.start()
    for step in (one.see_hardening, one.see_empty_installation, one.see_shared_load, one.see_metrics):
        step()
    one.see_training()
    one.see_memory()
    one.see_backup()
    one.see_kills()
    one.see_mlflow()


def main() -> int:
    """Walk, and leave nothing behind but the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--built", action="store_true", help="take the images that are there")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    given = parser.parse_args()
    started = time.monotonic()
    names = ("CLOSECAST", "PROMETHEUS", "ALERTMANAGER", "GRAFANA", "MLFLOW")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    with tempfile.TemporaryDirectory() as temporary:
        engine = engine_in(Path(temporary), f"walk{secrets.token_hex(3)}")
        if engine is None:
            tell("compose-test: SKIPPED, no Docker Compose here, and no container-lab (CLOSECAST_SHARED, root)")
            return 0
        prepare(Path(temporary), ports)
        try:
            walk(engine, ports, build=not given.built)
        except (AssertionError, ContainerError) as error:
            tell(f"FAILED: {error}")
            return 1
        finally:
            if not given.keep:
                engine.down()
    tell(f"compose-test: all as it should be, after {(time.monotonic() - started) / 60:.1f} min")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
