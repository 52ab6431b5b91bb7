"""A folder of archives as a source: nothing in it is trusted, and reading it twice is cheap."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from expert_kit.errors import ArchiveError, RegistryError
from expert_kit.registry import index
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.index import read_index, unique_candidates
from tests.unit.registry.conftest import Publisher


@pytest.fixture
def folder(publisher: Publisher) -> Path:
    """A signed and an unsigned archive, a bad one, a link and a folder."""
    publisher.build(name="acme/signed", extra='requires:\n  experts:\n    acme/lib: "^1"\nconflicts:\n  acme/rival: "*"\n')
    publisher.build(name="acme/plain", signed=False)
    (publisher.folder / "bad.expert").write_bytes(b"x" * 100)
    (publisher.folder / "link.expert").symlink_to(publisher.folder / "bad.expert")
    (publisher.folder / "folder.expert").mkdir()
    return publisher.folder


def test_every_archive_is_read_and_a_bad_one_is_told(folder: Path) -> None:
    found = read_index([folder, folder])
    assert [(str(one.ref), one.signed) for one in found.candidates] == [("acme/plain@1.0.0", False), ("acme/signed@1.0.0", True)]
    assert found.candidates[1].requires == {"acme/lib": "^1"}
    assert found.candidates[1].conflicts == {"acme/rival": "*"}
    assert [(one.path.name, one.code) for one in found.bad] == [("bad.expert", "archive_no_end_record")]


def test_the_second_reading_opens_only_what_has_changed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    first, opened = read_index([folder], cache), []
    real = index.read_candidate
    monkeypatch.setattr(index, "read_candidate", lambda path: opened.append(path.name) or real(path))
    assert read_index([folder], cache) == first
    assert [one.requires for one in read_index([folder], cache).candidates] == [one.requires for one in first.candidates]
    assert opened == []
    os.utime(folder / "acme.plain-1.0.0.expert", (1, 1))
    (folder / "bad.expert").unlink()
    assert len(read_index([folder], cache).bad) == 0
    assert opened == ["acme.plain-1.0.0.expert"]


def test_what_could_not_be_opened_is_tried_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> Candidate:
        raise ArchiveError("Permission denied", code="archive_unreadable")

    with monkeypatch.context() as patch:
        patch.setattr(index, "read_candidate", closed)
        assert len(read_index([folder], tmp_path / "cache").bad) == 3
    assert len(read_index([folder], tmp_path / "cache").candidates) == 2  # chmod changes neither size nor time


@pytest.mark.parametrize("spoil", [b"", b"[]", b"{", b'{"schema": 1, "archives": {}}', None])
def test_a_cache_that_cannot_be_read_or_written_costs_only_time(folder: Path, tmp_path: Path, spoil: bytes | None) -> None:
    cache = tmp_path / "cache"
    first = read_index([folder], cache)
    (file,) = cache.iterdir()
    if spoil is None:
        content = json.loads(file.read_bytes())
        for row in content["archives"].values():
            row[2] = {"ref": "no name"}
        spoil = json.dumps(content).encode()
    file.write_bytes(spoil)
    assert read_index([folder], cache) == first
    file.unlink()
    cache.rmdir()
    cache.write_bytes(b"in the way")
    assert read_index([folder], cache) == first


def test_a_folder_that_is_none_or_too_full_is_a_typed_error(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MAX_ARCHIVES", 2)
    for path, code in ((tmp_path / "gone", "index_unreadable"), (folder, "index_too_large")):
        with pytest.raises(RegistryError) as caught:
            read_index([path])
        assert caught.value.code == code


def test_of_equal_archives_the_signed_one_is_preferred(publisher: Publisher) -> None:
    plain = publisher.build(signed=False)
    copy = plain.with_name("z.expert")
    copy.write_bytes(plain.read_bytes())
    plain.unlink()
    publisher.build()
    found = read_index([publisher.folder]).candidates
    assert [one.signed for one in found] == [True, False]
    assert [one.signed for one in unique_candidates(found)] == [True]
    assert [one.signed for one in unique_candidates(found[::-1])] == [True]
