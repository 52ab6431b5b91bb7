"""What is installed, looked up and read: the load path, which imports the standard library only."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from expert_kit.errors import CapacityError, ExpertKitError, RegistryError, SignatureError
from expert_kit.names import Digest, ExpertRef
from expert_kit.registry import dependents, history, leases, rows, search
from expert_kit.registry.blobs import BlobStore
from expert_kit.registry.database import Database
from expert_kit.registry.faults import typed_errors
from expert_kit.registry.history import Change
from expert_kit.registry.paths import home, registry_dir
from expert_kit.registry.records import InstalledExpert, RoutingExample, Standing
from expert_kit.registry.refusals import not_installed
from expert_kit.registry.revocations import check_revoked, listed_publishers
from expert_kit.registry.search import Query, Summary

Experts = list[InstalledExpert]
Examples = list[RoutingExample]
Changes = list[Change]
Summaries = list[Summary]
Standings = list[Standing]
Refs = list[ExpertRef]

_log = logging.getLogger(__name__)


class InstalledExperts:
    """Installed experts under one folder, to be read. Opening creates nothing.

    Every method raises ``RegistryError`` (``registry_read_only``, ``registry_busy``, ``registry_corrupt``,
    ``registry_schema_newer``, ``registry_io``) or ``CapacityError`` (``registry_disk_full``) when the files fail.
    """

    def __init__(self, root: Path, *, trust_home: Path | None = None) -> None:
        """Open the registry in ``root``; ``trust_home`` is the folder of ``trust.toml``, ``root`` if not given."""
        self.root = root
        self.trust_home = root if trust_home is None else trust_home
        self.blobs = BlobStore(root)
        self.database = Database(root / "registry.sqlite")

    @classmethod
    def default(cls) -> Self:
        """The user's registry, see ``paths.home``; ``trust.toml`` lies beside its folder."""
        return cls(registry_dir(), trust_home=home())

    def list(self) -> Experts:
        """Every installed version, withdrawn ones too, by name, the newest install last; from the rows alone, no blob is opened."""
        with typed_errors(self.root), self.database.reading() as connection:
            return [] if connection is None else rows.experts(connection)

    def find(self, query: Query) -> Summaries:
        """What fits the words and filters, a line each; fast with many experts."""
        with typed_errors(self.root), self.database.reading() as connection:
            return [] if connection is None else search.find(connection, query)

    def get(self, ref: ExpertRef | str) -> InstalledExpert:
        """The expert of that name: this version, or without a version the current one.

        Raises:
            ExpertNotFoundError: not installed; the hint says which versions are.
        """
        wanted = parse_ref(ref)
        return _chosen(wanted, self.versions(wanted))

    def names(self) -> Refs:
        """Every installed name, without versions."""
        with typed_errors(self.root), self.database.reading() as connection:
            return [] if connection is None else rows.names(connection)

    def versions(self, ref: ExpertRef) -> Experts:
        """Every installed version of this name, the newest install last; a version in ``ref`` is ignored."""
        with typed_errors(self.root), self.database.reading() as connection:
            return [] if connection is None else rows.versions(connection, ref)

    def dependents(self, ref: ExpertRef | str) -> Experts:
        """The installed experts that say they need this name, in whatever version; by name."""
        with typed_errors(self.root), self.database.reading() as connection:
            return [] if connection is None else dependents.dependents(connection, parse_ref(ref))

    def history(self, ref: ExpertRef | str) -> Changes:
        """Which versions of this name were current, the newest last; it goes on over an uninstall."""
        with typed_errors(self.root), self.database.reading() as connection:
            return [] if connection is None else history.changes(connection, parse_ref(ref))

    def yanks(self) -> dict[ExpertRef, str]:
        """Every withdrawn version and the reason, installed or not."""
        with typed_errors(self.root), self.database.reading() as connection:
            return {} if connection is None else history.yanks(connection)

    def highest_trusted(self, ref: ExpertRef) -> str | None:
        """The highest version of this name that was ever installed with trusted signatures."""
        with typed_errors(self.root), self.database.reading() as connection:
            return None if connection is None else rows.highest(connection, ref)

    def standings(self) -> tuple[Standings, dict[str, str]]:
        """Every installed version as others depend on it, and :meth:`highest_trusted` by full name; one snapshot."""
        with typed_errors(self.root), self.database.reading() as connection:
            return ([], {}) if connection is None else (rows.standings(connection), rows.all_highest(connection))

    def read(self, digest: Digest) -> bytes:
        """Bytes of an installed file; exactly these bytes were hashed just now.

        Raises:
            BlobDigestError: the blob is missing or damaged.
        """
        return self.blobs.read(digest)

    def read_weights(self, expert: InstalledExpert) -> memoryview:
        """The tensors' file, as :meth:`read`, in memory that belongs to the caller; the faster way to megabytes.

        Raises:
            BlobDigestError: see :meth:`read`.
        """
        return self.blobs.read_apart(expert.weights.sha256)

    def check_revoked(self, expert: InstalledExpert) -> None:
        """Refuse an expert that its publisher has taken back since it was installed; call it wherever one is loaded.

        Raises:
            RevokedError: ``package_revoked`` or ``signature_key_revoked``.
        """
        check_revoked(self.trust_home, expert)

    def revoked(self) -> frozenset[Digest]:
        """Identities of the installed versions that :meth:`check_revoked` refuses, or that it cannot judge for a damaged list."""
        concerned = listed_publishers(self.trust_home)
        experts = [expert for expert in self.list() if expert.ref.namespace in concerned] if concerned else []
        return frozenset(expert.identity for expert in experts if self._is_revoked(expert))

    def _is_revoked(self, expert: InstalledExpert) -> bool:
        try:
            self.check_revoked(expert)
        except SignatureError:
            return True
        return False

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

    @contextmanager
    def lease(self, *refs: ExpertRef | str, seconds: float = leases.SECONDS) -> Iterator[tuple[InstalledExpert, ...]]:
        """The experts of these names, as :meth:`get`; their blobs stay until the end of the ``with``, whoever uninstalls them.

        Args:
            refs: all are found in one snapshot.
            seconds: for a process that dies or hangs inside; after that the blobs are protected no longer.

        Raises:
            ExpertNotFoundError: see :meth:`get`.
        """
        experts, token = self._take_lease([parse_ref(ref) for ref in refs], seconds)
        try:
            yield experts
        finally:
            with suppress(ExpertKitError), typed_errors(self.root), self.database.writing(durable=False) as connection:
                leases.give_back(connection, token)

    def _take_lease(self, wanted: Sequence[ExpertRef], seconds: float) -> tuple[tuple[InstalledExpert, ...], str]:
        try:
            with typed_errors(self.root), self.database.writing(durable=False) as connection:
                experts = tuple(_chosen(ref, rows.versions(connection, ref)) for ref in wanted)
                return experts, leases.take(connection, (digest for expert in experts for digest in expert.digests()), seconds)
        except (RegistryError, CapacityError) as error:
            # A full disk or a store that is only to be read is no reason not to read.
            _log.debug("no lease in %s: %s", self.root, error.code)
        return tuple(self.get(ref) for ref in wanted), ""


def parse_ref(ref: ExpertRef | str) -> ExpertRef:
    """A name as it is written, or parsed already."""
    return ExpertRef.parse(ref) if isinstance(ref, str) else ref


def _chosen(wanted: ExpertRef, versions: Experts) -> InstalledExpert:
    for expert in versions:
        if expert.current if wanted.version is None else expert.ref.version == wanted.version:
            return expert
    raise not_installed(wanted, versions)
