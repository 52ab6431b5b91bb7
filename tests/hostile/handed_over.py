"""Promises about files that are handed over beside archives: lock files, roots, revocation lists, packages of the old kind."""

from __future__ import annotations

import io
import json
import tarfile  # noqa: TID251 - the oracle
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache

import rfc8785

from expert_kit.archive.importer import legacy, ustar
from expert_kit.archive.importer.material import LEFT_OUT, LIMITS
from expert_kit.errors import ExpertKitError
from expert_kit.names import sha256_digest
from expert_kit.registry.lock import BASE_FIELDS, SCHEMA, parse_lock
from expert_kit.signing import KEY_TYPES, PrivateKey, sign
from expert_kit.signing.revocations import PAYLOAD_TYPE, RevocationList, RevokedKey, RevokedPackage, open_list
from expert_kit.signing.roots import NAMESPACE
from expert_kit.signing.rotation import check_first, check_next, new_root, publisher_of, sign_root
from tests.support.builders import tiny_base

_DAY, _END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


@cache
def _key() -> PrivateKey:
    return KEY_TYPES["ed25519"]()


def check_tar(data: bytes) -> None:
    """What is accepted is read by Python's own reader as the same files."""
    out = io.BytesIO()
    try:
        ustar.Reader(io.BytesIO(data).read, LIMITS, LEFT_OUT).run(out)
    except ustar.RefusedError as error:
        if error.code not in legacy._refusals("a package", "x"):
            raise AssertionError(f"the importer does not know {error.code}") from error
        return
    files, at, written = {}, 0, out.getvalue()
    while at < len(written):
        end = written.index(b"\n", at) + 1
        record = json.loads(written[at:end])
        at = end + (record["size"] if record["kept"] else 0)
        files[record["name"]] = written[end:at] if record["kept"] else record["size"]
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        members = {one.name.removeprefix("./"): one for one in tar.getmembers() if one.isreg()}
        assert members.keys() == files.keys()
        for name, body in files.items():
            stream = tar.extractfile(members[name])
            assert stream is not None
            theirs = stream.read()
            assert body == (theirs if isinstance(body, bytes) else len(theirs))


def check_lock(data: bytes) -> None:
    """Accepted entries are written back to the same bytes."""
    with suppress(ExpertKitError, ValueError, RecursionError):  # what `read_lock` turns into one error
        entries = parse_lock(data)
        rows = [{**asdict(entry), "signers": list(entry.signers), "base": dict(entry.base)} for entry in entries]
        same = rfc8785.dumps({"schema": SCHEMA, "experts": rows}) + b"\n"
        if same != data:
            raise AssertionError("another spelling was accepted")


def check_root(data: bytes) -> None:
    """Whatever a signed root says: its roles can be reached and its publisher is a namespace, or it is refused."""
    with suppress(ExpertKitError):
        signed = sign_root(data, _key())
        root = check_first(signed)
        for role in (root.root, root.targets):
            assert 1 <= role.threshold <= len(set(role.keys)) == len(role.keys)
        assert NAMESPACE.fullmatch(root.publisher)
        assert publisher_of(signed) == root.publisher
        assert check_next(_first_root(), signed).version == 2


def check_revocation(data: bytes) -> None:
    """An accepted list is written back to the same bytes, whoever signed it."""
    with suppress(ValueError, RecursionError):
        revocations = RevocationList.parse(data)
        assert revocations.to_bytes() == data
        assert open_list(sign(data, _key(), PAYLOAD_TYPE) + b"\n")[0] == revocations
    with suppress(ExpertKitError):
        open_list(data)


@cache
def _first_root() -> bytes:
    return sign_root(_root(None), _key())


def _root(previous: bytes | None) -> bytes:
    keys = [_key().public_key()]
    return new_root("acme", root_keys=keys, keys=keys, root_threshold=1, threshold=1, expires=_END, previous=previous)


def tars() -> list[bytes]:
    """As Python's writer makes them, plain and with extended headers."""
    made = []
    for form in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
            for name in ("./adapter_config.json", "adapter_model.safetensors", "README.md"):
                info = tarfile.TarInfo(name)
                info.size, info.mtime = 5, 1.5 if form == tarfile.PAX_FORMAT else 1
                tar.addfile(info, io.BytesIO(b"12345"))
        made.append(buffer.getvalue())
    return made


def locks() -> list[bytes]:
    """A lock of one expert."""
    base = {name: str(value) for name, value in asdict(tiny_base().fingerprint).items() if name in BASE_FIELDS}
    row = {
        "name": "acme/sql", "version": "1.0.0", "identity": sha256_digest(b"x"), "signers": [sha256_digest(b"k")],
        "base": base, "base_match": "exact", "yanked": False,
    }  # fmt: skip
    return [rfc8785.dumps({"schema": SCHEMA, "experts": [row]}) + b"\n"]


def roots() -> list[bytes]:
    """The second root, and the first one, unsigned."""
    return [_root(_first_root()), _root(None)]


def revocations() -> list[bytes]:
    """A list with both kinds of entries, unsigned."""
    package, key = RevokedPackage(sha256_digest(b"x"), "acme/sql@1.0.0", "leaks"), RevokedKey(sha256_digest(b"k"), _DAY, "stolen")
    return [RevocationList("acme", 3, _DAY, _END, (package,), (key,)).to_bytes()]
