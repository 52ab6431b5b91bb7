"""An installed expert as plain files, for tools that know nothing of archives and registries."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from expert_kit.errors import CapacityError, UsageError
from expert_kit.manifest import MANIFEST_NAME
from expert_kit.names import printable
from expert_kit.registry.records import InstalledExpert
from expert_kit.registry.store import Registry


def export(registry: Registry, expert: InstalledExpert, folder: Path) -> list[Path]:
    """Write exactly ``expert.json`` and the files of the manifest, and each signature as a ``.sig`` file beside the folder.

    A ``.sig`` file is one Sigstore bundle. Upstream OMS tools verify the folder with it, if the key is P-256.

    Args:
        registry: where the expert is installed; every blob is hashed on the way.
        expert: not revoked.
        folder: does not exist, or is empty.

    Returns:
        The signature files.

    Raises:
        UsageError: ``export_not_empty``. BlobDigestError: a blob is damaged. RevokedError: see ``Registry.check_revoked``.
        CapacityError: ``output_unwritable``; what was written before stays.
    """
    registry.check_revoked(expert)
    files = {MANIFEST_NAME: expert.identity, **{entry.path: entry.sha256 for entry in expert.files if entry.role != "attestation"}}
    signatures = dict(_signature_files(registry, expert, folder))
    if (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))) or any(path.exists() for path in signatures):
        raise UsageError(
            f"{printable(str(folder))} is not empty, or a .sig file of {expert.ref} lies beside it",
            hint="name a folder that does not exist yet",
            code="export_not_empty",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, digest in files.items():
            _write_new(folder / name, registry.read(digest))
        for path, line in signatures.items():
            _write_new(path, line)
    except OSError as error:
        message = f"cannot write {printable(str(folder))}: {error.strerror}"
        raise CapacityError(message, hint="check the folder and the free space", code="output_unwritable") from error
    return sorted(signatures)


def _signature_files(registry: Registry, expert: InstalledExpert, folder: Path) -> Iterator[tuple[Path, bytes]]:
    lines = registry.read(expert.signatures).splitlines() if expert.signatures else []
    for line in lines:
        # The digest tells signatures apart without trusting anything in them.
        yield folder.with_name(f"{expert.ref.file_stem}.{hashlib.sha256(line).hexdigest()[:12]}.sig"), line


def _write_new(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644), "wb") as file:
        file.write(data)
