"""Where a user's files are. Nothing is created here."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The user's folder: ``EXPERT_KIT_HOME`` if it is set and not empty, else the platform's place for user data."""
    chosen = os.environ.get("EXPERT_KIT_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path  # noqa: PLC0415 - most of the time of `expert-kit list` is imports

    return user_data_path("expert-kit")


def bases_dir() -> Path:
    """Base models and their records."""
    return home() / "bases"


def registry_dir() -> Path:
    """Installed experts."""
    return home() / "registry"


def keys_dir() -> Path:
    """The user's own key pairs."""
    return home() / "keys"


def cache_dir() -> Path:
    """What can be computed again: embeddings, downloads in progress."""
    return home() / "cache"
