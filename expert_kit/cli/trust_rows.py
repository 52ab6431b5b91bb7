"""What ``expert-kit trust`` shows: policies, roots, revocation lists and events as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expert_kit.signing import Policy, TrustStore


def root_rows(store: TrustStore) -> Iterator[dict[str, Any]]:
    """The publishers' roots that are trusted, one each, as JSON takes them."""
    from expert_kit.signing.dates import moment_text

    anchors = {policy.scope.split("/")[0]: policy.root for policy in store.list() if policy.root}
    for publisher, anchor in anchors.items():
        root, _ = store.roots.current(publisher, anchor)
        roles = {
            name: {"keys": list(role.keys), "threshold": role.threshold} for name, role in (("root", root.root), ("targets", root.targets))
        }
        yield {"publisher": publisher, "version": root.version, "expires": moment_text(root.expires), **roles}


def list_rows(store: TrustStore) -> Iterator[dict[str, Any]]:
    """The publishers' revocation lists that are here, the same way."""
    from expert_kit.signing.dates import moment_text

    for one in store.revocations.all():
        times = {"issued": moment_text(one.issued), "expires": moment_text(one.expires)}
        yield {"publisher": one.publisher, "version": one.version, **times, "packages": len(one.packages), "keys": len(one.keys)}


def plain(policy: Policy) -> dict[str, Any]:
    """A policy as JSON takes it."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(policy).items()}


def cells(policy: Policy) -> tuple[str, ...]:
    """A policy as a line of the table."""
    signers = [f"root {policy.root}"] if policy.root else [_with_day(key, policy) for key in policy.keys]
    more = [f"first use: {policy.tofu}"] if not policy.scope else []
    more += [f"base {policy.base_match}"] if policy.base_match != "family" else []
    more += policy.require
    wanted = "-" if policy.level == "skip" else str(policy.threshold)
    return policy.scope or "default", policy.level, ", ".join(signers), wanted, ", ".join(more)


def _with_day(key: str, policy: Policy) -> str:
    return f"{key} until {policy.expires[key]}" if key in policy.expires else key


def event_cells(row: dict[str, str]) -> tuple[str, ...]:
    """A line of the log of trust."""
    facts = [f"{name}={value}" for name, value in row.items() if name not in ("n", "time", "event", "previous")]
    return str(row.get("time", "")), str(row.get("event", "")), " ".join(facts)
