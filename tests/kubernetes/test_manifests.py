"""The manifests for Kubernetes: valid in several of its versions, and true to the application that they run."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.config import Settings, variable
from app.main import create_app
from app.supervisor.api_server import GRACE_SECONDS
from app.supervisor.draining import LINGER_SECONDS
from app.worker import GRACE_SECONDS as JOB_SECONDS
from app.worker import QUEUES
from tests.kubernetes.kustomize import Object, build, containers, pods

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("production", "cluster")
VERSIONS = ("1.29", "1.37")  # native companions came with 1.29; the newest that the schemas are known of
NOT_KUBERNETES_OWN = {"RayCluster", "PodMonitor"}  # their schemas come with their operators
SETTINGS = {variable(field) for field in Settings.model_fields}
DIGEST = re.compile(r"^(closecast-settings)-[a-z0-9]{10}$")


@cache
def built(overlay: str) -> list[Object]:
    """All objects of an overlay."""
    return build(FOLDER / "overlays" / overlay)


ALL = [pytest.param(each, id=f"{each['kind']}-{each['metadata']['name']}") for each in built("cluster")]
WITH_PODS = [each for each in ALL if list(pods(each.values[0]))]
DEPLOYMENTS = ("api", "worker", "trainer")


def one(kind: str, name: str, overlay: str = "production") -> Object:
    """The object of that kind and name."""
    (found,) = [each for each in built(overlay) if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def of_kind(kind: str) -> list[Object]:
    return [each for each in built("cluster") if each["kind"] == kind]


def spec_of(deployment: str) -> Object:
    """Of its pods."""
    found: Object = one("Deployment", f"closecast-{deployment}")["spec"]["template"]["spec"]
    return found


def main_container(deployment: str) -> Object:
    (found,) = spec_of(deployment)["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("thing", ALL)
def test_every_object_is_valid_in_several_versions_of_kubernetes(thing: Object, version: str) -> None:
    """Strictly: a field that does not exist is an error."""
    if thing["kind"] not in NOT_KUBERNETES_OWN:
        kubernetes_validate.validate(thing, version, strict=True)
        return
    for pod in pods(thing):  # inside of what others define
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": pod.get("metadata", {}), "spec": pod["spec"]}
        kubernetes_validate.validate(whole, version, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl, which brings kustomize, is not installed")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_itself_makes_the_same(overlay: str) -> None:
    command = ["kubectl", "kustomize", str(FOLDER / "overlays" / overlay)]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    theirs = {name_of(each): each for each in without_digests(list(yaml.safe_load_all(made)))}

    assert theirs == {name_of(each): each for each in built(overlay)}


def name_of(thing: Object) -> tuple[str, str]:
    return thing["kind"], thing["metadata"]["name"]


def without_digests(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {key: without_digests(value) for key, value in thing.items()}
    if isinstance(thing, list):
        return [without_digests(value) for value in thing]
    return DIGEST.sub(r"\1", thing) if isinstance(thing, str) else thing


@pytest.mark.parametrize("thing", WITH_PODS)
def test_every_pod_can_do_as_little_as_possible(thing: Object) -> None:
    """What Kubernetes calls `restricted`, a root that nothing is written to, and no word to Kubernetes."""
    for pod in pods(thing):
        spec = pod["spec"]
        context = spec["securityContext"]
        assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
        assert spec["serviceAccountName"] == one("ServiceAccount", "closecast")["metadata"]["name"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 10001  # as in the images
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert all(set(volume) & {"emptyDir", "persistentVolumeClaim"} for volume in spec["volumes"])
    for container in containers(thing):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} == set(container["resources"]["limits"]) == set(container["resources"]["requests"])


def test_the_number_is_that_of_the_images() -> None:
    for name in ("Dockerfile", "Dockerfile.ml_lifecycle"):
        assert "USER 10001:10001" in (ROOT / name).read_text()


@pytest.mark.parametrize("thing", WITH_PODS)
def test_images_are_ours_and_of_one_release(thing: Object) -> None:
    release = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert release is not None
    for container in containers(thing):
        assert re.fullmatch(rf"registry\.example\.org/closecast-(api|worker|train):{release[1]}", container["image"])


@pytest.mark.parametrize("thing", WITH_PODS)
def test_settings_exist_and_can_be_read_and_no_secret_stands_here(thing: Object) -> None:
    data = one("ConfigMap", "closecast-settings")["data"]
    for container in containers(thing):
        named = {each["name"] for each in container["env"]}
        assert {name for name in named if name.startswith("CLOSECAST_")} <= SETTINGS
        secret = {each["name"] for each in container["env"] if "valueFrom" in each}
        assert {name for name in named if re.search("URL|SECRET|TOKEN|OPTIONS", name)} <= secret
        sources = [each["configMapRef"]["name"] for each in container.get("envFrom", [])]
        # Kustomize does not put the map's digest into what others define; Ray's own part needs no settings.
        assert sources == (["closecast-settings"] if container["name"] != "ray" else [])
        assert not sources or not named & set(data)  # nothing is said twice


def test_the_map_holds_settings_that_the_application_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = one("ConfigMap", "closecast-settings")["data"]
    assert set(data) <= SETTINGS
    for name, value in data.items():
        monkeypatch.setenv(name, value)
    read = Settings(_env_file=None)

    assert (read.port, read.internal_port, read.worker_metrics_port) == (8000, 9100, 9464)
    secrets = {variable(name) for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    assert not set(data) & secrets


def test_only_the_api_is_given_what_signs_tokens() -> None:
    holders = {
        each["metadata"]["name"]
        for each in built("cluster")
        for container in containers(each)
        if "CLOSECAST_JWT_SECRET" in {entry["name"] for entry in container["env"]}
    }
    assert holders == {"closecast-api"}


def test_ports_are_those_that_the_application_listens_at() -> None:
    data = one("ConfigMap", "closecast-settings")["data"]
    ports = {each["name"]: str(each["containerPort"]) for each in main_container("api")["ports"]}

    assert ports == {"http": data["CLOSECAST_PORT"], "internal": data["CLOSECAST_INTERNAL_PORT"]}
    for name in ("worker", "trainer"):
        (port,) = main_container(name)["ports"]
        assert str(port["containerPort"]) == data["CLOSECAST_WORKER_METRICS_PORT"]
    (served,) = one("Service", "closecast-api")["spec"]["ports"]
    assert served["targetPort"] == "http"  # not the one with docs and metrics
    backend = one("Ingress", "closecast")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "closecast-api", "port": {"name": served["name"]}}


def test_each_probe_asks_what_only_it_may_ask() -> None:
    """Away from the service without a database, but not killed for that; and a slow start is no death."""
    container = main_container("api")
    startup, ready, live = (container[f"{name}Probe"] for name in ("startup", "readiness", "liveness"))

    assert ready["httpGet"] == {"path": "/readyz", "port": "http"}
    assert live["httpGet"] == startup["httpGet"] == {"path": "/livez", "port": "http"}
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60
    assert live["periodSeconds"] * live["failureThreshold"] <= 30
    assert ready["timeoutSeconds"] > 2 * Settings.model_fields["database_timeout_seconds"].default


def test_what_the_probes_ask_is_there() -> None:
    settings = Settings(_env_file=None, jwt_secret="a-test-key-of-3f9c1e77b2d04a68-characters", internal_port=9100)  # type: ignore[arg-type]  # pydantic reads it
    paths = set(create_app(settings).openapi()["paths"])

    assert {"/livez", "/readyz"} <= paths
    assert "/metrics" not in paths  # at the internal port


@pytest.mark.parametrize("name", ["worker", "trainer"])
def test_no_probe_of_a_worker_kills_it_for_the_databases_sake(name: str) -> None:
    container = main_container(name)

    assert container["livenessProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
    assert container["readinessProbe"]["exec"] == {"command": ["closecast", "worker", "--check"]}
    assert container["startupProbe"]["tcpSocket"] == {"port": "metrics"}


def test_an_api_pod_is_given_the_time_that_its_end_takes() -> None:
    """The pause before, the leave-taking, what has begun, and the log that is written last."""
    kind, command = main_container("api")["lifecycle"]["preStop"]["exec"]["command"]
    assert kind == "sleep"
    assert int(command) >= 5
    assert spec_of("api")["terminationGracePeriodSeconds"] >= int(command) + LINGER_SECONDS + GRACE_SECONDS + 5


@pytest.mark.parametrize("name", ["worker", "trainer"])
def test_a_worker_may_finish_its_jobs_and_does_what_its_image_can(name: str) -> None:
    container = main_container(name)
    queue = {"worker": "data", "trainer": "train"}[name]
    image = {"worker": "closecast-worker", "trainer": "closecast-train"}[name]

    assert queue in QUEUES
    assert container["args"] == ["worker", "--queues", queue]
    assert f"/{image}:" in container["image"]
    assert spec_of(name)["terminationGracePeriodSeconds"] >= JOB_SECONDS[queue] + 10


def test_the_schema_comes_first() -> None:
    """The Job migrates, workers wait for it; the API's readiness looks by itself."""
    (job,) = one("Job", "closecast-migrate")["spec"]["template"]["spec"]["containers"]
    assert job["args"][0] == "migrate"
    assert "--check" not in job["args"]
    for name in ("worker", "trainer"):
        waiting = spec_of(name)["initContainers"][0]
        assert waiting["args"][:2] == ["migrate", "--check"]
        assert waiting["image"] == main_container(name)["image"]


def test_selectors_find_their_own_pods_and_nobody_elses() -> None:
    for name in DEPLOYMENTS:
        spec = one("Deployment", f"closecast-{name}")["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
        assert components_met(spec["selector"]) == {name}
        for spread in spec["template"]["spec"]["topologySpreadConstraints"]:
            assert components_met(spread["labelSelector"]) == {name}
    assert components_met({"matchLabels": one("Service", "closecast-api")["spec"]["selector"]}) == {"api"}
    assert components_met(one("PodDisruptionBudget", "closecast-api")["spec"]["selector"]) == {"api"}


def test_prometheus_calls_the_pods_what_the_alerts_call_them() -> None:
    """Else `absent(up{job="closecast-api"} == 1)` would fire for ever: an operator's `job` is the monitor's name."""
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
    jobs = set(re.findall(r'job="([^"]+)"', alerts))

    assert jobs == {f"closecast-{name}" for name in DEPLOYMENTS}
    for job in jobs:
        monitor = one("PodMonitor", job, "cluster")["spec"]
        (endpoint,) = monitor["podMetricsEndpoints"]
        assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job}]
        assert components_met(monitor["selector"]) == {job.removeprefix("closecast-")}
        assert endpoint["port"] in {port["name"] for port in main_container(job.removeprefix("closecast-"))["ports"]}


def all_pods() -> Iterator[dict[str, str]]:
    """The labels of each."""
    for each in built("cluster"):
        for pod in pods(each):
            yield pod["metadata"]["labels"]


def components_met(selector: Object) -> set[str]:
    """Which of our pods a selector means."""
    return {
        labels["app.kubernetes.io/component"]
        for labels in all_pods()
        if selector.get("matchLabels", {}).items() <= labels.items()
        and all(
            rule["operator"] == "In" and labels.get(rule["key"]) in rule["values"]
            for rule in selector.get("matchExpressions", [])
        )
    }


def test_the_autoscaler_has_the_say_and_one_pod_may_always_go() -> None:
    scaler, budget = (one(kind, "closecast-api")["spec"] for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"))

    assert scaler["scaleTargetRef"]["name"] == "closecast-api"
    assert "replicas" not in one("Deployment", "closecast-api")["spec"]
    assert 0 < budget["minAvailable"] < scaler["minReplicas"] < scaler["maxReplicas"]
    assert [each["resource"]["name"] for each in scaler["metrics"]] == ["cpu"]


def test_nothing_may_speak_unless_it_is_said() -> None:
    nothing = one("NetworkPolicy", "closecast-nothing")["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_who_may_reach_what() -> None:
    api, worker, trainer = (ways_out(name) for name in DEPLOYMENTS)

    assert api == {53, 5432}
    assert worker == {53, 5432, 443}
    assert trainer - {None} == {53, 5432, 443}  # None: all ports, among Ray's own
    assert ways_in("api") == {("ingress-nginx", 8000), ("monitoring", 9100)}
    assert ways_in("worker") == {("monitoring", 9464)}


def policies_of(component: str) -> list[Object]:
    return [
        policy["spec"]
        for policy in of_kind("NetworkPolicy")
        if component in components_met(policy["spec"]["podSelector"])
    ]


def ways_out(component: str) -> set[int | None]:
    """Ports that its pods may reach."""
    rules = [rule for policy in policies_of(component) for rule in policy.get("egress", [])]
    assert all(rule.get("to") for rule in rules)
    return {port["port"] for rule in rules for port in rule.get("ports", [{"port": None}])}


def ways_in(component: str) -> set[tuple[str, int]]:
    """Namespaces whose pods may reach it, and at which port."""
    return {
        (source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"])
        for policy in policies_of(component)
        for rule in policy.get("ingress", [])
        for source in rule["from"]
        if "namespaceSelector" in source
        for port in rule["ports"]
    }


def test_outside_means_outside() -> None:
    """A hole at 443 that leads to the cluster's own addresses, or to the cloud's metadata, would be none."""
    (rule,) = one("NetworkPolicy", "closecast-outside")["spec"]["egress"]
    left_out = [ip_network(each) for each in rule["to"][0]["ipBlock"]["except"]]

    for inside in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.169.254/32"):
        assert any(ip_network(inside).subnet_of(each) for each in left_out)  # type: ignore[arg-type]  # both are IPv4


@pytest.mark.parametrize("thing", WITH_PODS)
def test_what_is_mounted_exists_and_the_api_cannot_write_bundles(thing: Object) -> None:
    for pod in pods(thing):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        claim = volumes["data"]["persistentVolumeClaim"]
        assert one("PersistentVolumeClaim", claim["claimName"])["spec"]["accessModes"] == ["ReadWriteMany"]
        for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
            mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
            assert {each["name"] for each in mounts.values()} <= set(volumes)
            assert mounts["/data"].get("readOnly", False) is (thing["metadata"]["name"] == "closecast-api")
            assert mounts["/tmp"]["name"] == "tmp"  # noqa: S108 (a folder of the pod)


def test_ray_is_of_one_version_and_asks_for_its_word() -> None:
    cluster = one("RayCluster", "closecast-ray", "cluster")
    trainer = one("Deployment", "closecast-trainer", "cluster")["spec"]["template"]["spec"]
    (address,) = [each["value"] for each in trainer["containers"][0]["env"] if each["name"] == "RAY_ADDRESS"]

    assert f"\nray=={cluster['spec']['rayVersion']} " in (ROOT / "requirements-train.txt").read_text()
    assert address == f"{cluster['metadata']['name']}-head-svc:6379"  # as KubeRay names it
    assert f"--address={address}" in trainer["initContainers"][1]["command"]
    for container in (*containers(cluster), trainer["containers"][0], trainer["initContainers"][1]):
        given = {each["name"]: each for each in container["env"]}
        assert given["RAY_AUTH_MODE"]["value"] == "token"
        assert given["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "closecast-ray"


def test_every_secret_that_is_named_is_one_that_the_page_says_how_to_make() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    named = {
        entry["valueFrom"]["secretKeyRef"]["name"]
        for each in built("cluster")
        for container in containers(each)
        for entry in container["env"]
        if "valueFrom" in entry
    }
    assert named
    assert all(f"create secret generic {name}" in page for name in named)
    assert of_kind("Secret") == []
