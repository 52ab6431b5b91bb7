"""Signatures and attestations of an archive against the policy of its name, before anything else in it is acted on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from expert_kit.archive import ATTESTATIONS, ArchiveReader
from expert_kit.errors import SignatureError, UnsignedError
from expert_kit.manifest import statement_bytes
from expert_kit.names import sha256_digest
from expert_kit.registry.records import FileEntry
from expert_kit.signing import Admission, TrustStore, merge_lines, open_attestations, verified_signers
from expert_kit.signing.admission import Ask

ATTESTATION_ROLE = "attestation"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Admitted:
    """What may come in."""

    admission: Admission
    lines: bytes
    """Signature lines, those of a detached file among them."""
    attestations: Mapping[str, bytes] = field(default_factory=dict)
    """Bodies of the members with attestations, whose signatures were checked."""

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """The attestations as files."""
        return tuple(FileEntry(name, len(body), sha256_digest(body), ATTESTATION_ROLE) for name, body in self.attestations.items())


def admit(
    reader: ArchiveReader,
    trust: TrustStore,
    known: Sequence[str],
    *,
    ask: Ask | None,
    unsafe_allow_unsigned: bool = False,
    detached: bytes = b"",
    trial: bool = False,
) -> Admitted:
    """Decide whether the archive may come in; content is not looked at.

    Args:
        reader: an open archive.
        trust: the policies.
        known: key ids that signed what is installed under this name.
        ask: see ``TrustStore.admit``.
        unsafe_allow_unsigned: the user takes an archive without any signature.
        detached: lines of a ``.sig`` file, which count like those inside.
        trial: nothing comes in yet, so nobody is warned.

    Raises:
        SignatureError, CheckUnavailableError: see ``TrustStore.admit``.
    """
    ref = reader.manifest.ref
    policy = trust.policy_for(ref.full_name)
    if policy.level == "skip":
        return Admitted(trust.admit(ref.full_name, ()), reader.signatures_bytes)
    try:
        lines, members = merge_lines(reader.signatures_bytes, detached), attestation_members(reader)
        attestations = open_attestations(members.values(), sha256_digest(reader.manifest_bytes))
        unsigned = not lines and unsafe_allow_unsigned
        signers = () if unsigned else verified_signers(lines, statement_bytes(reader.manifest))
    except SignatureError as error:
        if policy.level == "audit":
            _log.log(logging.DEBUG if trial else logging.WARNING, "%s: audit only, %s", ref.full_name, error.code)
            return Admitted(Admission(policy, (), warnings=(error.code,), origin="audit"), reader.signatures_bytes)
        raise _unsigned(str(ref)) if isinstance(error, UnsignedError) else error.about(str(ref)) from error
    if unsigned and not trial:
        _log.warning("%s: installed without a signature", ref.full_name)
    admission = trust.admit(
        ref.full_name,
        signers,
        known=known,
        ask=ask,
        identity=sha256_digest(reader.manifest_bytes),
        attestations=attestations,
        unsigned=unsigned,
        trial=trial,
    )
    return Admitted(admission, lines, members)


def attestation_members(reader: ArchiveReader) -> dict[str, bytes]:
    """Bodies of ``META/attestations/*.jsonl``, by name."""
    return {name: body for name, body in reader.meta.items() if name.startswith(ATTESTATIONS)}


def _unsigned(label: str) -> UnsignedError:
    return UnsignedError(
        f"{label} has no signature",
        hint="ask the publisher for a signed archive; one that you made yourself: `expert-kit sign FILE --key NAME`;"
        " to install it all the same: --unsafe-allow-unsigned",
    )
