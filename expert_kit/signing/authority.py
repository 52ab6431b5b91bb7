"""Whose revocation list counts, and for which names.

The keys of ``publisher/*`` speak for all names of a publisher, and so do the root keys of its root. Where there are
neither, a key that is trusted for ``publisher/name`` speaks for that name: whoever may sign ``acme/sql`` may take it back,
and shall not take back ``acme/other``.
"""

from __future__ import annotations

from collections.abc import Mapping

from expert_kit.signing.policy import Policy, Rules
from expert_kit.signing.roots import RoleKeys


def heard(authorities: Mapping[str, RoleKeys], signers: tuple[str, ...]) -> frozenset[str]:
    """Those of the scopes whose threshold these signers reach."""
    return frozenset(scope for scope, keys in authorities.items() if keys.count(signers) >= keys.threshold)


def rooted(rules: Rules, publisher: str) -> Policy | None:
    """A policy with the publisher's root, which speaks for the publisher even if it is trusted for some of the names only."""
    return next((one for one in rules.policies if one.root and one.scope.split("/")[0] == publisher), None)


def named(rules: Rules, publisher: str) -> dict[str, RoleKeys]:
    """By full name: the keys that are trusted for this name alone."""
    found = (one for one in rules.policies if one.keys and one.scope.split("/")[0] == publisher and not one.scope.endswith("/*"))
    return {one.scope: RoleKeys(one.keys, one.threshold) for one in found}


def binds(rules: Rules, full_name: str, signers: tuple[str, ...]) -> bool:
    """Whether an accepted list by these signers counts for that name.

    It does, also after its keys lost their trust, unless they are known to speak for other names only.
    """
    publisher = full_name.split("/")[0]
    wide = rules.scope(f"{publisher}/*")
    if (wide is not None and wide.keys) or rooted(rules, publisher) is not None:
        return True
    names = heard(named(rules, publisher), signers)
    return not names or full_name in names
