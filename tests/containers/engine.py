"""What makes containers of the project's files: Docker where there is one, else container-lab with its stand-ins."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CHOICE = "CONTAINERS"  # docker or lab; unset: the first that is there
IMAGES = {
    "closecast-api": ("Dockerfile", "api"),
    "closecast-worker": ("Dockerfile", "worker"),
    "closecast-demo": ("Dockerfile", "demo"),
    "closecast-train": ("Dockerfile.ml_lifecycle", None),
}
STAND_INS = ("python:3.12-slim", "prom/prometheus:v3.5.0", "prom/alertmanager:v0.28.1", "nginx:1.29")
DATABASE_STAND_IN = "closecast-test-postgres"
HEALTHY_SECONDS = 180.0
COMMAND_SECONDS = 1_200.0  # a build on a busy machine


class ContainerError(Exception):
    """A command of the engine failed, or a container did not get well; says which."""


@dataclass
class Engine:
    """One project of compose in ``folder``, which holds docker-compose.yml, deploy/ and .env.

    Attributes
    ----------
    program : docker or podman.
    compose_command : what runs a compose file, with the options that it needs here.
    waits : whether it waits for `depends_on` and calls health checks by itself.
    absent : services of which there is no image here.
    """

    folder: Path
    project: str
    program: str
    compose_command: list[str]
    waits: bool
    lab: Path | None = None
    absent: frozenset[str] = frozenset()
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, given: str | None = None, accept_failure: bool = False, both: bool = False) -> str:
        """What a command prints on standard output; on ``both`` outputs, or where it failed and may.

        Raises
        ------
        ContainerError : it failed; with the end of what it printed.
        """
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode and not accept_failure:
            raise ContainerError(f"{' '.join(command[:8])}: {(done.stderr or done.stdout)[-1500:]}")
        return done.stdout + done.stderr if both or done.returncode else done.stdout

    def compose(self, *arguments: str, accept_failure: bool = False) -> str:
        """Run compose on the project."""
        return self.run(*self.compose_command, *arguments, accept_failure=accept_failure)

    def build(self, image: str) -> float:
        """Build one of our images from the working tree; gives seconds."""
        started = time.monotonic()
        file, target = IMAGES[image]
        to = () if target is None else ("--target", target)
        if self.lab is None:
            self.run(self.program, "build", "-f", str(ROOT / file), "-t", image, *to, str(ROOT))
        else:
            self.run(str(self.lab), "build", str(ROOT / file), f"{image}:latest", str(ROOT), *to)
        return time.monotonic() - started

    def make_stand_ins(self) -> None:
        """What the lab puts in the place of images that no registry gives; those that are there are kept."""
        if self.lab is None:
            return
        self.run(str(self.lab), "up")  # podman itself
        self.run(str(self.lab), "up", *(image for image in STAND_INS if not self.has_image(image)))

    def make_database_stand_in(self) -> None:
        """The lab's PostgreSQL, out of our demo image; built anew, since that one may be."""
        if self.lab is not None:
            context = HERE / "postgres_stand_in"
            self.run(
                str(self.lab), "build", str(context / "Containerfile"), f"{DATABASE_STAND_IN}:latest", str(context)
            )

    def has_image(self, image: str) -> bool:
        """Whether the engine holds it already."""
        return self._succeeds("image", "inspect", image)

    def image_megabytes(self, image: str) -> float:
        """Size of an image with all its layers."""
        return float(self.run(self.program, "image", "inspect", "--format", "{{.Size}}", image)) / 1e6

    def up(self, *services: str, scale: dict[str, int] | None = None) -> None:
        """Start services beside those that run, and wait until they are healthy; what the engine lacks is done here."""
        scaled = [part for name, number in (scale or {}).items() for part in ("--scale", f"{name}={number}")]
        if self.waits:
            self.compose("up", "--detach", "--wait", "--no-recreate", *scaled, *services)
            return
        for service in services:
            self.compose("up", "--detach", "--no-deps", *scaled, service)
            for container in self.containers(service):
                self.wait_until_healthy(container)

    def run_once(self, service: str, *arguments: str) -> str:
        """`compose run --rm`."""
        # podman-compose, other than docker's, knows no service outside of those named
        profiles = ("--profile", "train", "--profile", "backup")
        alone = () if self.waits else ("--no-deps",)
        return self.compose(*profiles, "run", "--rm", *alone, "-T", service, *arguments)

    def containers(self, service: str) -> list[str]:
        """Names of a service's containers, in order."""
        labels = {"project": self.project, "service": service}
        filters = [
            part for key, value in labels.items() for part in ("--filter", f"label=com.docker.compose.{key}={value}")
        ]
        return sorted(self.run(self.program, "ps", "--all", "--format", "{{.Names}}", *filters).split())

    def execute(self, container: str, *command: str, given: str | None = None) -> str:
        """Run a command in a running container."""
        return self.run(self.program, "exec", "--interactive", container, *command, given=given)

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        found: list[dict[str, Any]] = json.loads(self.run(self.program, "inspect", container))
        return found[0]

    def is_healthy(self, container: str) -> bool:
        """Whether it runs and its health check passes; the check is called here where the engine does not do so."""
        state = self.inspect(container)["State"]
        if not state["Running"]:
            return False
        if self.waits:
            return bool(state["Health"]["Status"] == "healthy")
        return self._succeeds("healthcheck", "run", container)

    def wait_until_healthy(self, container: str) -> float:
        """Seconds until it was healthy.

        Raises
        ------
        ContainerError : it was not within three minutes; with the end of its log.
        """
        return wait(lambda: self.is_healthy(container), f"{container} healthy", lambda: self.log(container))

    def log(self, container: str) -> str:
        """The end of what it printed."""
        return self.run(self.program, "logs", "--tail", "15", container, accept_failure=True, both=True)[-3000:]

    def kill(self, container: str) -> None:
        """SIGKILL to its first process, from outside: `docker kill` counts as wanted, and restarts nothing."""
        before = self.inspect(container)["State"]
        os.kill(before["Pid"], 9)
        wait(lambda: self.inspect(container)["State"]["Pid"] != before["Pid"], f"{container} gone", lambda: "")

    def memory(self) -> dict[str, str]:
        """What each container of the project uses now."""
        told = self.run(self.program, "stats", "--no-stream", "--format", "{{.Name}}\t{{.MemUsage}}")
        rows = (line.split("\t") for line in told.splitlines() if line.startswith(self.project))
        return {name.removeprefix(f"{self.project}").strip("-_"): used.split("/")[0].strip() for name, used in rows}

    def down(self) -> None:
        """Remove the project's containers, networks and volumes; images stay."""
        self.compose("--profile", "mlflow", "--profile", "train", "down", "--volumes", accept_failure=True)
        left = self.run(
            self.program, "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}"
        )
        if left.split():
            self.run(self.program, "rm", "--force", "--volumes", *left.split(), accept_failure=True)

    def _succeeds(self, *arguments: str) -> bool:
        command = [self.program, *arguments]
        return (
            subprocess.run(
                command, capture_output=True, check=False, timeout=60, env={**os.environ, **self.environment}
            ).returncode
            == 0
        )

    @cached_property
    def version(self) -> str:
        """Of the engine and of compose, in one line."""
        compose = self.compose("version", accept_failure=True)
        numbers = re.findall(r"\d+\.\d+[.\d]*", compose)
        return f"{self.run(self.program, '--version').strip()}, compose {numbers[0] if numbers else '?'}"


def wait(holds: Callable[[], bool], what: str, more: Callable[[], str], seconds: float = HEALTHY_SECONDS) -> float:
    """Seconds until ``holds``; raises ContainerError, with what ``more`` tells, where that takes over ``seconds``."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds:
            raise ContainerError(f"not within {seconds:.0f} s: {what}\n{more()}")
        time.sleep(0.25)
    return time.monotonic() - started


def engine_in(folder: Path, project: str) -> Engine | None:
    """The engine that `CONTAINERS` names, or the first that is there; None: neither is."""
    choice = os.environ.get(CHOICE) or None
    if choice not in {None, "docker", "lab"}:
        raise ContainerError(f"{CHOICE} is docker or lab, not {choice}")
    if choice != "lab" and _answers("docker", "compose", "version"):
        command = ["docker", "compose", "--project-name", project]
        return Engine(folder, project, "docker", command, waits=True)
    lab = Path(os.environ.get("CLOSECAST_SHARED", ROOT.parent / "shared")) / "tools/container-lab/lab"
    if choice == "docker" or not lab.is_file() or os.geteuid() != 0:
        return None
    files = ["-f", str(folder / "docker-compose.yml"), "-f", str(HERE / "lab.yml")]
    command = [str(lab), "compose", "--project-name", project, *files]
    return Engine(
        folder,
        project,
        "podman",
        command,
        waits=False,
        lab=lab,
        absent=frozenset({"grafana"}),
        environment={"STORAGE_DRIVER": "vfs"},
    )


def _answers(*command: str) -> bool:
    return (
        shutil.which(command[0]) is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )
