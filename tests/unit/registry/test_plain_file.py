from __future__ import annotations

import os
from pathlib import Path

import pytest

from expert_kit.registry.plain_file import read_plain


def test_a_file_is_read_up_to_the_limit(tmp_path: Path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_plain(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_plain(path, 4)


def test_a_sparse_giant_is_not_read(tmp_path: Path):
    path = tmp_path / "x"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="larger than"):
        read_plain(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_plain(tmp_path / "pipe")
