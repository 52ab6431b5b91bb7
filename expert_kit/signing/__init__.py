"""Signs bytes, verifies bytes, decides whom to trust.

This room knows nothing about archives or experts: a statement is bytes, a name is a string ``ns/name``. Publishers' roots
are in ``rotation`` and ``update``, which are not imported here: they need ``tuf``.
"""

from __future__ import annotations

from expert_kit.signing.attestations import PREDICATES, Attestation, add_attestation, attest, open_attestations
from expert_kit.signing.envelope import add_line, merge_lines, sign, split_lines, verified_signers, verify_line
from expert_kit.signing.keyring import KeyInfo, find_key, find_public_key, identify, list_keys, new_key
from expert_kit.signing.keys import KEY_TYPES, PrivateKey, PublicKey, key_id, load_private_key, load_public_key, public_pem
from expert_kit.signing.trust import Admission, FirstUse, Policy, TrustStore

__all__ = [
    "KEY_TYPES",
    "PREDICATES",
    "Admission",
    "Attestation",
    "FirstUse",
    "KeyInfo",
    "Policy",
    "PrivateKey",
    "PublicKey",
    "TrustStore",
    "add_attestation",
    "add_line",
    "attest",
    "find_key",
    "find_public_key",
    "identify",
    "key_id",
    "list_keys",
    "load_private_key",
    "load_public_key",
    "merge_lines",
    "new_key",
    "open_attestations",
    "public_pem",
    "sign",
    "split_lines",
    "verified_signers",
    "verify_line",
]
