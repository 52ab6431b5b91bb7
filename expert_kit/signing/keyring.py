"""A user's own key pairs: one folder with ``<name>.pem`` (PKCS#8, mode 0600) and ``<name>.pub.pem``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from expert_kit.errors import KeyFileError
from expert_kit.signing.keys import KEY_TYPES, PublicKey, key_id, key_type_of, load_public_key, public_pem, read_key_file

_KEY_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class KeyInfo:
    """One of the user's own key pairs."""

    name: str
    key_id: str
    key_type: str
    """A key of ``KEY_TYPES``."""
    private_path: Path
    public_path: Path
    encrypted: bool
    """The private key asks for a passphrase."""


def new_key(folder: Path, name: str, key_type: str = "ed25519", passphrase: str | None = None) -> KeyInfo:
    """Make a key pair and write it to ``folder`` without ever overwriting a file.

    Raises:
        KeyFileError: the name or type is not allowed, the passphrase is empty, or a file of that name exists.
    """
    if not _KEY_NAME.fullmatch(name):
        hint = "for example: expert-kit keys new release"
        raise KeyFileError(f"key name {name!r}: use lower-case letters, digits and '-'", hint=hint, code="signature_key_name")
    if key_type not in KEY_TYPES:
        hint = "for example: expert-kit keys new release --type ed25519"
        raise KeyFileError(f"key type {key_type!r}: use one of {', '.join(KEY_TYPES)}", hint=hint, code="signature_key_type")
    key = KEY_TYPES[key_type]()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(passphrase))
    private_path, public_path = _paths(folder, name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_pair(private_path, pem, public_path, public_pem(key.public_key()))
    except FileExistsError as error:
        raise _key_exists(folder, name) from error
    except OSError as error:
        raise KeyFileError(f"cannot write a key to {folder}: {error.strerror}", hint="check the folder's owner and free space") from error
    return KeyInfo(name, key_id(key.public_key()), key_type, private_path, public_path, passphrase is not None)


def list_keys(folder: Path) -> list[KeyInfo]:
    """The key pairs in ``folder``, by name; a public key without its private file is left out."""
    names = [path.name.removesuffix(".pub.pem") for path in sorted(folder.glob("*.pub.pem"))] if folder.is_dir() else []
    return [_key_info(folder, name) for name in names if _paths(folder, name)[0].is_file()]


def find_key(folder: Path, name: str) -> KeyInfo:
    """The key pair of that name.

    Raises:
        KeyFileError: ``signature_key_unknown``, there is none; or its public key is refused.
    """
    if not _KEY_NAME.fullmatch(name) or not all(path.is_file() for path in _paths(folder, name)):
        raise KeyFileError(
            f"no key named {name!r} in {folder}",
            hint="list your keys with `expert-kit keys list`, or make one with `expert-kit keys new NAME`",
            code="signature_key_unknown",
        )
    return _key_info(folder, name)


def _key_info(folder: Path, name: str) -> KeyInfo:
    private_path, public_path = _paths(folder, name)
    public = load_public_key(read_key_file(public_path))
    encrypted = b"ENCRYPTED PRIVATE KEY" in read_key_file(private_path)
    return KeyInfo(name, key_id(public), key_type_of(public), private_path, public_path, encrypted)


def identify(text: str, folder: Path) -> str:
    """The fingerprint that a user means by ``text``.

    Args:
        text: a fingerprint, the name of an own key in ``folder``, or the path of a public key PEM file.
        folder: the user's key folder.

    Raises:
        KeyFileError: it is none of the three; the message says what was looked for.
    """
    return text if _FINGERPRINT.fullmatch(text) else key_id(find_public_key(text, folder))


def find_public_key(text: str, folder: Path) -> PublicKey:
    """The public key that a user means by ``text``: the name of an own key in ``folder``, or the path of a PEM file.

    Raises:
        KeyFileError: ``signature_key_unknown``, it is neither; or the key is refused.
    """
    own = _paths(folder, text)[1] if _KEY_NAME.fullmatch(text) else None
    for path in (own, Path(text)):
        if path is not None and path.is_file():
            return load_public_key(read_key_file(path))
    raise KeyFileError(
        f"{text!r} is no fingerprint (sha256:<64 hex>), no key in {folder}, and no public key file",
        hint="list your own keys with `expert-kit keys list`",
        code="signature_key_unknown",
    )


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.pem", folder / f"{name}.pub.pem"


def _write_pair(private_path: Path, private: bytes, public_path: Path, public: bytes) -> None:
    # The private key first: a public key of a key that nobody has could be announced, and never sign.
    _write_new(private_path, private, 0o600)
    try:
        _write_new(public_path, public, 0o644)
    except BaseException:
        private_path.unlink()
        raise


def _key_exists(folder: Path, name: str) -> KeyFileError:
    private_path, public_path = _paths(folder, name)
    message, hint = f"a key named {name!r} exists in {folder}", "choose another name; keys are never overwritten"
    if not private_path.exists():
        message = f"{folder} has only the public half of a key named {name!r}: {public_path.name}"
        hint = f"move {public_path.name} away, or choose another name"
    elif not public_path.exists():
        message = f"{folder} has only the private half of a key named {name!r}: {private_path.name}"
        hint = f"choose another name, or make the public half again: openssl pkey -in {private_path} -pubout -out {public_path}"
    return KeyFileError(message, hint=hint, code="signature_key_exists")


def _encryption(passphrase: str | None) -> KeySerializationEncryption:
    if passphrase is None:
        return NoEncryption()
    if not passphrase:
        raise KeyFileError("the passphrase is empty", hint="leave it out for a key without one", code="signature_key_passphrase")
    return BestAvailableEncryption(passphrase.encode())


def _write_new(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename, a link never replaces an existing key
    finally:
        temporary.unlink()
