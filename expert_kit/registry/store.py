"""The registry: rows in SQLite, bytes in the content-addressed store.

The load path (open, list, get, read, examples) imports the standard library only; see ``install.py`` for the rest.
"""

from __future__ import annotations

import importlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from expert_kit.bases import BaseRecord
from expert_kit.errors import AlreadyInstalledError, ExpertKitError, ExpertNotFoundError, RegistryError
from expert_kit.names import Digest, ExpertRef, version_key
from expert_kit.registry.blobs import BlobStore, Stage
from expert_kit.registry.database import Database
from expert_kit.registry.faults import typed_errors
from expert_kit.registry.paths import home, registry_dir
from expert_kit.registry.records import InstalledExpert, RoutingExample

if TYPE_CHECKING:
    from expert_kit.signing import FirstUse

Experts = list[InstalledExpert]
Examples = list[RoutingExample]

_EXPERTS = """SELECT expert.*, current.expert IS NOT NULL AS current FROM expert
    LEFT JOIN current ON current.expert = expert.id"""
_USED = """SELECT 1 FROM file WHERE sha256 = :digest
    UNION ALL SELECT 1 FROM expert WHERE identity = :digest OR signatures = :digest LIMIT 1"""


class Registry:
    """Installed experts under one folder. Opening creates nothing; the first install does.

    Every method raises ``RegistryError`` (``registry_read_only``, ``registry_busy``, ``registry_corrupt``,
    ``registry_schema_newer``, ``registry_io``) or ``CapacityError`` (``registry_disk_full``) when the files fail.
    """

    def __init__(self, root: Path, *, trust_home: Path | None = None) -> None:
        """Open the registry in ``root``; ``trust_home`` is the folder of ``trust.toml``, ``root`` if not given."""
        self.root = root
        self.trust_home = root if trust_home is None else trust_home
        self.blobs = BlobStore(root)
        self._database = Database(root / "registry.sqlite")

    @classmethod
    def default(cls) -> Self:
        """The user's registry, see ``paths.home``; ``trust.toml`` lies beside its folder."""
        return cls(registry_dir(), trust_home=home())

    def list(self) -> Experts:
        """Every installed version, by name, the newest install last; from the rows alone, no blob is opened."""
        return self._select("", ())

    def get(self, ref: ExpertRef | str) -> InstalledExpert:
        """The expert of that name: this version, or without a version the current one, which is the last installed.

        Raises:
            ExpertNotFoundError: not installed; the hint says which versions are.
        """
        wanted = ExpertRef.parse(ref) if isinstance(ref, str) else ref
        versions = self.versions(wanted)
        for expert in versions:
            if expert.current if wanted.version is None else expert.ref.version == wanted.version:
                return expert
        others = ", ".join(str(expert.ref) for expert in versions)
        hint = f"installed: {others}" if others else "see `expert-kit list`, or install it with `expert-kit install FILE`"
        raise ExpertNotFoundError(f"{wanted} is not installed", hint=hint)

    def versions(self, ref: ExpertRef) -> Experts:
        """Every installed version of this name, the newest install last; a version in ``ref`` is ignored."""
        return self._select("WHERE expert.namespace = ? AND expert.name = ?", (ref.namespace, ref.name))

    def highest_trusted(self, ref: ExpertRef) -> str | None:
        """The highest version of this name that was ever installed with trusted signatures."""
        with typed_errors(self.root), self._database.reading() as connection:
            return None if connection is None else _highest(connection, ref)

    def read(self, digest: Digest) -> bytes:
        """Bytes of an installed file; exactly these bytes were hashed just now.

        Raises:
            BlobDigestError: the blob is missing or damaged.
        """
        return self.blobs.read(digest)

    def examples(self, expert: InstalledExpert) -> Examples:
        """The routing examples of an expert, or none if it has no such file.

        Raises:
            BlobDigestError: see :meth:`read`. RegistryError: ``registry_examples``, a row cannot be read.
        """
        entry = next((entry for entry in expert.files if entry.role == "routing"), None)
        if entry is None:
            return []
        lines = self.read(entry.sha256).removesuffix(b"\n").split(b"\n")
        try:
            rows = (json.loads(line) for line in lines if line)
            return [RoutingExample(row["text"], row["split"]) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            # Rows are checked at install; another version may have checked less.
            raise RegistryError(
                f"{expert.ref}: its routing examples cannot be read",
                hint=f"expert-kit uninstall {expert.ref}, then install a newer archive",
                code="registry_examples",
            ) from error

    def install(
        self,
        archive: Path,
        *,
        bases: Sequence[BaseRecord],
        allow_missing_base: bool = False,
        ask: Callable[[FirstUse], bool] | None = None,
        unsafe_allow_unsigned: bool = False,
        allow_downgrade: bool = False,
    ) -> InstalledExpert:
        """Check an archive and add it; it becomes the current version of its name. All or nothing.

        Installing what is installed already heals damaged blobs and adds signers or the base model that came later;
        if there is nothing of the kind to do, it is an error.

        Args:
            archive: an ``.expert`` file; it is opened once.
            bases: the base models that are here.
            allow_missing_base: accept an expert for a base model that is not here, as ``pending``.
            ask: called with an unknown key on first use; without it the answer is no.
            unsafe_allow_unsigned: accept an archive without any signature; recorded in ``trust``.
            allow_downgrade: accept a lower version than the highest trusted one.

        Raises:
            ArchiveError, ManifestError, IncompatibleAdapterError: the archive is bad.
            SignatureError: see its subclasses and ``TrustStore.admit``.
            BaseMismatchError: ``base_mismatch``, ``base_not_exact`` or ``base_missing``.
            AlreadyInstalledError: the same archive, or (``expert_version_conflict``) another one of that version.
            RegistryError: ``version_downgrade``.
        """
        options: dict[str, Any] = {"ask": ask, "unsafe_allow_unsigned": unsafe_allow_unsigned, "allow_downgrade": allow_downgrade}
        with typed_errors(self.root):
            installed: InstalledExpert = _judge().install(self, archive, bases, allow_missing_base=allow_missing_base, **options)
        return installed

    def settle(self, ref: ExpertRef | str, bases: Sequence[BaseRecord]) -> InstalledExpert:
        """Make the checks that were ``pending`` for want of the base model; an expert that is settled is left alone.

        Raises:
            BaseMismatchError, IncompatibleAdapterError: it is still not here, or does not fit; the expert stays pending.
        """
        expert = self.get(ref)
        if expert.base_match != "pending":
            return expert
        with typed_errors(self.root):
            settled: InstalledExpert = _judge().settle(self, expert, bases)
        return settled

    def uninstall(self, ref: ExpertRef | str) -> InstalledExpert:
        """Remove one version, the current one if ``ref`` has none; the last installed of the others becomes current.

        Rows go first, then the blobs that nothing needs any more: a crash in between leaves orphans, never a hole.

        Raises:
            ExpertNotFoundError: not installed.
        """
        expert = self.get(ref)
        with typed_errors(self.root):
            with self._database.writing() as connection:
                found = connection.execute(
                    "DELETE FROM expert WHERE namespace = ? AND name = ? AND version = ? AND identity = ?",
                    (*_key(expert.ref), expert.identity),
                )
                if not found.rowcount:
                    raise ExpertNotFoundError(f"{expert.ref} is not installed any more", hint="see `expert-kit list`")
                _elect_current(connection, expert.ref)
            self.collect(expert.digests())
        return expert

    def collect(self, candidates: Iterable[Digest] | None = None) -> None:
        """Remove the blobs that no row needs, among ``candidates`` or among all.

        The database is locked meanwhile. An install that has linked its blobs but not written its rows links them again
        under the same lock (:meth:`record`), so nothing is lost.
        """
        with typed_errors(self.root), self._database.writing() as connection:
            for digest in tuple(self.blobs.digests()) if candidates is None else candidates:
                if connection.execute(_USED, {"digest": digest}).fetchone() is None:
                    self.blobs.remove(digest)

    def record(
        self,
        expert: InstalledExpert,
        stage: Stage | None = None,
        *,
        healed: bool = False,
        allow_downgrade: bool = False,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Write the rows of an expert whose blobs are in place, in one transaction; for ``install.py``.

        Args:
            expert: replaces the row of the same identity.
            stage: links again what was collected since.
            healed: a blob was repaired, so that rows without a change are no error.
            allow_downgrade: see :meth:`install`.
            then: called when all rows are written; if it raises, they are taken back.
        """
        with self._database.writing() as connection:
            old = _stored(connection, expert.ref)
            check_conflict(expert, old)
            if old is None:
                check_downgrade(expert.ref, _highest(connection, expert.ref), allow_downgrade=allow_downgrade)
                _insert(connection, expert)
            elif not _update(connection, expert.after(old), old) and not healed:
                raise _already_installed(expert.ref)
            if stage is not None:
                stage.link_missing()
            if then is not None:
                then()

    def discard(self, digests: Iterable[Digest]) -> None:
        """Remove the blobs of an install that failed, as far as that is possible now."""
        with suppress(ExpertKitError):
            self.collect(digests)

    def _select(self, where: str, parameters: tuple[str, ...]) -> Experts:
        with typed_errors(self.root), self._database.reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(f"{_EXPERTS} {where} ORDER BY expert.namespace, expert.name, expert.id", parameters)
            return [_expert(connection, row) for row in rows.fetchall()]


def check_conflict(expert: InstalledExpert, old: InstalledExpert | None) -> None:
    """Refuse other content under an installed version.

    Raises:
        AlreadyInstalledError: ``expert_version_conflict``.
    """
    if old is not None and old.identity != expert.identity:
        raise AlreadyInstalledError(
            f"{expert.ref} is installed with other content: {old.identity}, this archive is {expert.identity}",
            hint=f"expert-kit uninstall {expert.ref}, if you want this archive instead",
            code="expert_version_conflict",
        )


def check_downgrade(ref: ExpertRef, highest: str | None, *, allow_downgrade: bool) -> None:
    """Refuse a version below the highest trusted one.

    Raises:
        RegistryError: ``version_downgrade``.
    """
    if allow_downgrade or highest is None or version_key(ref.version or "") >= version_key(highest):
        return
    raise RegistryError(
        f"{ref} is older than {highest}, which was installed here before",
        hint="an old version may have known faults; if you want it: --allow-downgrade",
        code="version_downgrade",
    )


def _judge() -> Any:
    # pydantic and cryptography come with this module, and reading what is installed must not pay for them.
    return importlib.import_module("expert_kit.registry.install")


def _key(ref: ExpertRef) -> tuple[str, str, str]:
    return ref.namespace, ref.name, ref.version or ""


def _expert(connection: sqlite3.Connection, row: sqlite3.Row) -> InstalledExpert:
    files = connection.execute("SELECT * FROM file WHERE expert = ? ORDER BY path", (row["id"],)).fetchall()
    return InstalledExpert.from_rows(dict(row), [dict(file) for file in files])


def _stored(connection: sqlite3.Connection, ref: ExpertRef) -> InstalledExpert | None:
    row = connection.execute(f"{_EXPERTS} WHERE expert.namespace = ? AND expert.name = ? AND expert.version = ?", _key(ref)).fetchone()
    return None if row is None else _expert(connection, row)


def _highest(connection: sqlite3.Connection, ref: ExpertRef) -> str | None:
    row = connection.execute("SELECT version FROM highest WHERE namespace = ? AND name = ?", (ref.namespace, ref.name)).fetchone()
    return None if row is None else str(row["version"])


def _insert(connection: sqlite3.Connection, expert: InstalledExpert) -> None:
    row = expert.to_row()
    columns = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    key = connection.execute(f"INSERT INTO expert ({columns}) VALUES ({marks})", row).lastrowid
    connection.executemany(
        "INSERT INTO file (expert, path, size, sha256, role) VALUES (?, ?, ?, ?, ?)",
        [(key, entry.path, entry.size, entry.sha256, entry.role) for entry in expert.files],
    )
    connection.execute("INSERT OR REPLACE INTO current VALUES (?, ?, ?)", (expert.ref.namespace, expert.ref.name, key))
    _raise_highest(connection, expert)


def _update(connection: sqlite3.Connection, expert: InstalledExpert, old: InstalledExpert) -> bool:
    """Change the columns that a later install of the same content may change; False if they are as they were."""
    names = ("trust", "signers", "warnings", "base", "base_match", "adapter", "weights", "signatures")
    before, after = old.to_row(), expert.to_row()
    changes = {name: after[name] for name in names if after[name] != before[name]}
    if not changes:
        return False
    assignments = ", ".join(f"{name} = :{name}" for name in changes)
    connection.execute(f"UPDATE expert SET {assignments} WHERE identity = :identity", {**changes, "identity": expert.identity})
    _raise_highest(connection, expert)
    return True


def _raise_highest(connection: sqlite3.Connection, expert: InstalledExpert) -> None:
    highest = _highest(connection, expert.ref)
    if expert.trust == "signed" and (highest is None or version_key(expert.ref.version or "") > version_key(highest)):
        connection.execute("INSERT OR REPLACE INTO highest VALUES (?, ?, ?)", _key(expert.ref))


def _elect_current(connection: sqlite3.Connection, ref: ExpertRef) -> None:
    connection.execute(
        """INSERT OR IGNORE INTO current SELECT namespace, name, id FROM expert
        WHERE namespace = ? AND name = ? ORDER BY id DESC LIMIT 1""",
        (ref.namespace, ref.name),
    )


def _already_installed(ref: ExpertRef) -> AlreadyInstalledError:
    return AlreadyInstalledError(f"{ref} is installed, and its files are sound", hint=f"nothing to do; see `expert-kit list`, or use {ref}")
