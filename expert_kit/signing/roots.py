"""A publisher's root as it was accepted: which keys may sign, until when.

The file ``trust/roots/<publisher>/<version>.root.json`` is TUF root metadata, whose signatures and succession were
checked by ``rotation.py`` before it came here. So reading it needs no TUF library. Its ``root`` role signs the next root
and revocation lists; its ``targets`` role signs packages.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from expert_kit.errors import CheckUnavailableError, SignatureError
from expert_kit.signing.dates import parse_moment
from expert_kit.signing.files import read_own_file, write_own_file

PUBLISHER_FIELD: Final = "x-expert-kit-publisher"
MAX_ROOT: Final = 512_000
NAMESPACE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SUFFIX = ".root.json"


@dataclass(frozen=True)
class RoleKeys:
    """Who may act, and how many of them it takes."""

    keys: tuple[str, ...]
    """Fingerprints."""
    threshold: int

    def count(self, signers: tuple[str, ...]) -> int:
        """How many of the signers may act."""
        return len(set(self.keys) & set(signers))


@dataclass(frozen=True)
class TrustedRoot:
    """One version of a publisher's root."""

    publisher: str
    version: int
    expires: datetime
    root: RoleKeys
    """Signs the next root and revocation lists."""
    targets: RoleKeys
    """Signs packages."""

    @classmethod
    def read(cls, data: bytes) -> TrustedRoot:
        """Take what an accepted file says; KeyError, TypeError or ValueError if it is no such file."""
        signed = json.loads(data)["signed"]
        return cls(
            signed[PUBLISHER_FIELD],
            signed["version"],
            parse_moment(signed["expires"]),
            _role(signed["roles"]["root"]),
            _role(signed["roles"]["targets"]),
        )


class RootStore:
    """The accepted roots of every publisher, all versions from the first trusted one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self, publisher: str, anchor: str) -> tuple[TrustedRoot, bytes]:
        """The latest root of the chain that begins with ``anchor``, and its bytes.

        Args:
            publisher: the namespace.
            anchor: digest of the first trusted root, as ``trust.toml`` has it.

        Raises:
            CheckUnavailableError: ``trust_root_missing``, it is not here.
            SignatureError: ``trust_invalid``, what is here is damaged.
        """
        files = self._files(publisher)
        if not files or root_digest(read_own_file(files[0], MAX_ROOT)) != anchor:
            raise CheckUnavailableError(
                f"the root {anchor} of {publisher} is not here, so its keys are not known",
                hint=f"get root.json from {publisher}, then: expert-kit trust add FILE --scope '{publisher}/*'",
                code="trust_root_missing",
            )
        data = read_own_file(files[-1], MAX_ROOT)
        try:
            return TrustedRoot.read(data), data
        except (ValueError, KeyError, TypeError) as error:
            hint = f"remove the file, then: expert-kit trust update {files[-1].name}"
            raise SignatureError(f"{files[-1]} is damaged", hint=hint, code="trust_invalid") from error

    def start(self, publisher: str, version: int, data: bytes) -> str:
        """Keep a first root in place of all others of the publisher; returns the anchor."""
        for old in self._files(publisher):
            old.unlink()
        self.add(publisher, version, data)
        return root_digest(data)

    def add(self, publisher: str, version: int, data: bytes) -> None:
        """Keep the next root."""
        write_own_file(self.folder / publisher / f"{version}{_SUFFIX}", data)

    def publishers(self) -> Iterator[str]:
        """Everyone of whom there is a root."""
        yield from sorted(path.name for path in self.folder.glob("*") if self._files(path.name))

    def _files(self, publisher: str) -> list[Path]:
        found = (self.folder / publisher).glob(f"*{_SUFFIX}") if NAMESPACE.fullmatch(publisher) else ()
        numbered = {path.name.removesuffix(_SUFFIX): path for path in found}
        return [numbered[name] for name in sorted((name for name in numbered if name.isdigit()), key=int)]


def root_digest(data: bytes) -> str:
    """The digest that a person compares before the first use."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _role(role: dict[str, Any]) -> RoleKeys:
    return RoleKeys(tuple(f"sha256:{keyid}" for keyid in role["keyids"]), role["threshold"])
