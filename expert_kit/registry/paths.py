"""Where a user's files are. Nothing is created here."""

from __future__ import annotations

import os
from pathlib import Path

from expert_kit.errors import UsageError
from expert_kit.names import printable


def home() -> Path:
    """The user's folder: ``EXPERT_KIT_HOME`` if it is set and not empty, else the platform's place for user data.

    Raises:
        UsageError: ``home_not_folder``.
    """
    chosen = os.environ.get("EXPERT_KIT_HOME")
    if chosen:
        path = Path(chosen).expanduser().absolute()
        if path.exists() and not path.is_dir():
            hint = "set it to a folder, which may be a new one"
            raise UsageError(f"EXPERT_KIT_HOME is {printable(str(path))}, which is no folder", hint=hint, code="home_not_folder")
        return path
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
