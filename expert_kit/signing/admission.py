"""Whether a package may come in: signatures, revocations, expiry and attestations against the policy of its scope.

| check | strict | permissive | audit | skip |
|---|---|---|---|---|
| good signatures by enough allowed keys, none of it revoked | refuse | refuse | log | - |
| expired key or root, stale revocation list, required attestation | refuse | warn | log | - |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from expert_kit.errors import CheckUnavailableError, ExpertKitError, RevokedError, SignatureError, UntrustedKeyError
from expert_kit.signing.attestations import Attestation, counted
from expert_kit.signing.hints import compare_first, trust_command, untrust_command
from expert_kit.signing.policy import Policy
from expert_kit.signing.requirements import PROBE
from expert_kit.signing.revocations import RevocationList
from expert_kit.signing.roots import RoleKeys, TrustedRoot

Ask = Callable[["FirstUse"], bool]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FirstUse:
    """The question before an unknown key is trusted; show all of it."""

    full_name: str
    publisher: str
    """The namespace that the key would speak for."""
    key_id: str
    scope: str
    """What a yes would trust the key for."""

    @property
    def command(self) -> str:
        """The command that gives the same answer without a question."""
        return trust_command(self.key_id, self.scope)


@dataclass(frozen=True)
class Admission:
    """The answer of ``TrustStore.admit``."""

    policy: Policy
    signers: tuple[str, ...]
    """Those of the signers that are trusted for this name."""
    to_trust: tuple[FirstUse, ...] = ()
    """Accepted on first use; not written yet, see ``TrustStore.remember``."""
    warnings: tuple[str, ...] = ()
    """Codes of what was let through."""
    origin: str = "signed"
    """``signed``, ``unsigned`` (the unsafe option), ``audit`` (let in although it should not) or ``skip``."""


@dataclass(frozen=True)
class Case:
    """What a package brings along."""

    full_name: str
    signers: tuple[str, ...]
    """Key ids whose signatures were checked."""
    known: tuple[str, ...] = ()
    """Key ids that signed what is installed under this name."""
    identity: str = ""
    attestations: tuple[Attestation, ...] = ()
    unsigned: bool = False
    """The user takes it without a signature, on purpose."""
    trial: bool = False
    """Nothing comes in yet: somebody only wants to know."""

    @property
    def warning(self) -> int:
        """The level of the log for what is let through."""
        return logging.DEBUG if self.trial else logging.WARNING


@dataclass(frozen=True)
class Facts:
    """What is known here about the package's publisher."""

    policy: Policy
    now: datetime
    root: TrustedRoot | None = None
    revocations: RevocationList | None = None
    seen: Callable[[], datetime | None] = lambda: None
    """When this very package was first let in."""

    @property
    def allowed(self) -> RoleKeys:
        """Who may sign packages, and how many of them it takes."""
        if self.root is None:
            return RoleKeys(self.policy.keys, self.policy.threshold)
        return RoleKeys(self.root.targets.keys, max(self.policy.threshold, self.root.targets.threshold))


def decide(case: Case, facts: Facts, ask: Ask | None) -> Admission:
    """Let the package in, or raise; see the table above.

    Raises:
        RevokedError: ``package_revoked``, ``signature_key_revoked``.
        UntrustedKeyError: ``signature_untrusted_key``, ``signature_key_changed``, ``signature_threshold``.
        SignatureError: ``signature_key_expired``, ``attestation_missing``.
        CheckUnavailableError: ``trust_root_expired``, ``revocation_list_stale``: nothing bad is known, but it could not be checked.
    """
    if facts.policy.level == "skip":
        return Admission(facts.policy, (), warnings=("signature_skipped",), origin="skip")
    try:
        check_not_revoked(case, facts)
        admission = _unsigned(facts) if case.unsigned else _signed(case, facts, ask)
    except SignatureError as error:
        if facts.policy.level != "audit":
            raise
        _log.log(case.warning, "%s: audit only, %s", case.full_name, error.message)
        code = "signature_untrusted_key" if isinstance(error, UntrustedKeyError) else error.code
        trusted = tuple(signer for signer in case.signers if signer in facts.allowed.keys)
        admission = Admission(facts.policy, trusted, warnings=(code,), origin="audit")
    codes = [_soften(error, case, facts) for error in _soft_problems(case, facts, admission)]
    return Admission(admission.policy, admission.signers, admission.to_trust, (*admission.warnings, *codes), admission.origin)


def check_not_revoked(case: Case, facts: Facts) -> None:
    """Refuse a package that was taken back, or whose signatures are worth too little without the keys that were.

    Raises:
        RevokedError: ``package_revoked``, ``signature_key_revoked``.
    """
    if facts.revocations is None:
        return
    newer = f"install a newer version from {facts.revocations.publisher}"
    entry = facts.revocations.package(case.identity)
    if entry is not None:
        message = f"{case.full_name}: {entry.name} was revoked by {facts.revocations.publisher}: {entry.reason}"
        raise RevokedError(message, hint=newer, code="package_revoked")
    revoked = facts.revocations.revoked_signers(case.signers, facts.seen)
    if revoked and len(set(case.signers) - set(revoked)) < facts.allowed.threshold:
        key, why = next(iter(revoked.items()))
        message = f"{case.full_name}: the key {key} that signed it was revoked by {facts.revocations.publisher}: {why.reason}"
        raise RevokedError(message, hint=f"ask for an archive that is signed with another key, then {newer}", code="signature_key_revoked")


def _unsigned(facts: Facts) -> Admission:
    return Admission(facts.policy, (), warnings=("signature_missing",), origin="unsigned")


def _signed(case: Case, facts: Facts, ask: Ask | None) -> Admission:
    allowed, revoked = facts.allowed, _revoked(case, facts)
    usable = tuple(dict.fromkeys(signer for signer in case.signers if signer not in revoked))
    trusted = tuple(signer for signer in usable if signer in allowed.keys)
    if len(trusted) >= allowed.threshold:
        return Admission(facts.policy, _unexpired(trusted, facts))
    if trusted:
        raise _below_threshold(case.full_name, facts.policy, len(trusted), allowed.threshold)
    expected = allowed.keys or case.known
    if expected and not set(expected) & set(usable):
        raise _changed_key(case.full_name, facts, expected, usable)
    return _first_use(case, facts.policy, usable, ask)


def _revoked(case: Case, facts: Facts) -> set[str]:
    return set(facts.revocations.revoked_signers(case.signers, facts.seen)) if facts.revocations else set()


def _unexpired(trusted: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    """The signers whose keys are in date, if they are enough; else all, for :func:`_soft_problems` to complain about."""
    good = tuple(signer for signer in trusted if signer not in facts.policy.expired_keys(facts.now))
    return good if len(good) >= facts.allowed.threshold else trusted


def _soft_problems(case: Case, facts: Facts, admission: Admission) -> Iterator[ExpertKitError]:
    """What a strict policy refuses and a permissive one warns about."""
    if expired := sorted(facts.policy.expired_keys(facts.now) & set(admission.signers)):
        yield SignatureError(
            f"{case.full_name}: the key {expired[0]} expired on {facts.policy.expires[expired[0]]}",
            hint=f"ask the publisher for a new key, or prolong this one: {trust_command(expired[0], facts.policy.scope)} --expires DATE",
            code="signature_key_expired",
        )
    if facts.root is not None and facts.root.expires < facts.now:
        yield CheckUnavailableError(
            f"{case.full_name}: root version {facts.root.version} of {facts.root.publisher} has expired, so its keys may be out of date",
            hint=f"get the next root from {facts.root.publisher}, then: expert-kit trust update FILE",
            code="trust_root_expired",
        )
    if facts.revocations is not None and facts.revocations.is_stale(facts.now, facts.policy.max_stale_days):
        yield CheckUnavailableError(
            f"{case.full_name}: revocation list version {facts.revocations.version} of {facts.revocations.publisher} is too old to rely on",
            hint=f"get a newer list from {facts.revocations.publisher}, then: expert-kit trust update FILE",
            code="revocation_list_stale",
        )
    yield from _missing_attestations(case, facts, admission)


def _missing_attestations(case: Case, facts: Facts, admission: Admission) -> Iterator[ExpertKitError]:
    keys = (*facts.allowed.keys, *facts.policy.attesters, *(use.key_id for use in admission.to_trust))
    revoked = {one.key for one in facts.revocations.keys} if facts.revocations else set()
    good = counted(case.attestations, set(keys) - revoked - facts.policy.expired_keys(facts.now))
    for wanted in facts.policy.requirements:
        if wanted.kind != PROBE and not wanted.is_met(good):
            yield SignatureError(
                f"{case.full_name}: trust.toml requires the attestation {wanted.text!r} for {facts.policy.scope or 'every name'}, "
                f"and there is none by a trusted key",
                hint="ask the publisher for an archive with that attestation; `expert-kit validate FILE` lists those it has",
                code="attestation_missing",
            )


def _soften(error: ExpertKitError, case: Case, facts: Facts) -> str:
    if facts.policy.level == "strict":
        raise error
    _log.log(case.warning if facts.policy.level == "permissive" else logging.INFO, "%s", error.message)
    return error.code


def _first_use(case: Case, policy: Policy, signers: Sequence[str], ask: Ask | None) -> Admission:
    full_name = case.full_name
    scope = policy.scope or full_name.split("/")[0] + "/*"
    uses = [FirstUse(full_name, full_name.split("/")[0], signer, scope) for signer in signers]
    if policy.tofu == "accept-new":
        accepted = uses
    elif policy.tofu == "ask" and ask is not None:
        accepted = [use for use in uses if ask(use)]
    else:
        accepted = []
    if not accepted:
        raise UntrustedKeyError(
            f"{full_name}: signed by {', '.join(use.key_id for use in uses)}, a key that nobody has trusted for {scope} yet",
            hint=compare_first(full_name.split("/")[0], [uses[0].command] if uses else []),
        )
    if len(accepted) < policy.threshold:
        raise _below_threshold(full_name, policy, len(accepted), policy.threshold)
    for use in accepted:
        _log.log(case.warning, "first use: %s signed by %s, accepted for %s", full_name, use.key_id, scope)
    return Admission(policy, tuple(use.key_id for use in accepted), tuple(accepted), ("signature_first_use",))


def _below_threshold(full_name: str, policy: Policy, count: int, threshold: int) -> UntrustedKeyError:
    return UntrustedKeyError(
        f"{full_name}: {count} trusted signature(s), the scope {policy.scope or 'default'} wants {threshold}",
        hint="ask the publisher for the missing signatures",
        code="signature_threshold",
    )


def _changed_key(full_name: str, facts: Facts, expected: Sequence[str], signers: Sequence[str]) -> UntrustedKeyError:
    policy = facts.policy
    scope = policy.scope or full_name.split("/")[0] + "/*"
    publisher = full_name.split("/")[0]
    commands = [trust_command(signer, scope) for signer in signers]
    if policy.keys:
        commands += [untrust_command(key, scope) for key in expected]
    hint = f"this may be somebody else than {publisher}; {compare_first(publisher, commands)}"
    if facts.root is not None:
        hint = f"if {facts.root.publisher} has changed keys: get root version {facts.root.version + 1}, then: expert-kit trust update FILE"
    return UntrustedKeyError(
        f"{full_name}: signed by {', '.join(signers)}, but {scope} is known to sign with {', '.join(expected)}",
        hint=hint,
        code="signature_key_changed",
    )
