"""What lies in the registry's folder and is none of its files. It is told and never removed: nobody here made it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from expert_kit.registry.reading import InstalledExperts

_OWN: Final = ("cas", "staging", "registry.sqlite", "registry.sqlite-journal", "registry.sqlite-shm", "registry.sqlite-wal")
_TRUST: Final = ("trust", "trust.toml", ".trust.toml.lock")
"""They lie in the same folder where a registry was opened without a home."""


def strangers(registry: InstalledExperts) -> list[Path]:
    """Files and folders beside the database, in the store and in staging; what lies below one of them is not listed."""
    own = {registry.root / name for name in _OWN} | {registry.trust_home / name for name in _TRUST}
    beside = [path for path in sorted(registry.root.glob("*")) if path not in own]
    staged = [path for path in sorted(registry.root.glob("staging/*")) if path.is_symlink() or not path.is_dir()]
    return beside + staged + registry.blobs.strangers()
