"""Folders whose entries survive a power cut."""

from __future__ import annotations

from pathlib import Path

from expert_kit.whole_file import sync_folder


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, each durable in its parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o755, exist_ok=True)
    sync_folder(folder.parent)
