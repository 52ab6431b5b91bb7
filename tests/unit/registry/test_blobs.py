from __future__ import annotations

import mmap
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from expert_kit.errors import BlobDigestError, CapacityError, DigestMismatchError, RegistryError
from expert_kit.names import Digest, sha256_digest
from expert_kit.registry import bases_dir, cache_dir, keys_dir
from expert_kit.registry.blobs import BlobStore
from expert_kit.registry.database import Database
from expert_kit.registry.faults import typed_errors

DATA = b"some bytes"
DIGEST = sha256_digest(DATA)


@pytest.mark.parametrize("written", [[DATA, b"x"], [DATA[:-1]], [b"SOME BYTES"], []])
def test_what_does_not_have_the_signed_size_and_digest_never_reaches_the_store(tmp_path: Path, written: list[bytes]) -> None:
    store = BlobStore(tmp_path)

    def put() -> None:
        with store.stage() as stage, stage.open(DIGEST, len(DATA)) as sink:
            for piece in written:
                sink.write(piece)

    with pytest.raises(DigestMismatchError):
        put()
    assert list(store.digests()) == []
    assert list((tmp_path / "staging").iterdir()) == []


def test_an_error_in_the_middle_of_a_blob_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(KeyError), BlobStore(tmp_path).stage() as stage, stage.open(DIGEST, len(DATA)):
        raise KeyError


def test_a_sound_blob_is_kept_and_a_damaged_one_replaced(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    for damage, changed in ((None, {DIGEST}), (None, set()), (b"damaged", {DIGEST})):
        if damage is not None:
            store.path(DIGEST).chmod(0o644)
            store.path(DIGEST).write_bytes(damage)
        with store.stage() as stage:
            with stage.open(DIGEST, len(DATA)) as sink:
                sink.write(DATA)
            assert stage.link_all() == changed
        assert store.read(DIGEST) == DATA


def test_two_members_of_equal_content_share_one_blob(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with store.stage() as stage:
        for _ in range(2):
            with stage.open(DIGEST, len(DATA)) as sink:
                sink.write(DATA)
        stage.link_all()
    assert list(store.digests()) == [DIGEST]


SIZES = (0, 1, 4097, (2 << 20) - 1, 2 << 20, (2 << 20) + 1)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_read_apart_is_the_same_and_belongs_to_the_reader(tmp_path: Path, size: int) -> None:
    store, data = BlobStore(tmp_path), b"01234567" * (size // 8) + b"x" * (size % 8)
    digest = put(store, data)
    read = store.read_apart(digest)
    assert read == data == store.read(digest)
    read[:1] = b"!"[:size]
    assert store.read_apart(digest) == data


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[:-1] + b"?", lambda data: b""])
def test_a_damaged_blob_is_not_read_apart(tmp_path: Path, size: int, damage: Callable[[bytes], bytes]) -> None:
    store, data = BlobStore(tmp_path), b"a" * size
    digest = put(store, data)
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(damage(data))
    with pytest.raises(BlobDigestError, match="does not have the bytes"):
        store.read_apart(digest)


def test_a_blob_that_is_missing_or_a_link_is_not_read_apart(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    path = store.path(put(store, DATA))
    path.rename(tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(BlobDigestError, match="cannot be read"):
            store.read_apart(DIGEST)
        path.unlink(missing_ok=True)
        path.symlink_to(tmp_path / "elsewhere")


@pytest.mark.parametrize("advice", [None, OSError(22, "Invalid argument")])
def test_a_system_without_large_pages_reads_as_well(tmp_path: Path, advice: OSError | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if advice is None:
        monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    else:
        monkeypatch.setattr(mmap, "MADV_HUGEPAGE", 1 << 30, raising=False)  # a system call that fails
    store, data = BlobStore(tmp_path), b"ab" * (1 << 20)
    assert store.read_apart(put(store, data)) == data


def put(store: BlobStore, data: bytes) -> Digest:
    digest = sha256_digest(data)
    with store.stage() as stage:
        with stage.open(digest, len(data)) as sink:
            sink.write(data)
        stage.link_all()
    return digest


def test_a_missing_blob_is_not_sound(tmp_path: Path) -> None:
    assert not BlobStore(tmp_path).is_sound(DIGEST)


def test_a_stray_file_in_the_store_is_no_blob(tmp_path: Path) -> None:
    (tmp_path / "cas/sha256/ab").mkdir(parents=True)
    (tmp_path / "cas/sha256/ab/notes.txt").write_text("mine")
    assert list(BlobStore(tmp_path).digests()) == []


def test_a_transaction_that_fails_leaves_no_row(tmp_path: Path) -> None:
    database = Database(tmp_path / "registry.sqlite")

    def fail() -> None:
        with database.writing() as connection:
            connection.execute("INSERT INTO highest VALUES ('a', 'b', '1.0.0')")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with database.reading() as reader:
        assert reader is not None
        assert reader.execute("SELECT count(*) FROM highest").fetchone()[0] == 0


def test_many_threads_create_one_database(tmp_path: Path) -> None:
    database, failures = Database(tmp_path / "registry.sqlite"), []

    def write(number: int) -> None:
        try:
            with database.writing() as connection:
                connection.execute("INSERT INTO highest VALUES ('a', ?, '1.0.0')", (f"n{number}",))
        except sqlite3.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.reading() as connection:
        assert connection is not None
        assert connection.execute("SELECT count(*) FROM highest").fetchone()[0] == 8


def test_a_database_that_somebody_holds_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.3, holder.rollback)
    timer.start()
    with Database(path).writing() as connection:
        connection.execute("INSERT INTO highest VALUES ('a', 'b', '1.0.0')")
    timer.join()
    holder.close()


def test_a_database_that_is_held_for_ever_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expert_kit.registry.database.BUSY_SECONDS", 0.1)
    path = tmp_path / "registry.sqlite"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RegistryError) as caught, typed_errors(tmp_path), Database(path).writing():
        pass
    assert caught.value.code == "registry_busy"
    holder.close()


def test_a_schema_that_cannot_be_created_leaves_no_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "registry.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr("expert_kit.registry.schema._TABLES_1", ("CREATE TABLE half (x)", "no SQL"))
        with pytest.raises(sqlite3.OperationalError), Database(path).writing():
            pass
    with Database(path).writing() as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone()[0] == 0


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (sqlite3.SQLITE_FULL, CapacityError, "registry_disk_full"),
        (sqlite3.SQLITE_READONLY | 8 << 8, RegistryError, "registry_read_only"),
        (sqlite3.SQLITE_CANTOPEN, RegistryError, "registry_read_only"),
        (sqlite3.SQLITE_BUSY, RegistryError, "registry_busy"),
        (sqlite3.SQLITE_NOTADB, RegistryError, "registry_corrupt"),
        (sqlite3.SQLITE_IOERR, RegistryError, "registry_io"),
    ],
)
def test_every_kind_of_database_error_is_typed_and_has_a_next_step(tmp_path: Path, number: int, kind: type[Exception], code: str) -> None:
    error = sqlite3.OperationalError("message")
    error.sqlite_errorcode = number
    with pytest.raises(kind) as caught, typed_errors(tmp_path):
        raise error
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert caught.value.hint  # type: ignore[attr-defined]


def test_the_folders_of_a_user_lie_in_one_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPERT_KIT_HOME", str(tmp_path))
    assert {bases_dir(), keys_dir(), cache_dir()} == {tmp_path / "bases", tmp_path / "keys", tmp_path / "cache"}
