"""Candidates and installed experts as plain data, for the resolver: no archives, no keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expert_kit.bases import BaseFingerprint
from expert_kit.names import ExpertRef, sha256_digest
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.records import Standing
from tests.support.builders import tiny_base

Ranges = Mapping[str, str]


def candidate(ref: str, requires: Ranges | None = None, conflicts: Ranges | None = None, *, content: str = "", **fields: Any) -> Candidate:
    """An archive's candidate for the tiny base; another ``content`` gives another identity."""
    fields.setdefault("bases", (tiny_base().fingerprint,))
    fields.setdefault("path", Path(f"{ref.replace('/', '.')}.expert"))
    return Candidate(ExpertRef.parse(ref), sha256_digest(f"{ref} {content}".encode()), requires or {}, conflicts or {}, **fields)


def installed(ref: str, requires: Ranges | None = None, conflicts: Ranges | None = None, *, content: str = "", **fields: Any) -> Standing:
    """The same as a row of the registry, current if nothing else is said."""
    fields.setdefault("current", True)
    identity = sha256_digest(f"{ref} {content}".encode())
    return Standing(ExpertRef.parse(ref), identity, requires=requires or {}, conflicts=conflicts or {}, **fields)


def other_base(base_id: str = "other") -> BaseFingerprint:
    """A base model that no expert of these tests fits."""
    return tiny_base(base_id, vocab_size=99, hf_repo="").fingerprint
