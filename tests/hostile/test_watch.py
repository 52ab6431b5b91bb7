"""What the suite sees of a case: a check that saw nothing would pass everything."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests.hostile.watch import SQLITE, changed_paths, peak_memory

CHANGES: dict[str, tuple[Callable[[Path], object], str, list[str]]] = {
    "a file is written": (lambda folder: (folder / "new").write_bytes(b""), "open", ["new"]),
    "a file is made by its descriptor": (lambda folder: os.close(os.open(folder / "new", os.O_CREAT)), "open", ["new"]),
    "a folder is made": (lambda folder: (folder / "new").mkdir(), "os.mkdir", ["new"]),
    "a file is renamed": (lambda folder: (folder / "old").rename(folder / "new"), "os.rename", ["old", "new"]),
    "a link is made": (lambda folder: (folder / "new").symlink_to(folder / "old"), "os.symlink", ["new"]),
    "a second name is made": (lambda folder: os.link(folder / "old", folder / "new"), "os.link", ["new"]),
    "a file is removed": (lambda folder: (folder / "old").unlink(), "os.remove", ["old"]),
    "a mode is changed": (lambda folder: (folder / "old").chmod(0o777), "os.chmod", ["old"]),
    "a database is opened": (lambda folder: sqlite3.connect(folder / "new").close(), SQLITE, ["new"]),
}


@pytest.mark.parametrize("label", CHANGES)
def test_a_change_is_seen_though_it_is_undone(tmp_path: Path, label: str) -> None:
    change, event, names = CHANGES[label]
    (tmp_path / "old").write_bytes(b"")
    with changed_paths() as changed:
        change(tmp_path)
        (tmp_path / "new").unlink(missing_ok=True) if not (tmp_path / "new").is_dir() else None
    assert [(event, tmp_path / name) for name in names] == [one for one in changed if one[0] == event and one[1].name in names]


def test_what_is_read_and_what_has_no_name_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"x")
    with changed_paths() as changed:
        assert (tmp_path / "old").read_bytes() == b"x"
        with TemporaryFile(dir=tmp_path) as file:
            file.write(b"x")
    assert changed == []
    (tmp_path / "late").write_bytes(b"")
    assert changed == []


def test_memory_that_was_given_back_is_seen() -> None:
    with peak_memory() as grown:
        assert len(bytes(64 << 20).replace(b"\0", b"x")) == 64 << 20
    assert 60 << 20 < grown[0] < 256 << 20
