"""What a ``.keras`` file may hold: three named members of modest size, and layers from the allowlist only.

Keras unpacks, imports and builds what the archive says, so it is looked through before Keras sees it.
"""

import io
import stat
import zipfile
import zlib

from ml_lifecycle.export.canonical_json import parse_json_object
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.keras_layers import require_allowed_layers

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MIB = 2**20
_MAX_BYTES = {CONFIG: 4 * _MIB, METADATA: 64 * 2**10, WEIGHTS: 256 * _MIB}
_MAX_RATIO = 100  # Keras stores its members uncompressed; JSON reaches 20 where something repacks it
_ENCRYPTED = 0x1
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read_keras_archive(content: bytes) -> dict[str, bytes]:
    """The members of a ``.keras`` file, each read within its limit, after its layers passed the allowlist.

    Raises
    ------
    BundleRefusedError : names the member or layer that does not belong.
    """
    members = _read_members(content)
    parse_json_object(members[METADATA], name=METADATA)
    require_allowed_layers(parse_json_object(members[CONFIG], name=CONFIG))
    if not members[WEIGHTS].startswith(_HDF5_SIGNATURE):
        raise BundleRefusedError(f"{WEIGHTS} is no HDF5 file")
    return members


def _read_members(content: bytes) -> dict[str, bytes]:
    if not content.startswith(b"PK\x03\x04"):
        raise BundleRefusedError("network.keras is no zip archive")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _require_expected(entries)
            return {entry.filename: _read_member(archive, entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BundleRefusedError(f"network.keras is a damaged archive: {error}") from error


def _require_expected(entries: list[zipfile.ZipInfo]) -> None:
    names = sorted(entry.orig_filename for entry in entries)
    if names != sorted(_MAX_BYTES):
        raise BundleRefusedError(f"network.keras holds {names[:10]}, not {sorted(_MAX_BYTES)}")
    for entry in entries:
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BundleRefusedError(f"{entry.filename} in network.keras is a link")
        if entry.flag_bits & _ENCRYPTED:
            raise BundleRefusedError(f"{entry.filename} in network.keras is encrypted")
        if entry.file_size > _MAX_BYTES[entry.filename]:
            raise BundleRefusedError(f"{entry.filename} in network.keras unpacks to {entry.file_size} bytes")
        if entry.file_size > _MAX_RATIO * entry.compress_size:
            raise BundleRefusedError(f"{entry.filename} in network.keras unpacks to over {_MAX_RATIO} times its size")


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as member:
        held = member.read(_MAX_BYTES[entry.filename] + 1)
    if len(held) != entry.file_size:
        raise BundleRefusedError(f"{entry.filename} in network.keras is not as long as it says")
    return held
