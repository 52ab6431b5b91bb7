"""Signs bytes, verifies bytes, decides whom to trust.

This room knows nothing about archives or experts: a statement is bytes, a name is a string ``ns/name``.
"""

from __future__ import annotations

from expert_kit.signing.envelope import add_line, sign, split_lines, verified_signers, verify_line
from expert_kit.signing.keys import (
    KEY_TYPES,
    KeyInfo,
    PrivateKey,
    PublicKey,
    find_key,
    identify,
    key_id,
    list_keys,
    load_private_key,
    load_public_key,
    new_key,
    public_pem,
)
from expert_kit.signing.trust import Admission, FirstUse, Policy, TrustStore

__all__ = [
    "KEY_TYPES",
    "Admission",
    "FirstUse",
    "KeyInfo",
    "Policy",
    "PrivateKey",
    "PublicKey",
    "TrustStore",
    "add_line",
    "find_key",
    "identify",
    "key_id",
    "list_keys",
    "load_private_key",
    "load_public_key",
    "new_key",
    "public_pem",
    "sign",
    "split_lines",
    "verified_signers",
    "verify_line",
]
