from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.errors import SignatureError
from expert_kit.signing.files import locked, read_own_file, write_own_file


def test_a_file_is_private_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_own_file(path, b"one")
    write_own_file(path, b"two")
    assert read_own_file(path) == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_a_missing_file_is_empty(tmp_path: Path) -> None:
    assert read_own_file(tmp_path / "file") == b""


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    path.chmod(mode)
    with pytest.raises(SignatureError) as caught:
        read_own_file(path)
    assert caught.value.code == "trust_mode"
    assert caught.value.hint.endswith(f"chmod 600 {path}, or: expert-kit doctor --repair")


def test_what_cannot_be_read_or_written_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(SignatureError) as caught:
        read_own_file(tmp_path)
    assert caught.value.code == "trust_invalid"
    (tmp_path / "big").write_bytes(b"12345")
    with pytest.raises(SignatureError, match="larger than 4 bytes"):
        read_own_file(tmp_path / "big", 4)
    (tmp_path / "folder").mkdir()
    with pytest.raises(SignatureError) as caught:
        write_own_file(tmp_path / "folder", b"x")
    assert caught.value.code == "trust_unwritable"
    with pytest.raises(SignatureError) as caught, locked(tmp_path / "big" / "file"):
        pass
    assert caught.value.code == "trust_unwritable"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big", "folder"]
