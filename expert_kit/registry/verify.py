"""Whether what is installed would be let in again today: bytes, signatures, policy, revocations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from expert_kit.errors import CheckUnavailableError, ExpertKitError
from expert_kit.manifest import Manifest, statement_bytes
from expert_kit.registry.records import InstalledExpert
from expert_kit.registry.store import Registry
from expert_kit.signing import Attestation, TrustStore, open_attestations, verified_signers

SOUND, WARNING, UNCHECKED, REFUSED = "sound", "warning", "unchecked", "refused"


@dataclass(frozen=True)
class Verdict:
    """The answer for one installed version."""

    expert: str
    state: str
    """``sound``, ``warning``, ``unchecked`` (not known to be bad, but could not be checked) or ``refused``."""
    codes: tuple[str, ...]
    """Why; empty if sound."""
    message: str = ""
    next: str = ""
    """The next step."""
    signers: tuple[str, ...] = ()
    """Those that are trusted for the name today."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "codes": list(self.codes), "signers": list(self.signers)}


def verify_installed(registry: Registry, expert: InstalledExpert) -> Verdict:
    """Check an installed version from its stored bytes. Nobody is asked, nothing is changed."""
    try:
        for digest in sorted(expert.digests()):
            registry.read(digest)
        registry.check_revoked(expert)
        return _judge(registry, expert)
    except CheckUnavailableError as error:
        return Verdict(str(expert.ref), UNCHECKED, (error.code,), error.message, error.hint)
    except ExpertKitError as error:
        return Verdict(str(expert.ref), REFUSED, (error.code,), error.message, error.hint)


def attestations_of(registry: Registry, expert: InstalledExpert) -> tuple[Attestation, ...]:
    """The attestations that were installed with an expert, checked again.

    Raises:
        BlobDigestError: a blob is damaged. SignatureError: see ``open_attestations``.
    """
    bodies = [registry.read(entry.sha256) for entry in expert.files if entry.role == "attestation"]
    return open_attestations(bodies, expert.identity)


def _judge(registry: Registry, expert: InstalledExpert) -> Verdict:
    trust, full_name = TrustStore(registry.trust_home), expert.ref.full_name
    if trust.policy_for(full_name).level == "skip":
        return Verdict(str(expert.ref), WARNING, ("signature_skipped",))
    unsigned = expert.signatures is None and expert.trust == "unsigned"
    lines = registry.read(expert.signatures) if expert.signatures else b""
    signers = () if unsigned else verified_signers(lines, statement_bytes(Manifest.parse(registry.read(expert.identity))))
    admission = trust.admit(full_name, signers, identity=expert.identity, attestations=attestations_of(registry, expert), unsigned=unsigned)
    return Verdict(str(expert.ref), WARNING if admission.warnings else SOUND, admission.warnings, signers=admission.signers)
