"""A warning before a publisher is taken for another one."""

from __future__ import annotations

from expert_kit.cli.output import note
from expert_kit.names import printable


def warn_of_lookalikes(publisher: str) -> None:
    """Say which publishers, trusted or installed here, this one may be mistaken for."""
    from expert_kit.registry import Registry, home
    from expert_kit.registry.confusable import alike
    from expert_kit.signing import TrustStore

    known = {policy.scope.split("/")[0] for policy in TrustStore(home()).list()}
    known |= {ref.namespace for ref in Registry.default().names()}
    for other in alike(publisher, known):
        note(f"warning[name_confusable]: {printable(publisher)} is not {other}, which you know here: look twice")
