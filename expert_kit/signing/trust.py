"""Whom to trust: ``trust.toml`` in the user's folder, policies by scope, the longest matching scope wins.

Where the key bytes come from, when key material inside a package is never a trust input: ``trust.toml`` holds
fingerprints only. A signature line offers a *candidate* key (``envelope.py``); its fingerprint is computed from the
bytes that verified the signature, and that fingerprint must be written in ``trust.toml`` for this scope. A package that
brings another key brings another fingerprint. So ``keys trust`` needs no key file: it takes a fingerprint, and as a
convenience anything that has one, a public key PEM file or the name of one of the user's own keys
(``keys.identify``).

    [[policy]]
    scope = "acme/*"            # "ns/*" or "ns/name"
    level = "strict"            # strict | permissive | audit | skip
    keys = ["sha256:..."]
    threshold = 1               # how many different keys must have signed
    base_match = "family"       # or "exact"

    [default]
    level = "strict"            # never skip
    tofu = "ask"                # ask | never | accept-new

strict and permissive want good signatures by ``threshold`` trusted keys; audit logs what is missing; skip does not look
at signatures. A scope without keys is on first use: ``tofu`` says what happens to an unknown key. A scope with keys
never asks: another key is an error.

An unknown field is refused, since dropping a restriction that a user wrote would be unsafe. expert-kit rewrites the
file as a whole, so comments in it are lost.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from expert_kit.errors import SignatureError, UntrustedKeyError
from expert_kit.signing.keys import key_id, load_public_key

LEVELS = ("strict", "permissive", "audit", "skip")
TOFU = ("ask", "never", "accept-new")
BASE_MATCHES = ("family", "exact")

_PART = "[a-z0-9][a-z0-9-]{0,62}"
_SCOPE = re.compile(rf"{_PART}/(\*|{_PART})")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_BYTES = 1 << 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """What one scope demands; also the rule for every name that no scope matches."""

    scope: str = ""
    """``ns/*`` or ``ns/name``; empty for the default."""
    level: str = "strict"
    keys: tuple[str, ...] = ()
    """Fingerprints that may sign for this scope; none means first use."""
    threshold: int = 1
    base_match: str = "family"
    tofu: str = "ask"
    """Of ``[default]`` only; a scope inherits it."""

    def __post_init__(self) -> None:
        """Refuse a policy that contradicts itself; ``ValueError`` says how."""
        allowed_words = {"level": LEVELS, "tofu": TOFU, "base_match": BASE_MATCHES}
        for name, allowed in allowed_words.items():
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(allowed)}")
        if self.scope and not _SCOPE.fullmatch(self.scope):
            raise ValueError(f"scope {self.scope!r} is neither ns/* nor ns/name")
        if not self.scope and (self.level == "skip" or self.keys):
            raise ValueError("[default] can neither skip signatures nor hold keys: name a scope")
        if not all(isinstance(key, str) and _FINGERPRINT.fullmatch(key) for key in self.keys) or len(set(self.keys)) != len(self.keys):
            raise ValueError("keys must be different fingerprints, sha256:<64 lower-case hex digits>")
        if type(self.threshold) is not int or self.threshold < 1:
            raise ValueError(f"threshold {self.threshold!r} must be an integer of at least 1")


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
        return f"expert-kit keys trust {self.key_id} --scope {self.scope}"


@dataclass(frozen=True)
class Admission:
    """The answer of :meth:`TrustStore.admit`."""

    policy: Policy
    signers: tuple[str, ...]
    """Those of the signers that are trusted for this name."""
    to_trust: tuple[FirstUse, ...] = ()
    """Accepted on first use; not written yet, see :meth:`TrustStore.remember`."""
    warnings: tuple[str, ...] = ()
    """Codes of what was let through."""


@dataclass(frozen=True)
class _Rules:
    default: Policy = field(default_factory=Policy)
    policies: tuple[Policy, ...] = ()


class TrustStore:
    """The policies in ``<home>/trust.toml``; a missing file means strict, and ask on first use."""

    def __init__(self, home: Path) -> None:
        self.path = home / "trust.toml"

    def list(self) -> list[Policy]:
        """Every written scope, sorted; the default is not among them."""
        return sorted(self._load().policies, key=lambda policy: policy.scope)

    def default(self) -> Policy:
        """The rule for names that no scope matches."""
        return self._load().default

    def policy_for(self, full_name: str) -> Policy:
        """The policy of the longest scope that matches ``ns/name``."""
        rules = self._load()
        by_scope = {policy.scope: policy for policy in rules.policies}
        wide = full_name.split("/")[0] + "/*"
        return by_scope.get(full_name) or by_scope.get(wide) or rules.default

    def trust(self, scope: str, fingerprint: str, pem: bytes | None = None) -> Policy:
        """Let a key sign for ``scope`` (``ns/*`` or ``ns/name``), beside the keys that may do so already.

        Args:
            scope: a new scope is strict and takes threshold and base_match from the default.
            fingerprint: the key id.
            pem: the public key, if at hand; checked against the fingerprint and not kept.

        Raises:
            SignatureError: ``trust_invalid``, a bad scope or fingerprint, or a key that has another fingerprint.
        """
        if pem is not None and key_id(load_public_key(pem)) != fingerprint:
            raise SignatureError(f"that public key does not have the fingerprint {fingerprint}", code="trust_invalid")
        with self._locked():
            rules = self._load()
            old = next((policy for policy in rules.policies if policy.scope == scope), None) or self._new_scope(scope, rules.default)
            new = self._checked(old, keys=tuple(dict.fromkeys((*old.keys, fingerprint))))
            self._save(replace(rules, policies=(*(policy for policy in rules.policies if policy.scope != scope), new)))
        _log.info("trusted key %s for %s", fingerprint, scope)
        return new

    def remove(self, scope: str, fingerprint: str) -> None:
        """Stop trusting a key for a scope. The scope stays, for what else it demands; without a key it is on first use.

        Raises:
            SignatureError: ``trust_unknown``, there is no such entry.
        """
        with self._locked():
            rules = self._load()
            old = next((policy for policy in rules.policies if policy.scope == scope and fingerprint in policy.keys), None)
            if old is None:
                raise SignatureError(
                    f"{fingerprint} is not trusted for {scope!r}", hint="see `expert-kit keys list --trusted`", code="trust_unknown"
                )
            others = tuple(policy for policy in rules.policies if policy.scope != scope)
            keys = tuple(key for key in old.keys if key != fingerprint)
            self._save(replace(rules, policies=(*others, replace(old, keys=keys))))
        _log.info("no longer trusted: key %s for %s", fingerprint, scope)

    def admit(
        self,
        full_name: str,
        signers: Sequence[str],
        *,
        known: Sequence[str] = (),
        ask: Callable[[FirstUse], bool] | None = None,
    ) -> Admission:
        """Decide whether these signers may speak for ``full_name``. Nothing is written.

        Args:
            full_name: ``ns/name``.
            signers: key ids whose signatures were checked, see ``envelope.verified_signers``.
            known: key ids that signed what is installed under this name.
            ask: called once for each unknown key on first use; without it the answer is no.

        Raises:
            UntrustedKeyError: no, with the next command; ``signature_key_changed`` where another key was expected,
                ``signature_threshold`` where too few trusted keys signed.
        """
        policy = self.policy_for(full_name)
        trusted = tuple(dict.fromkeys(signer for signer in signers if signer in policy.keys))
        if policy.level == "skip":
            return Admission(policy, (), warnings=("signature_skipped",))
        if len(trusted) >= policy.threshold:
            return Admission(policy, trusted)
        if policy.level == "audit":
            _log.warning("%s: audit only, %d of %d trusted signatures", full_name, len(trusted), policy.threshold)
            return Admission(policy, trusted, warnings=("signature_untrusted_key",))
        if trusted:
            raise _below_threshold(full_name, policy, len(trusted))
        expected = policy.keys or known
        if expected and not set(expected) & set(signers):
            raise _changed_key(full_name, policy, expected, signers)
        return _first_use(full_name, policy, signers, ask)

    def remember(self, admission: Admission) -> None:
        """Write the keys that were accepted on first use."""
        for use in admission.to_trust:
            self.trust(use.scope, use.key_id)

    def _new_scope(self, scope: str, default: Policy) -> Policy:
        if not _SCOPE.fullmatch(scope):
            raise SignatureError(f"scope {scope!r} is neither ns/* nor ns/name", hint="for example --scope acme/*", code="trust_invalid")
        return Policy(scope=scope, threshold=default.threshold, base_match=default.base_match, tofu=default.tofu)

    def _checked(self, policy: Policy, **changes: Any) -> Policy:
        try:
            return replace(policy, **changes)
        except ValueError as error:
            raise SignatureError(f"{policy.scope}: {error}", hint=f"edit {self.path}", code="trust_invalid") from error

    def _load(self) -> _Rules:
        data = _read_own_file(self.path)
        try:
            table = tomllib.loads(data.decode())
            _only(table, {"policy", "default"})
            default = _policy(table.get("default", {}), {"level", "tofu", "base_match", "threshold"})
            policies = tuple(_scoped(entry, default) for entry in table.get("policy", []))
            if len({policy.scope for policy in policies}) != len(policies):
                raise ValueError("one scope stands there twice")
        except (ValueError, TypeError, AttributeError) as error:
            raise SignatureError(f"{self.path}: {error}", hint=f"correct {self.path}", code="trust_invalid") from error
        return _Rules(default, policies)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time reads the file to write it again. The lock lies beside it."""
        lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), mode=0o600)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    def _unwritable(self, error: OSError) -> SignatureError:
        return SignatureError(
            f"cannot write {self.path}: {error.strerror}", hint="check the folder's owner and free space", code="trust_unwritable"
        )

    def _save(self, rules: _Rules) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{uuid4().hex}")
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(_render(rules).encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise self._unwritable(error) from error


def _first_use(full_name: str, policy: Policy, signers: Sequence[str], ask: Callable[[FirstUse], bool] | None) -> Admission:
    scope = policy.scope or full_name.split("/")[0] + "/*"
    uses = [FirstUse(full_name, full_name.split("/")[0], signer, scope) for signer in dict.fromkeys(signers)]
    if policy.tofu == "accept-new":
        accepted = uses
    elif policy.tofu == "ask" and ask is not None:
        accepted = [use for use in uses if ask(use)]
    else:
        accepted = []
    if not accepted:
        raise UntrustedKeyError(
            f"{full_name}: signed by {', '.join(use.key_id for use in uses)}, a key that nobody has trusted for {scope} yet",
            hint=f"compare the fingerprint with the publisher's, then: {uses[0].command}" if uses else "",
        )
    if len(accepted) < policy.threshold:
        raise _below_threshold(full_name, policy, len(accepted))
    for use in accepted:
        _log.warning("first use: %s signed by %s, accepted for %s", full_name, use.key_id, scope)
    return Admission(policy, tuple(use.key_id for use in accepted), tuple(accepted), ("signature_first_use",))


def _below_threshold(full_name: str, policy: Policy, count: int) -> UntrustedKeyError:
    return UntrustedKeyError(
        f"{full_name}: {count} trusted signature(s), the scope {policy.scope or 'default'} wants {policy.threshold}",
        hint="ask the publisher for the missing signatures",
        code="signature_threshold",
    )


def _changed_key(full_name: str, policy: Policy, expected: Sequence[str], signers: Sequence[str]) -> UntrustedKeyError:
    scope = policy.scope or full_name.split("/")[0] + "/*"
    commands = [f"expert-kit keys trust {signer} --scope {scope}" for signer in signers]
    if policy.keys:
        commands += [f"expert-kit keys untrust {key} --scope {scope}" for key in expected]
    return UntrustedKeyError(
        f"{full_name}: signed by {', '.join(signers)}, but {scope} is known to sign with {', '.join(expected)}",
        hint="if the publisher has announced a new key over a channel that you trust, rotate: " + " ; ".join(commands),
        code="signature_key_changed",
    )


def _only(table: dict[str, Any], allowed: set[str]) -> None:
    if unknown := sorted(set(table) - allowed):
        raise ValueError(f"unknown field {unknown[0]!r}; this version knows {', '.join(sorted(allowed))}")


def _policy(table: dict[str, Any], allowed: set[str], **inherited: str) -> Policy:
    _only(table, allowed)
    for name, value in table.items():
        wanted = {"keys": list, "threshold": int}.get(name, str)
        if type(value) is not wanted:
            raise ValueError(f"{name} is not of type {wanted.__name__}")
    return Policy(**{**inherited, **table, "keys": tuple(table.get("keys", ()))})


def _scoped(table: dict[str, Any], default: Policy) -> Policy:
    policy = _policy(table, {"scope", "level", "keys", "threshold", "base_match"}, tofu=default.tofu)
    if not policy.scope:
        raise ValueError("a [[policy]] without a scope")
    return policy


def _read_own_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise SignatureError(f"cannot read {path}: {error.strerror}", hint=f"check the owner of {path}", code="trust_invalid") from error
    if os.name == "posix" and mode & 0o022:
        raise SignatureError(f"{path} has mode {mode:04o}: others may write it", hint=f"chmod 600 {path}", code="trust_mode")
    if len(data) > _MAX_BYTES:
        raise SignatureError(f"{path} is larger than {_MAX_BYTES} bytes", hint=f"correct {path}", code="trust_invalid")
    return data


def _render(rules: _Rules) -> str:
    """TOML text; every value is a checked word, fingerprint or integer, for which JSON and TOML spell alike."""
    blocks = ["# Written by expert-kit; comments are not kept."]
    blocks += [_block("[[policy]]", policy, {"tofu"}) for policy in sorted(rules.policies, key=lambda policy: policy.scope)]
    blocks.append(_block("[default]", rules.default, {"scope", "keys"}))
    return "\n\n".join(blocks) + "\n"


def _block(title: str, policy: Policy, left_out: set[str]) -> str:
    values = {item.name: getattr(policy, item.name) for item in fields(policy) if item.name not in left_out}
    return "\n".join([title, *(f"{name} = {json.dumps(value)}" for name, value in values.items())])
