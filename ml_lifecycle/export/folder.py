"""Reading a bundle's folder: only plain files, only those that the manifest lists, only as big as they may be."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ml_lifecycle.export.canonical_json import parse_json_object
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.manifest import BundleKind, Manifest, bundle_id

MANIFEST = "manifest.json"
NETWORK_KERAS = "network.keras"
NETWORK_ONNX = "network.onnx"
SCALER = "scaler.json"
CALIBRATION = "calibration.json"
DRIFT_REFERENCE = "reference.json"
REPORT = "report.html"

_MIB = 2**20
_MAX_BYTES = {
    MANIFEST: 2 * _MIB,
    NETWORK_KERAS: 256 * _MIB,
    NETWORK_ONNX: 256 * _MIB,
    SCALER: _MIB,
    CALIBRATION: _MIB,
    DRIFT_REFERENCE: 8 * _MIB,
    REPORT: 32 * _MIB,
}
_MEMBER = re.compile(r"member_[a-z0-9_]{1,40}\.onnx")
_REQUIRED = {
    BundleKind.NETWORK: {NETWORK_KERAS, NETWORK_ONNX, SCALER, CALIBRATION, DRIFT_REFERENCE},
    BundleKind.REFERENCE: {CALIBRATION},
}


@dataclass(frozen=True)
class BundleFiles:
    """A folder whose files are the ones its manifest lists, and whose name is the manifest's digest."""

    bundle_id: str
    manifest: Manifest
    contents: dict[str, bytes]


def read_bundle_folder(folder: Path) -> BundleFiles:
    """Read every file once and check it against the manifest; what is used later is what was checked.

    Raises
    ------
    BundleRefusedError : a link, an unexpected, missing, changed or oversized file, a manifest that does not hold.
    """
    names = _list_plain_files(folder)
    if MANIFEST not in names:
        raise BundleRefusedError(f"{MANIFEST} is missing")
    content = parse_json_object(_read_file(folder / MANIFEST), name=MANIFEST)
    if bundle_id(content) != folder.name:
        raise BundleRefusedError("the folder is not named by its manifest's digest")
    manifest = Manifest.parse(content)
    _require_listed(names - {MANIFEST}, manifest)
    contents = {name: _read_file(folder / name) for name in sorted(manifest.files)}
    for name, held in contents.items():
        if hashlib.sha256(held).hexdigest() != manifest.files[name]:
            raise BundleRefusedError(f"{name} is not the file that the manifest lists: its digest differs")
    return BundleFiles(bundle_id=folder.name, manifest=manifest, contents=contents)


def _list_plain_files(folder: Path) -> set[str]:
    try:
        if folder.is_symlink():
            raise BundleRefusedError("the folder is a link")
        with os.scandir(folder) as entries:
            found = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    except OSError as error:
        raise BundleRefusedError(f"the folder cannot be read: {error.strerror}") from error
    for name, plain in found.items():
        if not plain:
            raise BundleRefusedError(f"{name!r} is no plain file")
        if name not in _MAX_BYTES and not _MEMBER.fullmatch(name):
            raise BundleRefusedError(f"{name!r} does not belong in a bundle")
    return set(found)


def _require_listed(names: set[str], manifest: Manifest) -> None:
    listed = set(manifest.files)
    if missing := sorted((listed | _REQUIRED[manifest.kind]) - names):
        raise BundleRefusedError(f"{missing[0]} is missing")
    if extra := sorted(names - listed):
        raise BundleRefusedError(f"{extra[0]} is not listed in the manifest")
    graphs = {name for name in listed if name.endswith(".onnx")}
    if graphs != set(manifest.member_weights):
        raise BundleRefusedError("member_weights and the ONNX files name different members")
    if manifest.kind is BundleKind.REFERENCE and listed - {CALIBRATION, REPORT}:
        raise BundleRefusedError("a reference holds network files")


def _read_file(path: Path) -> bytes:
    """Bytes of one plain file within its size limit; a link put there meanwhile is not followed."""
    limit = _MAX_BYTES.get(path.name, _MAX_BYTES[NETWORK_ONNX])
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BundleRefusedError(f"{path.name} is no plain file")
            if status.st_size > limit:
                raise BundleRefusedError(f"{path.name} has {status.st_size} bytes, {limit} at most")
            return file.read(limit + 1)
    except OSError as error:
        raise BundleRefusedError(f"{path.name} cannot be read: {error.strerror}") from error
