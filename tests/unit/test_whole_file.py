from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from expert_kit.whole_file import replace_png, replace_whole


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_file_has_the_bytes_and_the_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    replace_whole(path, b"new", mode=mode)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["chmod", "replace", "write_file"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whatever_goes_wrong_the_old_file_stays_alone(
    tmp_path: Path, call: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync" if call == "write_file" else call, fail)
    with pytest.raises(type(error)):
        replace_whole(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_the_bytes_are_on_the_disk_before_the_name_points_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (calls.append(name), real(*args))[1])
    replace_whole(tmp_path / "file", b"new")
    assert calls == ["fsync", "replace", "fsync"]
    replace_whole(tmp_path / "file", b"newer", durable=False)
    assert calls == ["fsync", "replace", "fsync", "replace"]
    assert (tmp_path / "file").read_bytes() == b"newer"


def test_a_figure_is_a_png_whatever_the_name_says_and_there_whole_or_not_at_all(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    path = tmp_path / "curve.pdf"
    replace_png(path, Figure(figsize=(1, 1)))
    assert (path.read_bytes()[:8], stat.S_IMODE(path.stat().st_mode)) == (b"\x89PNG\r\n\x1a\n", 0o644)
    with pytest.raises(FileNotFoundError):
        replace_png(tmp_path / "none" / "curve.png", Figure(figsize=(1, 1)))
    assert list(tmp_path.iterdir()) == [path]


def test_a_system_without_the_flags_of_others_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no O_CLOEXEC, and without O_BINARY changes line breaks."""
    given: list[int] = []
    real = os.open
    monkeypatch.delattr(os, "O_CLOEXEC")
    monkeypatch.setattr(os, "O_BINARY", 1 << 40, raising=False)
    monkeypatch.setattr(os, "open", lambda name, flags, *rest: (given.append(flags), real(name, flags & ~(1 << 40), *rest))[1])
    replace_whole(tmp_path / "file", b"a\nb\r\n", durable=False)
    assert (tmp_path / "file").read_bytes() == b"a\nb\r\n"
    assert [flags >> 40 for flags in given] == [1]
