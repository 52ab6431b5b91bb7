"""Several archives, installed together or not at all.

First every archive is judged, then all of them are written in one transaction. Until then nothing is changed, so that
one bad archive leaves what was installed before as it was. The readers stay open in between: what was judged is what is
written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from expert_kit.archive import ArchiveReader
from expert_kit.bases import BaseRecord
from expert_kit.errors import ArchiveError, RegistryError
from expert_kit.names import Digest, printable
from expert_kit.registry.faults import typed_errors
from expert_kit.registry.install import Ask, Judged, judge, store_all
from expert_kit.registry.plain_file import read_plain
from expert_kit.registry.probes import ProbeRunner
from expert_kit.registry.records import InstalledExpert
from expert_kit.registry.store import Registry
from expert_kit.signing import FirstUse

DETACHED_SUFFIX = ".sig"
MAX_DETACHED = 4 << 20
"""As much as the signatures inside an archive may take."""


@dataclass(frozen=True)
class Terms:
    """On which terms archives are let in; the fields mean what the arguments of ``Registry.install`` mean."""

    bases: Sequence[BaseRecord]
    allow_missing_base: bool = False
    ask: Ask | None = None
    unsafe_allow_unsigned: bool = False
    allow_downgrade: bool = False
    probe: ProbeRunner | None = None


class Batch:
    """One installation of one or more archives; to be used in a ``with``."""

    def __init__(self, registry: Registry, terms: Terms) -> None:
        self._registry, self._terms = registry, terms
        self._judged: list[Judged] = []
        self._answers: dict[tuple[str, str], bool] = {}
        self._asked_for: dict[str, int] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """The batch itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the archives."""
        self._open.close()

    def judge(self, archive: Path, identity: Digest | None = None) -> InstalledExpert:
        """Make every check of an install; the archive waits for :meth:`commit`.

        A detached signature ``<archive>.sig`` beside it counts like those inside.

        Args:
            archive: an ``.expert`` file.
            identity: the one that it was chosen for.

        Returns:
            What will be installed.

        Raises:
            ExpertKitError: as ``Registry.install``; ``archive_changed``, it has another identity.
        """
        terms = self._terms
        reader = self._open.enter_context(ArchiveReader.open(archive))
        if identity is not None and reader.manifest.identity != identity:
            raise ArchiveError(f"{printable(str(archive))} was changed while it was chosen", hint="try again", code="archive_changed")
        with typed_errors(self._registry.root):
            judged = judge(
                self._registry,
                reader,
                terms.bases,
                allow_missing_base=terms.allow_missing_base,
                ask=self._ask if terms.ask is not None else None,
                unsafe_allow_unsigned=terms.unsafe_allow_unsigned,
                allow_downgrade=terms.allow_downgrade,
                probe=terms.probe,
                detached=detached_lines(archive),
            )
        self._judged.append(judged)
        return judged.expert

    def commit(self) -> list[InstalledExpert]:
        """Write all that was judged, in that order: of several versions of a name the last one becomes current.

        Raises:
            AlreadyInstalledError: there is nothing to do for any of them. RegistryError, CapacityError: see ``Registry``;
                ``registry_changed``, somebody else was faster and the set does not fit any more.
        """
        with typed_errors(self._registry.root):
            store_all(self._registry, self._judged, allow_downgrade=self._terms.allow_downgrade, planned=True)
        return [self._registry.get(judged.expert.ref) for judged in self._judged]

    def _ask(self, use: FirstUse) -> bool:
        """One question per key and scope, however many archives it signed.

        Once a scope has its keys, another key is no first use any more, and that is never a question.
        """
        key, archive = (use.scope, use.key_id), len(self._judged)
        first = self._asked_for.setdefault(use.scope, archive) == archive
        if key not in self._answers and first and self._terms.ask is not None:
            self._answers[key] = self._terms.ask(use)
        return self._answers.get(key, False)


def detached_lines(archive: Path) -> bytes:
    """The lines of the ``.sig`` file beside an archive; empty if there is none.

    Raises:
        RegistryError: ``signature_file_unreadable``.
    """
    path = archive.with_name(archive.name + DETACHED_SUFFIX)
    try:
        return read_plain(path, MAX_DETACHED, follow=False)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _unreadable(path, error.strerror or "unreadable") from error


def _unreadable(path: Path, why: str) -> RegistryError:
    message = f"cannot read the detached signature {printable(str(path))}: {why}"
    return RegistryError(message, hint="remove it, or fetch it again", code="signature_file_unreadable")
