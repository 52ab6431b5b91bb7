from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from expert_kit.errors import BlobDigestError, CapacityError, ExpertNotFoundError, RegistryError
from expert_kit.names import ExpertRef, sha256_digest
from expert_kit.registry import Query, Registry, home, registry_dir
from expert_kit.registry.rows import insert
from tests.unit.registry.conftest import BASE, Publisher


@pytest.fixture
def archive(publisher: Publisher) -> Path:
    return publisher.build()


def test_any_changed_byte_of_an_installed_blob_is_found_at_the_next_read(trusting: Registry, archive: Path) -> None:
    expert = trusting.install(archive, bases=[BASE])
    before = trusting.list()
    path = trusting.blobs.path(expert.weights.sha256)
    data = path.read_bytes()
    path.chmod(0o644)
    for offset in range(len(data)):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(bytes([data[offset] ^ 0x80]))
        with pytest.raises(BlobDigestError) as caught:
            trusting.read(expert.weights.sha256)
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data[offset : offset + 1])
    assert "install the expert again" in caught.value.hint
    assert trusting.list() == before
    assert trusting.read(expert.weights.sha256) == data


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: data[:-1], lambda data: data + b"x"])
def test_a_blob_of_another_length_is_refused(trusting: Registry, archive: Path, spoil: Callable[[bytes], bytes]) -> None:
    expert = trusting.install(archive, bases=[BASE])
    path = trusting.blobs.path(expert.identity)
    path.chmod(0o644)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BlobDigestError):
        trusting.read(expert.identity)


def test_a_blob_that_is_a_link_is_refused_though_the_bytes_are_right(trusting: Registry, archive: Path, tmp_path: Path) -> None:
    expert = trusting.install(archive, bases=[BASE])
    path = trusting.blobs.path(expert.identity)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(BlobDigestError):
        trusting.read(expert.identity)


def test_a_missing_blob_is_a_typed_error_and_the_list_does_not_need_it(trusting: Registry, archive: Path) -> None:
    expert = trusting.install(archive, bases=[BASE])
    trusting.blobs.path(expert.weights.sha256).unlink()
    with pytest.raises(BlobDigestError):
        trusting.read(expert.weights.sha256)
    assert trusting.list() == [expert]


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "../x", "sha256:" + "A" * 64, ""])
def test_a_digest_is_checked_before_it_becomes_a_path(registry: Registry, digest: str) -> None:
    with pytest.raises(Exception, match="not a digest"):
        registry.read(digest)  # type: ignore[arg-type]


def test_looking_at_an_empty_registry_creates_nothing(registry: Registry) -> None:
    assert registry.list() == []
    with pytest.raises(ExpertNotFoundError) as caught:
        registry.get("acme/sql")
    assert "expert-kit install" in caught.value.hint
    assert not registry.root.exists()


def test_an_unknown_version_names_the_installed_ones(trusting: Registry, archive: Path) -> None:
    trusting.install(archive, bases=[BASE])
    with pytest.raises(ExpertNotFoundError) as caught:
        trusting.get("acme/sql@3.0.0")
    assert "acme/sql@1.0.0" in caught.value.hint


# Uninstall


def test_uninstall_removes_rows_and_all_blobs(trusting: Registry, archive: Path, files_of: Callable[[], set[str]]) -> None:
    expert = trusting.install(archive, bases=[BASE])
    assert trusting.uninstall("acme/sql") == expert
    assert trusting.list() == []
    assert files_of() == set()
    with pytest.raises(ExpertNotFoundError):
        trusting.uninstall("acme/sql")


def test_uninstall_keeps_blobs_that_another_expert_needs(trusting: Registry, publisher: Publisher) -> None:
    first = trusting.install(publisher.build(), bases=[BASE])
    second = trusting.install(publisher.build(name="acme/twin"), bases=[BASE])
    assert first.weights.sha256 == second.weights.sha256
    trusting.uninstall("acme/sql")
    assert {digest for digest in second.digests() if trusting.read(digest)} == second.digests()
    with pytest.raises(BlobDigestError):
        trusting.read(first.identity)


def test_after_uninstall_the_last_installed_other_version_is_current(trusting: Registry, publisher: Publisher) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        trusting.install(publisher.build(version=version), bases=[BASE])
    trusting.uninstall("acme/sql")
    assert trusting.get("acme/sql").ref.version == "1.1.0"
    trusting.uninstall("acme/sql@1.0.0")
    assert trusting.get("acme/sql").ref.version == "1.1.0"


def test_a_crash_between_rows_and_blobs_of_an_uninstall_leaves_orphans_only(
    trusting: Registry, archive: Path, monkeypatch: pytest.MonkeyPatch, files_of: Callable[[], set[str]]
) -> None:
    trusting.install(archive, bases=[BASE])
    with monkeypatch.context() as patch:
        patch.setattr(trusting.blobs, "remove", _fail_with(errno.EIO))
        with pytest.raises(RegistryError):
            trusting.uninstall("acme/sql")
    assert trusting.list() == []
    assert files_of()
    trusting.collect()
    assert files_of() == set()


# Failures of the machine


def _fail_with(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("step", ["os.fsync", "os.link", "os.open", "pathlib.Path.mkdir"])
@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, CapacityError, "registry_disk_full"),
        (errno.EROFS, RegistryError, "registry_read_only"),
        (errno.EIO, RegistryError, "registry_io"),
    ],
)
def test_a_failing_disk_is_a_typed_error_and_nothing_is_installed(
    trusting: Registry,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
    files_of: Callable[[], set[str]],
    step: str,
    number: int,
    kind: type[Exception],
    code: str,
) -> None:
    sound = trusting.install(publisher.build(name="acme/sound"), bases=[BASE])
    archive, before = publisher.build(), files_of()
    real_open = os.open

    def open_for_reading_only(path: object, flags: int, *rest: object, **more: object) -> int:
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number))
        return real_open(path, flags, *rest, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(step, open_for_reading_only if step == "os.open" else _fail_with(number))
        with pytest.raises(kind) as caught:
            trusting.install(archive, bases=[BASE])
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert caught.value.hint  # type: ignore[attr-defined]
    assert trusting.list() == [sound]
    assert files_of() == before
    trusting.install(archive, bases=[BASE])


def test_a_full_database_is_a_typed_error_and_the_blobs_are_gone_again(
    trusting: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, files_of: Callable[[], set[str]]
) -> None:
    real = sqlite3.connect

    def small(*arguments: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*arguments, **options)  # type: ignore[call-overload]
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size where that is larger
        return connection

    trusting.install(publisher.build(), bases=[BASE])
    monkeypatch.setattr(sqlite3, "connect", small)
    error = None
    for number in range(50):  # the free space inside the pages is used up first
        archive, before, rows = publisher.build(name=f"acme/fill-{number}"), files_of(), trusting.list()
        try:
            trusting.install(archive, bases=[BASE])
        except CapacityError as caught:
            error = caught
            break
    assert error is not None
    assert error.code == "registry_disk_full"
    assert trusting.list() == rows
    assert files_of() == before


def test_a_database_of_a_newer_schema_is_refused(trusting: Registry, archive: Path) -> None:
    trusting.install(archive, bases=[BASE])
    with sqlite3.connect(trusting.root / "registry.sqlite") as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    for attempt in (trusting.list, lambda: trusting.get("acme/sql"), lambda: trusting.install(archive, bases=[BASE])):
        with pytest.raises(RegistryError) as caught:
            attempt()
        assert caught.value.code == "registry_schema_newer"


def test_a_damaged_database_is_a_typed_error(trusting: Registry, archive: Path) -> None:
    trusting.install(archive, bases=[BASE])
    (trusting.root / "registry.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(RegistryError) as caught:
        trusting.list()
    assert caught.value.code == "registry_corrupt"


def test_the_database_is_written_ahead_and_synchronised(trusting: Registry, archive: Path) -> None:
    trusting.install(archive, bases=[BASE])
    with trusting.database.reading() as connection:  # the two settings that decide what survives a power cut
        assert connection is not None
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_everything_is_listed_in_the_order_in_which_a_part_of_it_is(registry: Registry, publisher: Publisher) -> None:
    """All of it is sorted here, a part by the database."""
    options: dict[str, Any] = {"bases": [BASE], "unsafe_allow_unsigned": True}
    model = registry.install(publisher.build(name="acme/b", signed=False), **options)
    names = ("acme-x/a", "acme/a", "acme/a-b", "acme/a0", "acme0/a", "acme/b", "ac/z")
    with registry.database.writing() as connection:
        for number, (name, version) in enumerate(product(names, ("2.0.0", "10.0.0"))):
            ref = ExpertRef.parse(f"{name}@{version}")
            insert(connection, replace(model, ref=ref, identity=sha256_digest(str(number).encode())))
    everything = registry.find(Query())
    assert [one.ref for one in everything] == [str(expert.ref) for expert in registry.list()]
    for count in (1, 5, 15, 16):
        assert registry.find(Query(limit=count)) == everything[:count]


# Start-up


def test_the_load_path_imports_nothing_heavy(trusting: Registry, archive: Path) -> None:
    trusting.install(archive, bases=[BASE])
    probe = (
        "import sys\nfrom pathlib import Path\nfrom expert_kit.registry import Registry\n"
        f"registry = Registry(Path({str(trusting.root)!r}))\n"
        "expert = registry.get('acme/sql')\nassert registry.list() == [expert]\n"
        "assert len(registry.read(expert.weights.sha256)) == expert.weights.size\nassert registry.examples(expert)\n"
        "print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert "sqlite3" in loaded
    assert not loaded & {"pydantic", "cryptography", "numpy", "torch", "yaml", "rfc8785", "transformers", "peft"}


def test_the_user_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPERT_KIT_HOME", str(tmp_path))
    assert (home(), registry_dir()) == (tmp_path, tmp_path / "registry")
    assert (Registry.default().root, Registry.default().trust_home) == (tmp_path / "registry", tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("EXPERT_KIT_HOME", "")
    assert home().name == "expert-kit"


def test_a_digest_of_nothing_is_not_installed(registry: Registry) -> None:
    with pytest.raises(BlobDigestError):
        registry.read(sha256_digest(b""))
