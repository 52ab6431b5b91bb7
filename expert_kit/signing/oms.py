"""Model folders of other tools: signed and verified as OpenSSF Model Signing (OMS) v1.0 says.

Apart from the room's ``__init__``, and never used for archives, whose statement is rebuilt and compared (``envelope.py``).
A foreign statement cannot be rebuilt, so here its payload is read once its signature verified, and readers are
tolerant where the text of OMS is: JSON in any spelling, no ``keyid``, no ``hint``, no ``tlogEntries``, resources in any order.

Not read: certificates and Sigstore bundles, shards, hashes other than SHA-256, curves other than P-256, links, and the
digests predicate from before v1.0.

Source: OpenSSF Model Signing v1.0; model_signing 1.1 for what is tolerated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from expert_kit.errors import SignatureError
from expert_kit.signing.canonical import parse_free
from expert_kit.signing.envelope import MEDIA_TYPE, PAYLOAD_TYPE, pae, sign
from expert_kit.signing.keys import PrivateKey, PublicKey, public_pem

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
GIT_PATHS: Final = (".git", ".gitattributes", ".github", ".gitignore")
"""Ignored in every folder, as the upstream tool does."""


@dataclass(frozen=True)
class SignedFolder:
    """What a signature says that verified and that the folder agrees with."""

    name: str
    """Of the model, as the signer called it."""
    files: Mapping[str, str]
    """SHA-256 by path."""
    ignored: tuple[str, ...]
    """Paths that the signature does not cover."""


def sign_folder(folder: Path, key: PrivateKey, ignore: Iterable[str] = ()) -> bytes:
    """The bundle over all files of a folder, without a line end.

    Args:
        folder: of regular files and folders.
        key: P-256 if the upstream tool is to verify it.
        ignore: relative paths of files or folders that are left out, beside :data:`GIT_PATHS`.

    Raises:
        SignatureError: ``oms_folder``, a link or a special file, or nothing to sign.
    """
    ignored = tuple(sorted({*GIT_PATHS, *(_safe(path) for path in ignore)}))
    digests = _hash(folder, ignored)
    if not digests:
        raise _folder(f"{folder} has no files to sign")
    resources = [{"name": name, "algorithm": "sha256", "digest": digests[name]} for name in sorted(digests)]
    serialization = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": list(ignored)}
    statement: dict[str, Any] = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": folder.resolve().name, "digest": {"sha256": _root(resources)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"serialization": serialization, "resources": resources},
    }
    try:
        return sign(rfc8785.dumps(statement), key)
    except rfc8785.CanonicalizationError as error:
        raise _folder(f"{folder} has a file whose name is no Unicode text") from error


def verify_folder(folder: Path, bundle: bytes, key: PublicKey) -> SignedFolder:
    """Check that the key signed exactly what the folder holds.

    Args:
        folder: every file in it must be signed, but those that the signature itself says to ignore.
        bundle: a Sigstore bundle, see the module's text.
        key: whom to believe; nothing in the bundle is.

    Raises:
        SignatureError: ``signature_invalid``, ``signature_malformed``, ``signature_kind``; ``oms_unsupported``; ``oms_folder``;
            ``oms_mismatch``, files were changed, added or removed.
    """
    signed = _read_statement(_verified_payload(bundle, key))
    present = _hash(folder, signed.ignored)
    changes = [f"changed: {name}" for name in sorted(present) if signed.files.get(name, present[name]) != present[name]]
    changes += [f"not signed: {name}" for name in sorted(set(present) - set(signed.files))]
    changes += [f"missing: {name}" for name in sorted(set(signed.files) - set(present))]
    if changes:
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        message = f"{folder} is not what was signed: {'; '.join(changes[:5])}{more}"
        raise SignatureError(message, hint="fetch the folder again, or ask its publisher", code="oms_mismatch")
    return signed


def _verified_payload(bundle: bytes, key: PublicKey) -> bytes:
    try:
        value = parse_free(bundle)
        envelope, material = value["dsseEnvelope"], value["verificationMaterial"]
        kind, payload_type = value["mediaType"], envelope["payloadType"]
        payload, (entry,) = _bytes(envelope["payload"]), envelope["signatures"]
        signature, hint = _bytes(entry["sig"]), material.get("publicKey", {}).get("hint")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _malformed("not a Sigstore bundle with one signature") from error
    if kind != MEDIA_TYPE or payload_type != PAYLOAD_TYPE or "publicKey" not in material:
        hint_text = "bundles with certificates: use the tool model_signing"
        raise SignatureError("a bundle of another kind than one signed with a key", hint=hint_text, code="signature_kind")
    if hint and hint != hashlib.sha256(public_pem(key)).hexdigest():
        raise SignatureError("signed with another key than this one", hint="ask the publisher for the right public key")
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, pae(payload_type, payload))
        else:
            key.verify(signature, pae(payload_type, payload), ECDSA(SHA256()))
    except InvalidSignature as error:
        raise SignatureError("the signature does not verify", hint="fetch the signature again, or ask the publisher") from error
    return payload


def _read_statement(payload: bytes) -> SignedFolder:
    try:
        statement = parse_free(payload)
        if (statement["_type"], statement["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
            raise _unsupported(f"the predicate {statement['predicateType']!r:.80}")
        (subject,) = statement["subject"]
        serialization, resources = statement["predicate"]["serialization"], statement["predicate"]["resources"]
        if (serialization["method"], serialization["hash_type"]) != ("files", "sha256"):
            raise _unsupported("hashing by shards, or another hash than SHA-256")
        files = {_safe(one["name"]): _digest(one) for one in resources}
        ignored = tuple(sorted({*GIT_PATHS, *(_safe(path) for path in serialization.get("ignore_paths", []))}))
        if len(files) != len(resources) or not files:
            raise ValueError("no file, or one twice")
        if subject["digest"]["sha256"] != _root(resources):
            raise ValueError("its root digest is not that of its files")
        return SignedFolder(str(subject["name"]), files, ignored)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _malformed(f"not an OMS statement ({error})") from error


def _hash(folder: Path, ignored: Iterable[str]) -> dict[str, str]:
    try:
        return dict(_hashes(folder, "", frozenset(ignored)))
    except OSError as error:
        raise _folder(f"cannot read {error.filename}: {error.strerror}") from error


def _hashes(folder: Path, prefix: str, ignored: frozenset[str]) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = prefix + entry.name
        if name in ignored:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _hashes(Path(entry.path), f"{name}/", ignored)
        elif entry.is_file(follow_symlinks=False):
            with Path(entry.path).open("rb") as file:
                yield name, hashlib.file_digest(file, "sha256").hexdigest()
        else:
            raise _folder(f"{entry.path} is a link or a special file")


def _root(resources: Iterable[Mapping[str, Any]]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()


def _digest(resource: Mapping[str, Any]) -> str:
    digest: str = resource["digest"]
    if resource["algorithm"] != "sha256" or len(bytes.fromhex(digest)) != 32 or digest != digest.lower():
        raise ValueError("a digest is no SHA-256")
    return digest


def _safe(text: str) -> str:
    """A relative path in its one spelling; ValueError for every other."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text:
        raise ValueError(f"the path {text!r} leads outside")
    return str(path)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("broken base64") from error


def _malformed(what: str) -> SignatureError:
    return SignatureError(f"malformed signature: {what}", hint="ask the publisher for a new one", code="signature_malformed")


def _unsupported(what: str) -> SignatureError:
    return SignatureError(f"{what} is not supported here", hint="use the tool model_signing", code="oms_unsupported")


def _folder(what: str) -> SignatureError:
    return SignatureError(what, hint="name a folder of regular files", code="oms_folder")
