"""Making and checking a publisher's root: TUF root metadata, by the library ``tuf``.

Version N+1 must be signed by the threshold of version N's root keys and by the threshold of its own, one version at a
time. A key's id is its fingerprint, so a threshold counts different keys whatever a file calls them; ``timestamp`` and
``snapshot``, which TUF demands, name the same keys as ``targets``.

Apart from the room's ``__init__``: importing ``tuf`` takes time, and only publishers and ``trust update`` need it.

Source: The Update Framework 1.0, sections 5.3 and 6.1; python-tuf ``tuf.api``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# Both libraries re-export these names without saying so to type checkers.
from securesystemslib.signer import CryptoSigner, Key, SSlibKey  # type: ignore[attr-defined]
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Role, Root, UnsignedMetadataError  # type: ignore[attr-defined]
from tuf.api.serialization.json import JSONSerializer

from expert_kit.errors import SignatureError, UntrustedKeyError
from expert_kit.signing.keys import PrivateKey, PublicKey, key_id, load_public_der, load_public_key, public_der
from expert_kit.signing.roots import MAX_ROOT, NAMESPACE, PUBLISHER_FIELD, TrustedRoot

_TARGET_ROLES = ("targets", "snapshot", "timestamp")
_KINDS = {("ed25519", "ed25519"), ("ecdsa", "ecdsa-sha2-nistp256")}


def new_root(
    publisher: str,
    *,
    root_keys: Sequence[PublicKey],
    keys: Sequence[PublicKey],
    root_threshold: int,
    threshold: int,
    expires: datetime,
    previous: bytes | None = None,
) -> bytes:
    """An unsigned root, version 1 or the one after ``previous``.

    Args:
        publisher: the namespace that it is about.
        root_keys: sign the next root and revocation lists.
        keys: sign packages.
        root_threshold: how many of ``root_keys`` it takes.
        threshold: how many of ``keys`` it takes.
        expires: UTC, whole seconds.
        previous: the root to follow.

    Raises:
        SignatureError: ``root_invalid``.
    """
    _check_wanted(publisher, len(root_keys), root_threshold, len(keys), threshold)
    roles = {name: Role([_keyid(key) for key in keys], threshold) for name in _TARGET_ROLES}
    roles["root"] = Role([_keyid(key) for key in root_keys], root_threshold)
    listed: dict[str, Key] = {_keyid(key): SSlibKey.from_crypto(key, keyid=_keyid(key)) for key in (*root_keys, *keys)}
    version = 1 if previous is None else _parse(previous).signed.version + 1
    root = Root(
        version=version,
        expires=expires,
        keys=listed,
        roles=roles,
        consistent_snapshot=False,
        unrecognized_fields={PUBLISHER_FIELD: publisher},
    )
    return _render(_parse(_render(Metadata(root))))


def sign_root(data: bytes, key: PrivateKey) -> bytes:
    """The root with a signature by ``key``, in place of an earlier one.

    Raises:
        SignatureError: ``root_invalid``.
    """
    metadata, public = _parse(data), key.public_key()
    metadata.sign(CryptoSigner(key, SSlibKey.from_crypto(public, keyid=_keyid(public))), append=True)
    return _render(metadata)


def check_first(data: bytes) -> TrustedRoot:
    """Check a root that a person decided to trust: it must be signed by the threshold of its own root keys.

    Raises:
        SignatureError: ``root_invalid``. UntrustedKeyError: ``root_threshold``.
    """
    _check_signed(_parse(data), None)
    return TrustedRoot.read(data)


def check_next(old: bytes, new: bytes) -> TrustedRoot:
    """Check that ``new`` may follow the trusted root ``old``.

    Raises:
        SignatureError: ``root_invalid``; ``root_version``, not exactly one version later; ``root_publisher``.
        UntrustedKeyError: ``root_threshold``, too few signatures by the keys of ``old`` or by its own.
    """
    before, after = _parse(old), _parse(new)
    if before.signed.unrecognized_fields != after.signed.unrecognized_fields:
        raise SignatureError("the root is another publisher's", hint="see `expert-kit trust list`", code="root_publisher")
    if after.signed.version != before.signed.version + 1:
        raise SignatureError(
            f"the root here has version {before.signed.version}, this file has {after.signed.version}",
            hint=f"ask the publisher for version {before.signed.version + 1}; roots are followed one version at a time",
            code="root_version",
        )
    _check_signed(after, before)
    return TrustedRoot.read(new)


def publisher_of(data: bytes) -> str:
    """The publisher that a root names, which is nobody's word until its signatures are checked.

    Raises:
        SignatureError: ``root_invalid``.
    """
    return str(_parse(data).signed.unrecognized_fields[PUBLISHER_FIELD])


def root_keys_of(data: bytes) -> tuple[list[PublicKey], list[PublicKey]]:
    """The root keys and the package keys of a root."""
    signed = _parse(data).signed
    return tuple([_public(signed.keys[keyid]) for keyid in signed.roles[role].keyids] for role in ("root", "targets"))  # type: ignore[return-value]


def missing_signatures(data: bytes, previous: bytes | None) -> tuple[int, int]:
    """How many signatures are missing before users accept the root: by the root keys of ``previous`` if any, and by its own."""
    metadata = _parse(data)
    before = None if previous is None else _parse(previous).signed
    result = metadata.signed.get_root_verification_result(before, metadata.signed_bytes, metadata.signatures)
    return 0 if before is None else result.first.missing, result.second.missing


def _check_wanted(publisher: str, root_keys: int, root_threshold: int, keys: int, threshold: int) -> None:
    """What whoever makes a root can put right; :func:`_parse` would refuse it too, in words for those who got it."""
    if not NAMESPACE.fullmatch(publisher):
        raise _invalid(f"{publisher!r} is no namespace", "use lower-case letters, digits and '-', for example: acme")
    for count, wanted, kind, option in (
        (root_keys, root_threshold, "root keys", "--root-threshold"),
        (keys, threshold, "keys that sign packages", "--threshold"),
    ):
        if count < wanted:
            raise _invalid(f"the threshold of the {kind} is {wanted}, and their number is {count}", f"name more, or lower {option}")


def _check_signed(metadata: Metadata[Root], previous: Metadata[Root] | None) -> None:
    signed = metadata.signed
    for name, root in (("its own root keys", signed), ("the root keys of the version before", previous.signed if previous else signed)):
        result = root.get_verification_result("root", metadata.signed_bytes, metadata.signatures)
        if not result.verified:
            raise UntrustedKeyError(
                f"root version {signed.version}: {len(result.signed)} signature(s) by {name}, {result.threshold} are needed",
                hint="ask the publisher for the complete file; the publisher: expert-kit keys cosign FILE --key NAME",
                code="root_threshold",
            )


def _parse(data: bytes) -> Metadata[Root]:
    """Canonical or refused: our own spelling of what the library understood must be the same bytes."""
    if len(data) > MAX_ROOT:
        raise _invalid(f"larger than {MAX_ROOT} bytes")
    try:
        metadata = Metadata[Root].from_bytes(data)
        canonical = _render(metadata)
    except (RepositoryError, UnsignedMetadataError, RecursionError) as error:
        raise _invalid("not TUF root metadata") from error
    if type(metadata.signed) is not Root or canonical != data:
        raise _invalid("not TUF root metadata as expert-kit writes it")
    if metadata.unrecognized_fields or set(metadata.signed.unrecognized_fields) != {PUBLISHER_FIELD}:
        raise _invalid(f"it does not say who the publisher is ({PUBLISHER_FIELD}), or has unknown fields")
    publisher = metadata.signed.unrecognized_fields[PUBLISHER_FIELD]
    if not isinstance(publisher, str) or not NAMESPACE.fullmatch(publisher):
        raise _invalid("its publisher is no namespace")
    if not isinstance(metadata.signed.consistent_snapshot, bool):  # the library takes any value, and fails where it is to be signed
        raise _invalid("consistent_snapshot is neither true nor false")
    _check_keys(metadata.signed)
    return metadata


def _check_keys(root: Root) -> None:
    for keyid, key in root.keys.items():
        if (key.keytype, key.scheme) not in _KINDS or key.unrecognized_fields or _keyid(_public(key)) != keyid:
            raise _invalid(f"the key {keyid[:64]} is refused, or has another fingerprint than its id")
    for name, role in root.roles.items():
        if not set(role.keyids) <= set(root.keys) or not 1 <= role.threshold <= len(role.keyids):
            raise _invalid(f"the role {name} can never reach its threshold")


def _public(key: Key) -> PublicKey:
    """The key under the rules of ``keys.py``: named curve, one encoding, no small order."""
    text = str(key.keyval["public"])
    try:
        if key.keytype == "ed25519":
            return load_public_der(public_der(Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))))
        return load_public_key(text.encode())
    except ValueError as error:
        raise _invalid("a key that cannot be read") from error


def _keyid(key: PublicKey) -> str:
    return key_id(key).removeprefix("sha256:")


def _render(metadata: Metadata[Root]) -> bytes:
    return metadata.to_bytes(JSONSerializer(compact=True))


def _invalid(what: str, hint: str = "") -> SignatureError:
    hint = hint or "get the file as its publisher made it, with `expert-kit keys root` or `keys rotate`"
    return SignatureError(f"root: {what}", hint=hint, code="root_invalid")
