"""What is wrong with trust: files that are unreadable or gone, and experts that were revoked since they were installed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress

from expert_kit.errors import ExpertKitError, RevokedError
from expert_kit.names import printable
from expert_kit.registry.findings import Finding
from expert_kit.registry.records import InstalledExpert
from expert_kit.registry.revocations import listed_publishers
from expert_kit.registry.store import Registry
from expert_kit.signing import TrustStore
from expert_kit.signing.hints import trust_command
from expert_kit.signing.lost import Loss, losses, missing_policies


def trust_findings(registry: Registry) -> Iterator[Finding]:
    """The log, ``trust.toml``, roots and revocation lists."""
    trust = TrustStore(registry.trust_home)
    if (problem := trust.events.problem()) is not None:
        message = f"the log of trust was cut or changed: {printable(problem)}"
        yield Finding("trust_log_damaged", str(trust.events.path), message, "expert-kit trust log")
    try:
        trust.list()
        list(trust.revocations.all())
        lost = list(losses(trust))
    except ExpertKitError as error:
        yield Finding("trust_unreadable", str(trust.path), error.message, error.hint)
        return
    except OSError as error:
        fix = f"chmod u+r {shlex.quote(str(trust.path))}"
        yield Finding("trust_unreadable", str(trust.path), f"cannot be read: {error.strerror}", fix)
        return
    for one in lost or _without_a_log(registry, trust):
        yield Finding(one.code, str(one.path), printable(one.message), printable(one.hint))


def revoked_findings(registry: Registry) -> Iterator[Finding]:
    """Installed experts that must not be used any more."""
    concerned = listed_publishers(registry.trust_home)
    for expert in _experts(registry) if concerned else ():
        if expert.ref.namespace in concerned:
            try:
                registry.check_revoked(expert)
            except RevokedError as error:
                yield Finding("expert_revoked", str(expert.ref), printable(error.message), error.hint)
            except ExpertKitError:  # a damaged list, which `trust_findings` tells of
                continue


def _without_a_log(registry: Registry, trust: TrustStore) -> Iterator[Loss]:
    """The rows say whom the installed experts were let in for, also where the log went with ``trust.toml``."""
    signed = next((expert for expert in _experts(registry) if expert.trust == "signed" and expert.signers), None)
    if signed is not None and not trust.path.exists():
        known = f"{signed.ref} was let in for {signed.signers[0]}"
        yield missing_policies(trust, known, trust_command(signed.signers[0], f"{signed.ref.namespace}/*"))


def _experts(registry: Registry) -> list[InstalledExpert]:
    """None where the rows are damaged, which other findings tell of."""
    with suppress(ExpertKitError):
        return registry.list()
    return []
