"""What kustomize makes of the files under deploy/kubernetes: only as much of it as they use; anything else is an error.

Where `kubectl` is installed, a test compares the outcome with kustomize's own.
"""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
UNDERSTOOD = {
    *("apiVersion", "kind", "namespace", "resources", "components", "images", "patches"),
    "configMapGenerator",
}


def build(folder: Path) -> list[Object]:
    """Every object of the kustomization in ``folder``; made maps keep their names, without a digest behind them."""
    return _apply(folder, [])


def _apply(folder: Path, objects: list[Object]) -> list[Object]:
    asked = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(asked) <= UNDERSTOOD, f"{folder}: {set(asked) - UNDERSTOOD} is not understood here"
    objects = [*objects, *(each for name in asked.get("resources", []) for each in _resource(folder / name))]
    for name in asked.get("components", []):
        objects = _apply((folder / name).resolve(), objects)
    objects += [_config_map(folder, each) for each in asked.get("configMapGenerator", [])]
    for patch in asked.get("patches", []):
        _patch(folder, objects, patch)
    for each in objects:
        if "namespace" in asked and each["kind"] != "Namespace":
            each["metadata"]["namespace"] = asked["namespace"]
        _name_images(each, asked.get("images", []))
    return objects


def _resource(path: Path) -> list[Object]:
    if path.is_dir():
        return build(path.resolve())
    # What an anchor is repeated by is one object to YAML's reader; a patch must change it in one place only.
    return [json.loads(json.dumps(each)) for each in yaml.safe_load_all(path.read_text())]


def _config_map(folder: Path, asked: Object) -> Object:
    assert set(asked) == {"name", "envs"}
    lines = [line for name in asked["envs"] for line in (folder / name).read_text().splitlines()]
    data = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": asked["name"]}, "data": data}


def _patch(folder: Path, objects: list[Object], asked: Object) -> None:
    assert set(asked) in ({"target", "patch"}, {"target", "path"})
    target = asked["target"]
    met = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (target["kind"], target["name"])]
    assert len(met) == 1, f"{folder}: {target} is {len(met)} objects"
    for step in yaml.safe_load(asked["patch"] if "patch" in asked else (folder / asked["path"]).read_text()):
        *way, last = [part.replace("~1", "/") for part in step["path"].split("/")[1:]]
        place: Any = met[0]
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        _do(place, last, step)


def _do(place: Any, last: str, step: Object) -> None:
    value = copy.deepcopy(step["value"])
    assert step["op"] in ("add", "replace")
    if isinstance(place, list) and step["op"] == "add":
        assert last == "-"
        place.append(value)
    else:
        key = int(last) if isinstance(place, list) else last
        assert step["op"] == "add" or key in place
        place[key] = value


def _name_images(thing: Object, images: list[Object]) -> None:
    for container in containers(thing):
        for asked in images:
            assert set(asked) == {"name", "newName", "newTag"}
            if re.split("[:@]", container["image"])[0] == asked["name"]:
                container["image"] = f"{asked['newName']}:{asked['newTag']}"


def pods(thing: Any) -> Iterator[Object]:
    """The pods that an object describes, metadata and spec, wherever it holds them."""
    if isinstance(thing, dict):
        if "containers" in thing.get("spec", {}):
            yield thing
        for value in thing.values():
            yield from pods(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from pods(value)


def containers(thing: Object) -> list[Object]:
    """All that run in an object's pods, those that come first included."""
    return [
        container
        for pod in pods(thing)
        for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"])
    ]
