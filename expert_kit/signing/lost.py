"""Trust that was given here and is gone without a word in the log: a lost or restored file, which nothing else notices.

A missing ``trust.toml`` reads like a fresh machine, and a missing revocation list like a publisher who revoked nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from expert_kit.errors import ExpertKitError
from expert_kit.signing.hints import trust_command
from expert_kit.signing.trust import TrustStore


@dataclass(frozen=True)
class Loss:
    """Something that the log knows of and that is not here any more."""

    code: str
    """``trust_lost`` or ``revocations_lost``."""
    path: Path
    message: str
    hint: str


def losses(trust: TrustStore) -> Iterator[Loss]:
    """All that is missing. A log that cannot be read says nothing here; ``EventLog.problem`` tells of that.

    Raises:
        ExpertKitError: ``trust.toml`` or a list is here, but cannot be read.
    """
    try:
        events = list(trust.events.rows())
    except (ValueError, ExpertKitError):
        return
    yield from _policies(trust, events)
    yield from _roots(trust)
    yield from _lists(trust, events)


def missing_policies(trust: TrustStore, known: str, again: str) -> Loss:
    """The loss of ``trust.toml``; ``known`` is what says that there was one, ``again`` a command that gives trust anew."""
    path = shlex.quote(str(trust.path))
    return Loss(
        "trust_lost",
        trust.path,
        f"trust.toml is gone, and with it whom you trust: {known}",
        f"put it back from a backup, or: {again}; if you removed it on purpose: touch {path} && chmod 600 {path}",
    )


def _policies(trust: TrustStore, events: list[dict[str, str]]) -> Iterator[Loss]:
    given: dict[tuple[str, str], str] = {}
    for row in events:
        scope, key = row.get("scope", ""), row.get("key") or row.get("root") or ""
        if row.get("event") in ("key_trusted", "root_trusted"):
            given[scope, key] = str(row.get("event"))
        elif row.get("event") == "key_untrusted":
            given.pop((scope, key), None)
        elif row.get("event") == "scope_forgotten":
            given = {pair: event for pair, event in given.items() if pair[0] != scope}
    if not given or trust.path.exists():
        return
    (scope, key), event = next(reversed(given.items()))
    again = trust_command(key, scope) if event == "key_trusted" else f"expert-kit trust add FILE --scope {shlex.quote(scope)}"
    yield missing_policies(trust, f"the log has {len(given)} of them, the last one {key} for {scope}", again)


def _roots(trust: TrustStore) -> Iterator[Loss]:
    for policy in trust.list():
        if not policy.root:
            continue
        try:
            trust.roots.current(policy.scope.split("/")[0], policy.root)
        except ExpertKitError as error:
            yield Loss("trust_lost", trust.roots.folder, error.message, error.hint)


def _lists(trust: TrustStore, events: list[dict[str, str]]) -> Iterator[Loss]:
    accepted = {row["publisher"]: int(row["version"]) for row in events if row.get("event") == "list_accepted"}
    for publisher, version in sorted(accepted.items()):
        found = trust.revocations.get(publisher)
        if found is not None and found.version >= version:
            continue
        here = "it is gone" if found is None else f"an older one, version {found.version}, is here"
        yield Loss(
            "revocations_lost",
            trust.revocations.path(publisher),
            f"version {version} of the revocation list of {publisher} was accepted, and {here}: what it revoked would be let in",
            f"get the newest list from {publisher}, then: expert-kit trust update FILE",
        )
