"""A folder of signed archives, as a publisher would offer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expert_kit.registry.archives import sign_archive
from expert_kit.signing import PrivateKey
from tests.support.builders import build_expert


@dataclass
class Shelf:
    """Archives in ``folder``, all signed by one key; their sources lie in ``work``."""

    folder: Path
    work: Path
    key: PrivateKey

    def put(
        self,
        name: str,
        version: str,
        *,
        experts: Mapping[str, str] | None = None,
        conflicts: Mapping[str, str] | None = None,
        tool: str = "",
        folder: Path | None = None,
        **source: Any,
    ) -> Path:
        """Add an archive; ``experts`` and ``tool`` are what it requires."""
        self.work.mkdir(parents=True, exist_ok=True)
        archive = build_expert(self.work, name=name, version=version, extra=_extra(experts or {}, conflicts or {}, tool), **source)
        sign_archive(archive, self.key)
        (folder or self.folder).mkdir(parents=True, exist_ok=True)
        return archive.rename((folder or self.folder) / archive.name)


def _extra(experts: Mapping[str, str], conflicts: Mapping[str, str], tool: str) -> str:
    lines = ["requires:"] if experts or tool else []
    lines += [f'  expert-kit: "{tool}"'] if tool else []
    lines += ["  experts:", *(f'    {name}: "{text}"' for name, text in experts.items())] if experts else []
    lines += ["conflicts:", *(f'  {name}: "{text}"' for name, text in conflicts.items())] if conflicts else []
    return "".join(f"{line}\n" for line in lines)
