"""Whom to trust: ``trust.toml`` in the user's folder and what publishers have sent since, under ``trust/``.

Where the key bytes come from, when key material inside a package is never a trust input: ``trust.toml`` holds
fingerprints only. A signature line offers a *candidate* key (``envelope.py``); its fingerprint is computed from the
bytes that verified the signature, and that fingerprint must be written in ``trust.toml`` for this scope. A package that
brings another key brings another fingerprint. So ``keys trust`` needs no key file: it takes a fingerprint, and as a
convenience anything that has one, a public key PEM file or the name of one of the user's own keys
(``keys.identify``).

    trust.toml                                  policies, see policy.py
    trust/roots/<publisher>/<version>.root.json accepted roots, see roots.py
    trust/revocations/<publisher>.jsonl         accepted revocation lists, see revocations.py
    trust/events.jsonl, events.head             what happened when, see events.py
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from expert_kit.errors import CheckUnavailableError, SignatureError
from expert_kit.signing import authority
from expert_kit.signing.admission import Admission, Ask, Case, Facts, FirstUse, check_not_revoked, decide
from expert_kit.signing.attestations import Attestation
from expert_kit.signing.dates import end_of_day, utc_now
from expert_kit.signing.events import EventLog
from expert_kit.signing.files import locked, read_own_file, write_own_file
from expert_kit.signing.keys import key_id, load_public_key
from expert_kit.signing.policy import SCOPE, Policy, Rules, parse_rules, render_rules
from expert_kit.signing.revocations import RevocationList, RevocationStore
from expert_kit.signing.roots import RoleKeys, RootStore, TrustedRoot

__all__ = ["Admission", "FirstUse", "Policy", "TrustStore"]

_log = logging.getLogger(__name__)


class TrustStore:
    """The policies in ``<home>/trust.toml``; a missing file means strict, and ask on first use."""

    def __init__(self, home: Path, now: Callable[[], datetime] = utc_now) -> None:
        """Look in ``home``; ``now`` is the clock."""
        self.path = home / "trust.toml"
        self.now = now
        self.roots = RootStore(home / "trust" / "roots")
        self.revocations = RevocationStore(home / "trust" / "revocations")
        self.events = EventLog(home / "trust")

    def list(self) -> list[Policy]:
        """Every written scope, sorted; the default is not among them."""
        return sorted(self._load().policies, key=lambda policy: policy.scope)

    def default(self) -> Policy:
        """The rule for names that no scope matches."""
        return self._load().default

    def policy_for(self, full_name: str) -> Policy:
        """The policy of the longest scope that matches ``ns/name``."""
        return self._load().policy_for(full_name)

    def trust(self, scope: str, fingerprint: str, pem: bytes | None = None, expires: str | None = None) -> Policy:
        """Let a key sign for ``scope`` (``ns/*`` or ``ns/name``), beside the keys that may do so already.

        Args:
            scope: a new scope is strict and takes its other demands from the default.
            fingerprint: the key id.
            pem: the public key, if at hand; checked against the fingerprint and not kept.
            expires: last day, ``2027-06-30``; without one the day that is written stays, or there is none.

        Raises:
            SignatureError: ``trust_invalid``, a bad scope, fingerprint or day, a key that has another fingerprint, or a
                scope that has a root.
        """
        if pem is not None and key_id(load_public_key(pem)) != fingerprint:
            message = f"that public key does not have the fingerprint {fingerprint}"
            raise SignatureError(message, hint="ask its owner for both again, by another way", code="trust_invalid")
        if expires is not None:
            _check_last_day(expires, self.now())

        def add(old: Policy) -> dict[str, Any]:
            days = {**old.expires, **({fingerprint: expires} if expires is not None else {})}
            return {"keys": tuple(dict.fromkeys((*old.keys, fingerprint))), "expires": days}

        new = self._change(scope, add)
        _log.info("trusted key %s for %s", fingerprint, scope)
        self.events.append(self.now(), "key_trusted", scope=scope, key=fingerprint)
        return new

    def trust_root(self, scope: str, anchor: str) -> Policy:
        """Let the root with that digest say who may sign for ``scope``, in place of its keys; see ``update.start_root``."""
        new = self._change(scope, lambda _: {"keys": (), "expires": {}, "root": anchor})
        self.events.append(self.now(), "root_trusted", scope=scope, root=anchor)
        return new

    def demand(self, scope: str, **demands: Any) -> Policy:
        """Change what ``scope`` demands, and leave its keys alone.

        Args:
            scope: ``ns/*`` or ``ns/name``; a new one is strict and takes the rest from the default.
            demands: fields of :class:`Policy`: ``level``, ``threshold``, ``base_match``, ``require``, ``attesters``,
                ``max_stale_days``.

        Raises:
            SignatureError: ``trust_invalid``.
        """
        new = self._change(scope, lambda _: demands)
        self.events.append(self.now(), "policy_changed", scope=scope, fields=" ".join(sorted(demands)))
        return new

    def forget(self, scope: str) -> None:
        """Remove all that is written for a scope: keys, root and demands. A shorter scope or the default rules then.

        Raises:
            SignatureError: ``trust_unknown``, nothing is written for it.
        """
        with locked(self.path):
            rules = self._load()
            if rules.scope(scope) is None:
                raise SignatureError(f"nothing is written for {scope!r}", hint="see `expert-kit trust list`", code="trust_unknown")
            self._write(replace(rules, policies=tuple(policy for policy in rules.policies if policy.scope != scope)))
        self.events.append(self.now(), "scope_forgotten", scope=scope)

    def remove(self, scope: str, fingerprint: str) -> None:
        """Stop trusting a key for a scope. The scope stays, for what else it demands; without a key it is on first use.

        Raises:
            SignatureError: ``trust_unknown``, there is no such entry.
        """
        with locked(self.path):
            rules = self._load()
            old = rules.scope(scope)
            if old is None or fingerprint not in old.keys:
                raise SignatureError(
                    f"{fingerprint} is not trusted for {scope!r}", hint="see `expert-kit keys list --trusted`", code="trust_unknown"
                )
            keys = tuple(key for key in old.keys if key != fingerprint)
            days = {key: day for key, day in old.expires.items() if key != fingerprint}
            self._save(rules, replace(old, keys=keys, expires=days))
        _log.info("no longer trusted: key %s for %s", fingerprint, scope)
        self.events.append(self.now(), "key_untrusted", scope=scope, key=fingerprint)

    def admit(
        self,
        full_name: str,
        signers: Sequence[str],
        *,
        known: Sequence[str] = (),
        ask: Ask | None = None,
        identity: str = "",
        attestations: Sequence[Attestation] = (),
        unsigned: bool = False,
        trial: bool = False,
    ) -> Admission:
        """Decide whether these signers may speak for ``full_name``. Nothing is written.

        Args:
            full_name: ``ns/name``.
            signers: key ids whose signatures were checked, see ``envelope.verified_signers``.
            known: key ids that signed what is installed under this name.
            ask: called once for each unknown key on first use; without it the answer is no.
            identity: of the package, for revocations.
            attestations: checked ones, see ``attestations.open_attestations``.
            unsigned: the user takes the package without any signature; everything else is checked all the same.
            trial: nothing comes in yet, so nobody is warned.

        Raises:
            SignatureError, CheckUnavailableError: no, with the next command; see ``admission.decide``.
        """
        case = Case(full_name, tuple(signers), tuple(known), identity, tuple(attestations), unsigned, trial)
        policy = self.policy_for(full_name)
        try:
            facts = self._facts(full_name, policy, identity)
        except (SignatureError, CheckUnavailableError) as error:
            if policy.level not in ("audit", "skip"):
                raise
            _log.log(case.warning, "%s: %s", full_name, error.message)
            facts = Facts(policy, self.now())
        return decide(case, facts, ask)

    def check_installed(self, full_name: str, identity: str, signers: Sequence[str], installed: datetime | None) -> None:
        """Refuse an installed package that was revoked since; for the load path, which asks only if a list names it.

        Args:
            full_name: ``ns/name``.
            identity: of the package.
            signers: those it was let in for.
            installed: when; counts like an entry of our log.

        Raises:
            RevokedError: ``package_revoked``, ``signature_key_revoked``.
        """
        policy = self.policy_for(full_name)
        if policy.level == "skip":
            return
        root = self._root(full_name, policy)
        revocations = self._revocations(full_name)

        def seen() -> datetime | None:
            return min((moment for moment in (installed, self.events.first_seen(identity)) if moment is not None), default=None)

        try:
            check_not_revoked(Case(full_name, tuple(signers), identity=identity), Facts(policy, self.now(), root, revocations, seen))
        except SignatureError as error:
            if policy.level != "audit":
                raise
            _log.warning("%s: audit only, %s", full_name, error.message)

    def signers_of(self, full_name: str) -> RoleKeys:
        """Who may sign packages of that name today, and how many of them it takes; nobody yet where it is on first use.

        Raises:
            SignatureError, CheckUnavailableError: the root is not here, or damaged.
        """
        policy = self.policy_for(full_name)
        return Facts(policy, self.now(), self._root(full_name, policy)).allowed

    def authority(self, publisher: str) -> RoleKeys | None:
        """Who may revoke what ``publisher`` made: the keys of ``publisher/*``, or its root's root keys; None if nobody is trusted."""
        rules = self._load()
        policy = rules.scope(f"{publisher}/*")
        if policy is not None and policy.keys:
            return RoleKeys(policy.keys, policy.threshold)
        rooted = authority.rooted(rules, publisher)
        root = None if rooted is None else self._root(rooted.scope, rooted)
        return None if root is None else root.root

    def named_authorities(self, publisher: str) -> dict[str, RoleKeys]:
        """By full name: the keys that are trusted for this name of ``publisher`` alone; they may revoke under this name."""
        return authority.named(self._load(), publisher)

    def remember(self, admission: Admission, full_name: str = "", identity: str = "") -> None:
        """Write the keys that were accepted on first use, and in the log that this package was let in."""
        for use in admission.to_trust:
            self.trust(use.scope, use.key_id)
        if identity:
            self.events.append(
                self.now(), "installed", name=full_name, identity=identity, signers=" ".join(admission.signers), trust=admission.origin
            )

    def _facts(self, full_name: str, policy: Policy, identity: str) -> Facts:
        revocations = self._revocations(full_name)
        return Facts(policy, self.now(), self._root(full_name, policy), revocations, lambda: self.events.first_seen(identity))

    def _revocations(self, full_name: str) -> RevocationList | None:
        found = self.revocations.read(full_name.split("/")[0])
        return None if found is None or not authority.binds(self._load(), full_name, found[1]) else found[0]

    def _root(self, full_name: str, policy: Policy) -> TrustedRoot | None:
        return self.roots.current(full_name.split("/")[0], policy.root)[0] if policy.root else None

    def _change(self, scope: str, changes: Callable[[Policy], dict[str, Any]]) -> Policy:
        if not SCOPE.fullmatch(scope):
            raise SignatureError(f"scope {scope!r} is neither ns/* nor ns/name", hint="for example --scope 'acme/*'", code="trust_invalid")
        with locked(self.path):
            rules = self._load()
            old = rules.scope(scope) or replace(rules.default, scope=scope, level="strict")
            try:
                new = replace(old, **changes(old))
            except ValueError as error:
                hint = f"see `expert-kit trust list`, or edit {self.path}"
                raise SignatureError(f"{scope}: {error}", hint=hint, code="trust_invalid") from error
            self._save(rules, new)
        return new

    def _load(self) -> Rules:
        data = read_own_file(self.path)
        try:
            return parse_rules(data)
        except (ValueError, TypeError, AttributeError) as error:
            raise SignatureError(f"{self.path}: {error}", hint=f"correct {self.path}", code="trust_invalid") from error

    def _save(self, rules: Rules, new: Policy) -> None:
        others = tuple(policy for policy in rules.policies if policy.scope != new.scope)
        self._write(replace(rules, policies=(*others, new)))

    def _write(self, rules: Rules) -> None:
        write_own_file(self.path, render_rules(rules).encode())


def _check_last_day(text: str, now: datetime) -> None:
    hint = "write the last day as YYYY-MM-DD in UTC, from today on; without --expires the key has none"
    try:
        over = end_of_day(text) < now
    except ValueError as error:
        raise SignatureError(f"{text!r} is no day", hint=hint, code="trust_invalid") from error
    if over:
        message = f"{text} is over, so the key could not sign anything"
        raise SignatureError(message, hint=f"{hint}; to take trust back: expert-kit keys untrust", code="trust_invalid")
