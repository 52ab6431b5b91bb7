"""The registry: rows in SQLite, bytes in the content-addressed store; here is what changes them.

What reads them is in ``reading.py``; ``install.py`` has the rest of an install and is imported when one begins.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expert_kit.bases import BaseRecord
from expert_kit.errors import ExpertKitError, ExpertNotFoundError, RegistryError, UsageError
from expert_kit.names import Digest, ExpertRef
from expert_kit.registry import dependents, gc, history, rows
from expert_kit.registry.blobs import Stage
from expert_kit.registry.faults import typed_errors
from expert_kit.registry.gc import Garbage
from expert_kit.registry.history import make_current
from expert_kit.registry.reading import InstalledExperts, parse_ref
from expert_kit.registry.records import InstalledExpert
from expert_kit.registry.refusals import (
    already_installed,
    check_conflict,
    check_downgrade,
    needed,
    no_longer_fitting,
    no_way_back,
    which_version,
    would_break,
)

if TYPE_CHECKING:
    from expert_kit.registry.probes import ProbeRunner
    from expert_kit.signing import FirstUse


class Registry(InstalledExperts):
    """The same, to be changed; the first install creates the folder."""

    def install(
        self,
        archive: Path,
        *,
        bases: Sequence[BaseRecord],
        allow_missing_base: bool = False,
        ask: Callable[[FirstUse], bool] | None = None,
        unsafe_allow_unsigned: bool = False,
        allow_downgrade: bool = False,
        probe: ProbeRunner | None = None,
        detached: bytes = b"",
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
            probe: measures what the adapter does on the base model here; without it that is left to the first load.
            detached: lines of a ``.sig`` file, which count like those in the archive.

        Raises:
            ArchiveError, ManifestError, IncompatibleAdapterError: the archive is bad.
            SignatureError: see its subclasses and ``TrustStore.admit``.
            BaseMismatchError: ``base_mismatch``, ``base_not_exact`` or ``base_missing``.
            AlreadyInstalledError: the same archive, or (``expert_version_conflict``) another one of that version.
            RegistryError: ``version_downgrade``.
        """
        options: dict[str, Any] = {"ask": ask, "unsafe_allow_unsigned": unsafe_allow_unsigned, "allow_downgrade": allow_downgrade}
        options |= {"probe": probe, "detached": detached}
        with typed_errors(self.root):
            installed: InstalledExpert = _judge().install(self, archive, bases, allow_missing_base=allow_missing_base, **options)
        return installed

    def settle(self, ref: ExpertRef | str, bases: Sequence[BaseRecord], *, probe: ProbeRunner | None = None) -> InstalledExpert:
        """Make the checks that were ``pending`` for want of the base model; an expert that is settled is left alone.

        Raises:
            BaseMismatchError, IncompatibleAdapterError: it is still not here, or does not fit; the expert stays pending.
        """
        expert = self.get(ref)
        if expert.base_match != "pending":
            return expert
        with typed_errors(self.root):
            settled: InstalledExpert = _judge().settle(self, expert, bases, probe)
        return settled

    def uninstall(self, ref: ExpertRef | str, *, force: bool = False) -> InstalledExpert:
        """Remove one version, the current one if ``ref`` has none; the one that was current before becomes current.

        Rows go first, then the blobs that nothing needs any more: a crash in between leaves orphans, never a hole.

        Args:
            ref: see :meth:`get`.
            force: remove it although installed experts need it.

        Raises:
            ExpertNotFoundError: not installed. RegistryError: ``expert_needed``, others would be left without it.
        """
        expert = self.get(ref)
        barred = self._revoked_versions(expert.ref)
        with typed_errors(self.root):
            with self.database.writing() as connection:
                left = () if force else dependents.left_without(connection, expert.ref)
                if left:
                    raise needed(expert.ref, left)
                if not rows.delete(connection, expert):
                    raise ExpertNotFoundError(f"{expert.ref} is not installed any more", hint="see `expert-kit list`")
                history.elect_current(connection, expert.ref, barred=barred)
            self.collect(expert.digests())
        return expert

    def rollback(self, ref: ExpertRef | str, *, force: bool = False) -> InstalledExpert:
        """Let a name mean the version that was current before, among those installed and not withdrawn; in one transaction.

        Args:
            ref: without a version.
            force: although installed experts need what it means now, or cannot stand beside what it meant before.

        Returns:
            The version that is current now.

        Raises:
            ExpertNotFoundError: not installed. UsageError: ``rollback_version``, the name has a version.
            RegistryError: ``rollback_none``, there is no such version; ``rollback_breaks``, others would not fit any more.
        """
        name = parse_ref(ref)
        if name.version is not None:
            hint = f"expert-kit rollback {name.full_name} goes back to the version that was current before"
            raise UsageError(f"a rollback takes a name without a version, not {name}", hint=hint, code="rollback_version")
        with typed_errors(self.root):
            present = self.get(name)
            barred = self._revoked_versions(name)
            with self.database.writing() as connection:
                before = dependents.unmet(connection)
                target = history.go_back(connection, name, barred)
                if not force and (worse := set(dependents.unmet(connection)).difference(before)):
                    raise would_break(name, min(worse, key=str))
            if target is None:
                raise no_way_back(present.ref, self.versions(name))
        return self.get(target)

    def use(self, ref: ExpertRef | str, *, force: bool = False) -> tuple[ExpertRef, InstalledExpert]:
        """Let a name mean this installed version, be it older or newer; in one transaction.

        Args:
            ref: with a version; a withdrawn one was asked for, and may be used.
            force: although installed experts do not fit it.

        Returns:
            What was current before, and what is current now.

        Raises:
            UsageError: ``use_version``, no version is given. ExpertNotFoundError: it is not installed.
            RevokedError: see :meth:`check_revoked`. RegistryError: ``rollback_breaks``, others would not fit any more.
        """
        wanted = parse_ref(ref)
        versions = self.versions(wanted)
        if wanted.version is None:
            raise which_version(wanted, versions)
        self.check_revoked(self.get(wanted))
        before = next((expert.ref for expert in versions if expert.current), wanted)
        with typed_errors(self.root), self.database.writing() as connection:
            unmet = dependents.unmet(connection)
            history.choose(connection, wanted)
            if not force and (worse := set(dependents.unmet(connection)).difference(unmet)):
                raise would_break(wanted, min(worse, key=str))
        return before, self.get(wanted)

    def _revoked_versions(self, name: ExpertRef) -> list[str]:
        return [str(expert.ref.version) for expert in self.versions(name) if self._is_revoked(expert)]

    def yank(self, ref: ExpertRef | str, reason: str) -> ExpertRef:
        """Withdraw a version: nothing picks it by itself any more; by its name and version it still loads, with a warning.

        Args:
            ref: without a version, the current one. With one it need not be installed.
            reason: shown whenever the version is used.

        Raises:
            ExpertNotFoundError: no version was given and none is installed.
        """
        pinned = self._pinned(ref)
        with typed_errors(self.root), self.database.writing() as connection:
            history.yank(connection, pinned, reason)
        return pinned

    def unyank(self, ref: ExpertRef | str) -> ExpertRef:
        """Take a withdrawal back.

        Raises:
            ExpertNotFoundError: see :meth:`yank`. RegistryError: ``expert_not_yanked``.
        """
        pinned = self._pinned(ref)
        with typed_errors(self.root), self.database.writing() as connection:
            if not history.unyank(connection, pinned):
                raise RegistryError(f"{pinned} is not withdrawn", hint="see `expert-kit list --all`", code="expert_not_yanked")
        return pinned

    def collect(self, candidates: Iterable[Digest] | None = None) -> None:
        """Remove the blobs that no row and no reader needs, among ``candidates`` or among all; see ``gc.py``."""
        with typed_errors(self.root):
            gc.collect(self.database, self.blobs, gc.unused(self.database, self.blobs) if candidates is None else candidates)

    def collect_garbage(self, *, dry_run: bool = False) -> Garbage:
        """Remove the blobs that nothing needs and what dead installs left in staging, or with ``dry_run`` only count them."""
        with typed_errors(self.root):
            return gc.collect_garbage(self.database, self.blobs, dry_run=dry_run)

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
        self.record_all([(expert, healed)], stage, allow_downgrade=allow_downgrade, then=then)

    def record_all(
        self,
        experts: Sequence[tuple[InstalledExpert, bool]],
        stage: Stage | None = None,
        *,
        allow_downgrade: bool = False,
        planned: bool = False,
        then: Callable[[], None] | None = None,
    ) -> None:
        """The same for several experts, each with whether it was healed, in one transaction and in this order.

        ``planned``: the set was chosen so that everything fits together, and it has to be so still.

        Raises:
            AlreadyInstalledError: there was nothing to do for any of them; see also :meth:`install`.
            RegistryError: ``registry_changed``, a planned set does not fit any more.
        """
        with self.database.writing() as connection:
            before = dependents.unmet(connection) if planned else []
            changed = [self._record(connection, expert, allow_downgrade=allow_downgrade) or healed for expert, healed in experts]
            if not any(changed):
                raise already_installed(experts[0][0].ref)
            if planned and (worse := set(dependents.unmet(connection)).difference(before)):
                raise no_longer_fitting(min(worse, key=str))
            if stage is not None:
                stage.link_missing()
            if then is not None:
                then()

    def _record(self, connection: sqlite3.Connection, expert: InstalledExpert, *, allow_downgrade: bool) -> bool:
        """Write one row; False if nothing is different now."""
        old = rows.stored(connection, expert.ref)
        check_conflict(expert, old)
        if old is not None:
            return rows.update(connection, expert.after(old), old)
        check_downgrade(expert.ref, rows.highest(connection, expert.ref), allow_downgrade=allow_downgrade)
        make_current(connection, expert.ref, rows.insert(connection, expert), "install")
        return True

    def discard(self, digests: Iterable[Digest]) -> None:
        """Remove the blobs of an install that failed, as far as that is possible now."""
        with suppress(ExpertKitError):
            self.collect(digests)

    def _pinned(self, ref: ExpertRef | str) -> ExpertRef:
        wanted = parse_ref(ref)
        return wanted if wanted.version is not None else self.get(wanted).ref


def _judge() -> Any:
    # pydantic and cryptography come with this module, and reading what is installed must not pay for them.
    return importlib.import_module("expert_kit.registry.install")
