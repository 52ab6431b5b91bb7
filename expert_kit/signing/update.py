"""What a publisher sends after the first trust: the next root, and revocation lists (``expert-kit trust update FILE``).

Apart from the room's ``__init__``, for the sake of ``rotation.py``. No network: the files come over any channel, and their
signatures decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from expert_kit.errors import SignatureError, UntrustedKeyError
from expert_kit.signing.authority import heard
from expert_kit.signing.hints import compare_first, trust_command
from expert_kit.signing.policy import Policy
from expert_kit.signing.revocations import RevocationList, open_list
from expert_kit.signing.roots import RoleKeys, TrustedRoot, root_digest
from expert_kit.signing.rotation import check_first, check_next, publisher_of
from expert_kit.signing.trust import TrustStore

_CLOCKS_DIFFER = timedelta(days=1)


@dataclass(frozen=True)
class Update:
    """What an accepted file changed."""

    publisher: str
    kind: str
    """``root`` or ``revocations``."""
    version: int
    changed: bool
    """False if exactly this file had been accepted before."""
    lines: tuple[str, ...] = ()
    """What is different now, for people."""


def start_root(trust: TrustStore, data: bytes, scope: str = "", *, replace: bool = False) -> tuple[Policy, TrustedRoot]:
    """Trust a publisher's root from now on, because a person said so after comparing its digest.

    Args:
        trust: where to write it.
        data: a ``root.json``, of any version.
        scope: within the publisher's namespace; all of it if empty.
        replace: also if another root of the publisher is trusted.

    Raises:
        SignatureError: ``root_invalid``; ``root_publisher``, the scope is outside the namespace; ``trust_root_changed``.
        UntrustedKeyError: ``root_threshold``.
    """
    root = check_first(data)
    scope = scope or f"{root.publisher}/*"
    if scope.split("/")[0] != root.publisher:
        raise SignatureError(
            f"a root of {root.publisher} says nothing about {scope}", hint=f"--scope '{root.publisher}/*'", code="root_publisher"
        )
    anchors = {policy.root for policy in trust.list() if policy.root and policy.scope.split("/")[0] == root.publisher}
    if anchors - {root_digest(data)} and not replace:
        raise SignatureError(
            f"another root of {root.publisher} is trusted: {', '.join(sorted(anchors))}",
            hint="its next version: expert-kit trust update FILE; if the publisher started anew: compare the digest, then add --replace",
            code="trust_root_changed",
        )
    if not anchors or replace:
        trust.roots.start(root.publisher, root.version, data)
    for other in trust.list():
        # One chain of roots for a publisher: its other scopes follow.
        if other.root and other.scope.split("/")[0] == root.publisher:
            trust.trust_root(other.scope, root_digest(data))
    return trust.trust_root(scope, root_digest(data)), root


def apply_update(trust: TrustStore, data: bytes) -> Update:
    """Accept the next root or a newer revocation list of a publisher who is trusted already.

    Raises:
        SignatureError, UntrustedKeyError: see :func:`_next_root` and :func:`_newer_list`; nothing changed.
    """
    return _next_root(trust, data) if data.startswith(b'{"signatures":') else _newer_list(trust, data)


def _next_root(trust: TrustStore, data: bytes) -> Update:
    """Codes: ``root_`` and ``untrusted``, ``invalid``, ``version``, ``publisher``, ``threshold`` or ``same_version``."""
    publisher = publisher_of(data)
    anchor = next((policy.root for policy in trust.list() if policy.root and policy.scope.split("/")[0] == publisher), None)
    if anchor is None:
        raise UntrustedKeyError(
            f"no root of {publisher} is trusted here",
            hint=f"compare {root_digest(data)} with the publisher's word, then: expert-kit trust add FILE --scope '{publisher}/*'",
            code="root_untrusted",
        )
    current, old = trust.roots.current(publisher, anchor)
    if data == old:
        return Update(publisher, "root", current.version, False)
    root = check_first(data)
    if root.version == current.version:
        raise SignatureError(
            f"the root here has version {root.version} too, with other content",
            hint="ask the publisher which one is right",
            code="root_same_version",
        )
    root = check_next(old, data)
    trust.roots.add(publisher, root.version, data)
    trust.events.append(trust.now(), "root_updated", publisher=publisher, version=str(root.version))
    lines = _changes("may sign", current.targets.keys, root.targets.keys) + _changes(
        "may rotate and revoke", current.root.keys, root.root.keys
    )
    return Update(publisher, "root", root.version, True, lines)


def _newer_list(trust: TrustStore, data: bytes) -> Update:
    """Codes: ``revocation_`` and ``invalid``, ``untrusted``, ``threshold``, ``rollback``, ``same_version`` or ``future``."""
    new, signers = open_list(data)
    wide = trust.authority(new.publisher)
    allowed = trust.named_authorities(new.publisher) if wide is None else {f"{new.publisher}/*": wide}
    if not allowed:
        raise UntrustedKeyError(
            f"nobody is trusted to revoke for {new.publisher}; this list is signed by {', '.join(signers)}",
            hint=compare_first(new.publisher, [trust_command(signers[0], f"{new.publisher}/*")]),
            code="revocation_untrusted",
        )
    found = trust.revocations.read(new.publisher)
    old, old_signers = found if found is not None else (None, ())
    # A list whose signers may not revoke any more binds nobody here: a thief's last word must not outlive the thief's keys.
    floor = old if old is not None and heard(allowed, old_signers) else None
    dead = {one.key for one in floor.keys} if floor else set()
    speaks = heard(allowed, tuple(signer for signer in signers if signer not in dead))
    # There is one list of a publisher: what it says about a name is replaced only by those who may speak for that name.
    if not speaks or (floor is not None and not speaks >= heard(allowed, old_signers)):
        raise UntrustedKeyError(
            f"revocation list of {new.publisher}: signed by {', '.join(signers)}; {_who_must(allowed)} must",
            hint=f"ask {new.publisher} for a list with the missing signatures; see `expert-kit trust list`",
            code="revocation_threshold",
        )
    if floor == new:
        return Update(new.publisher, "revocations", new.version, False)
    _check_newer(new, floor)
    if new.issued > trust.now() + _CLOCKS_DIFFER:
        raise SignatureError(
            f"revocation list of {new.publisher}: issued in the future", hint="check this machine's clock", code="revocation_future"
        )
    trust.revocations.write(new.publisher, data)
    trust.events.append(trust.now(), "list_accepted", publisher=new.publisher, version=str(new.version))
    return Update(new.publisher, "revocations", new.version, True, _list_changes(old, new))


def _who_must(allowed: Mapping[str, RoleKeys]) -> str:
    return "; ".join(f"for {scope} {who.threshold} of {', '.join(who.keys)}" for scope, who in sorted(allowed.items()))


def _check_newer(new: RevocationList, floor: RevocationList | None) -> None:
    if floor is None or new.version > floor.version:
        return
    this, hint = f"revocation list of {new.publisher}: version {new.version}", f"ask {new.publisher} for the newest list"
    if new.version == floor.version:
        raise SignatureError(f"{this}, and a different list of that version is here", hint=hint, code="revocation_same_version")
    raise SignatureError(f"{this}, but version {floor.version} is here", hint=hint, code="revocation_rollback")


def _list_changes(old: RevocationList | None, new: RevocationList) -> tuple[str, ...]:
    before = {one.identity: one.name for one in old.packages} if old else {}
    after = {one.identity: f"{one.name} ({one.reason})" for one in new.packages}
    lines = [f"revoked: {text}" for digest, text in after.items() if digest not in before]
    lines += [f"no longer revoked: {text}" for digest, text in before.items() if digest not in after]
    keys_before, keys_after = {one.key for one in old.keys} if old else set(), {one.key for one in new.keys}
    lines += [f"revoked: key {key}" for key in sorted(keys_after - keys_before)]
    return (*lines, *(f"no longer revoked: key {key}" for key in sorted(keys_before - keys_after)))


def _changes(what: str, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    lines = [f"{what}: {key}" for key in after if key not in before]
    return (*lines, *(f"no longer {what}: {key}" for key in before if key not in after))
