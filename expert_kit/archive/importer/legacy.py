"""A package of the old kind: a ``.tar.gz`` with an adapter. Bytes that nobody vouches for, so another process reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from expert_kit.archive.confined import Limits, run_confined
from expert_kit.archive.importer import ustar
from expert_kit.archive.importer.folder import check_complete
from expert_kit.archive.importer.material import LEFT_OUT, LIMITS, Material
from expert_kit.archive.opening import NotRegularError, open_regular
from expert_kit.errors import ArchiveError, UnsafePathError
from expert_kit.names import Digest, printable

MAX_UNPACKED = (1 << 30) + (1 << 24)
_SECONDS = 60
_HINT = "unpack it where you trust it, and convert the folder of the adapter"


def read_legacy(path: Path) -> Material:
    """The files of an adapter in a ``.tar.gz``; they stand together in one folder of it, or in none.

    Raises:
        ArchiveError: ``import_unreadable``, ``import_gzip``, ``import_tar``, ``import_member_refused``, ``import_duplicate``,
            ``import_too_large``, ``import_too_many``, ``import_incomplete``, ``parser_stopped``.
        UnsafePathError: a name that is no safe file name.
    """
    with _open(path) as file:
        # Read and unpacked through one descriptor: the digest is that of what was unpacked, or the file was changed meanwhile.
        digest = Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())
        file.seek(0)
        asked = json.dumps({"limits": LIMITS, "left_out": sorted(LEFT_OUT), "most": MAX_UNPACKED})
        output = run_confined(Path(ustar.__file__), file, Limits(_SECONDS, MAX_UNPACKED), asked)
    label = printable(path.name)
    kept: dict[str, bytes] = {}
    left_out: list[str] = []
    for record, body in _records(output, label):
        if record["kept"]:
            kept[record["name"]] = body
        else:
            left_out.append(record["name"])
    return Material("tar.gz", _in_one_folder(kept, label), digest, tuple(left_out))


def _open(path: Path) -> FileIO:
    try:
        descriptor, _ = open_regular(path)
    except NotRegularError as error:
        raise ArchiveError(f"{printable(str(path))} is not a regular file", code="import_unreadable") from error
    except OSError as error:
        message = f"cannot open {printable(str(path))}: {error.strerror}"
        raise ArchiveError(message, hint="name a folder that PEFT saved, or a .tar.gz of one", code="import_unreadable") from error
    # Unbuffered: the other process reads on from where this one stands.
    return FileIO(descriptor, "rb")


def _records(output: bytes, label: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """What the process wrote, once its last line says that it read all of the package."""
    last = output.rindex(b"\n")
    _raise(json.loads(output[last + 1 :]), label)
    at = 0
    while at < last:
        end = output.index(b"\n", at) + 1
        record = json.loads(output[at:end])
        at = end + (record["size"] if record["kept"] else 0)
        yield record, output[end:at]


def _raise(problem: dict[str, str] | None, label: str) -> None:
    if problem is not None:
        raise _refusals(label, printable(problem["message"]))[problem["code"]]


def _refusals(label: str, what: str) -> dict[str, ArchiveError]:
    """What the process may say, by its codes."""
    errors = (
        UnsafePathError(f"{label}: {what}", hint=_HINT),
        ArchiveError(f"{label} is not one sound gzip stream: {what}", hint=_HINT, code="import_gzip"),
        ArchiveError(f"{label} is not a sound tar archive: {what}", hint=_HINT, code="import_tar"),
        ArchiveError(f"{label} holds more than the files of an adapter: {what}", hint=_HINT, code="import_member_refused"),
        ArchiveError(f"{label} does not have every name once: {what}", hint=_HINT, code="import_duplicate"),
        ArchiveError(f"{label} is larger than an import may be: {what}", hint=_HINT, code="import_too_large"),
        ArchiveError(f"{label} has more entries than an import may have: {what}", hint=_HINT, code="import_too_many"),
    )
    return {error.code: error for error in errors}


def _in_one_folder(kept: dict[str, bytes], label: str) -> dict[str, bytes]:
    folders = {name.rpartition("/")[0] for name in kept if name.rpartition("/")[2] in ("adapter_config.json", "adapter_model.safetensors")}
    if len(folders) > 1:
        message = f"{label} has adapters in several folders: {', '.join(sorted(folders))}"
        raise ArchiveError(message, hint=_HINT, code="import_incomplete")
    folder = next(iter(folders), "")
    prefix = f"{folder}/" if folder else ""
    files = {name: kept[prefix + name] for name in LIMITS if prefix + name in kept}
    check_complete(label, files.keys())
    return files
