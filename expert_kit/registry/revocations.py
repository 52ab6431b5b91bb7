"""Whether an installed expert was revoked since; part of the load path, so the standard library alone.

The list was verified when it was accepted. Here it is only searched for the expert's identity and signers, which stand
in it letter by letter; what they mean is judged by ``signing`` once one of them is found.
"""

from __future__ import annotations

import base64
import importlib
import json
from pathlib import Path

from expert_kit.errors import RevokedError, SignatureError
from expert_kit.registry.records import InstalledExpert


def check_revoked(trust_home: Path, expert: InstalledExpert) -> None:
    """Refuse an expert that its publisher has taken back, or that is signed by keys which were.

    Raises:
        RevokedError: ``package_revoked``, ``signature_key_revoked``.
        SignatureError: ``trust_invalid``, the list is there but cannot be read.
    """
    path = _folder(trust_home) / f"{expert.ref.namespace}.jsonl"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise SignatureError(f"cannot read {path}: {error.strerror}", hint=f"check the owner of {path}", code="trust_invalid") from error
    if not _may_name(data, {expert.identity, *expert.signers}):
        return
    signing, dates = importlib.import_module("expert_kit.signing"), importlib.import_module("expert_kit.signing.dates")
    trust = signing.TrustStore(trust_home)
    try:
        trust.check_installed(expert.ref.full_name, expert.identity, expert.signers, dates.parse_moment(expert.installed_at))
    except RevokedError as error:
        # With its version: a name alone means the current one, which may be a good one.
        error.hint += f", and: expert-kit uninstall {expert.ref}"
        raise


def listed_publishers(trust_home: Path) -> frozenset[str]:
    """The publishers of whom there is a list here."""
    return frozenset(path.stem for path in _folder(trust_home).glob("*.jsonl"))


def _folder(trust_home: Path) -> Path:
    return trust_home / "trust" / "revocations"


def _may_name(data: bytes, digests: set[str]) -> bool:
    try:
        payload = base64.b64decode(json.loads(data.partition(b"\n")[0])["dsseEnvelope"]["payload"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        return True  # damaged: the full check says so
    return any(digest.encode() in payload for digest in digests)
