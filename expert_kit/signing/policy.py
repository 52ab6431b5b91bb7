"""``trust.toml``: what each scope demands, the longest matching scope wins.

    [[policy]]
    scope = "acme/*"                            # "ns/*" or "ns/name"
    level = "strict"                            # strict | permissive | audit | skip
    keys = ["sha256:..."]                       # who may sign; or root = "sha256:...", see roots.py
    expires = { "sha256:..." = "2027-06-30" }   # last day of a key
    threshold = 1                               # how many different keys must have signed
    base_match = "family"                       # or "exact"
    require = ["provenance", "eval:gsm8k>=0.30"]
    attesters = ["sha256:..."]                  # whose attestations count beside those of keys

    [default]
    level = "strict"                            # never skip
    tofu = "ask"                                # ask | never | accept-new
    max_stale_days = 30                         # age of a revocation list, at most 3650

An unknown field is refused, since dropping a restriction that a user wrote would be unsafe. expert-kit rewrites the
file as a whole, so comments in it are lost.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final

from expert_kit.signing.dates import end_of_day
from expert_kit.signing.requirements import PROBE, Requirement

LEVELS = ("strict", "permissive", "audit", "skip")
TOFU = ("ask", "never", "accept-new")
BASE_MATCHES = ("family", "exact")
MAX_STALE_DAYS: Final = 3650
"""As long as a revocation list can be made for; more would say nothing."""

_PART = "[a-z0-9][a-z0-9-]{0,62}"
SCOPE = re.compile(rf"{_PART}/(\*|{_PART})")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_OF_DEFAULT = {"level", "tofu", "base_match", "threshold", "max_stale_days", "require", "attesters"}
_OF_SCOPE = {"scope", "level", "keys", "root", "expires", "threshold", "base_match", "max_stale_days", "require", "attesters"}
_ALWAYS_WRITTEN = {"scope", "level", "keys", "threshold", "base_match", "tofu"}
_INHERITED = ("tofu", "max_stale_days")


@dataclass(frozen=True)
class Policy:
    """What one scope demands; also the rule for every name that no scope matches."""

    scope: str = ""
    """``ns/*`` or ``ns/name``; empty for the default."""
    level: str = "strict"
    keys: tuple[str, ...] = ()
    """Fingerprints that may sign for this scope; none, and no root, means first use."""
    threshold: int = 1
    base_match: str = "family"
    tofu: str = "ask"
    """Of ``[default]`` only; a scope inherits it."""
    root: str = ""
    """Digest of the first trusted root of the publisher, which then says who may sign."""
    expires: dict[str, str] = field(default_factory=dict, hash=False)
    """Last day, UTC, of some of ``keys``; the others do not expire."""
    require: tuple[str, ...] = ()
    """Attestations that a package must have, and ``probe``, see ``requirements.py``."""
    attesters: tuple[str, ...] = ()
    """Fingerprints whose attestations count beside those of ``keys``."""
    max_stale_days: int = 30
    """Days after which a revocation list is too old to rely on; a scope inherits it."""

    def __post_init__(self) -> None:
        """Refuse a policy that contradicts itself; ``ValueError`` says how."""
        allowed_words = {"level": LEVELS, "tofu": TOFU, "base_match": BASE_MATCHES}
        for name, allowed in allowed_words.items():
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(allowed)}")
        if self.scope and not SCOPE.fullmatch(self.scope):
            raise ValueError(f"scope {self.scope!r} is neither ns/* nor ns/name")
        if not self.scope and (self.level == "skip" or self.keys):
            raise ValueError("[default] can neither skip signatures nor hold keys: name a scope")
        for name in ("keys", "attesters"):
            _check_fingerprints(name, getattr(self, name))
        for name in ("threshold", "max_stale_days"):
            if type(value := getattr(self, name)) is not int or value < 1:
                raise ValueError(f"{name} {value!r} must be an integer of at least 1")
        if self.max_stale_days > MAX_STALE_DAYS:
            raise ValueError(f"max_stale_days {self.max_stale_days} is more than {MAX_STALE_DAYS}")
        self._check_root()
        self._check_expires()
        for text in self.require:
            Requirement.parse(text)

    def _check_root(self) -> None:
        if self.root and not _FINGERPRINT.fullmatch(self.root):
            raise ValueError("root must be a digest, sha256:<64 lower-case hex digits>")
        if self.root and self.keys:
            raise ValueError("either keys or root: with a root, the root says which keys may sign")

    def _check_expires(self) -> None:
        for key, day in self.expires.items():
            if key not in self.keys:
                raise ValueError(f"expires names {key}, which is not among keys")
            if not isinstance(day, str):
                raise ValueError("a day in expires is a text like '2027-06-30'")
            end_of_day(day)

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """``require``, parsed."""
        return tuple(Requirement.parse(text) for text in self.require)

    @property
    def wants_probe(self) -> bool:
        """Whether an expert has to bring a probe, which shows that it acts on the base model here as on its publisher's."""
        return any(one.kind == PROBE for one in self.requirements)

    def expired_keys(self, now: datetime) -> frozenset[str]:
        """Those of ``keys`` whose last day is over."""
        return frozenset(key for key, day in self.expires.items() if end_of_day(day) < now)


@dataclass(frozen=True)
class Rules:
    """The whole file."""

    default: Policy = field(default_factory=Policy)
    policies: tuple[Policy, ...] = ()

    def policy_for(self, full_name: str) -> Policy:
        """The policy of the longest scope that matches ``ns/name``."""
        wide = full_name.split("/")[0] + "/*"
        return self.scope(full_name) or self.scope(wide) or self.default

    def scope(self, scope: str) -> Policy | None:
        """The policy that is written for exactly this scope."""
        return next((policy for policy in self.policies if policy.scope == scope), None)


def parse_rules(data: bytes) -> Rules:
    """The rules that the bytes of a ``trust.toml`` say; no bytes mean the defaults.

    Raises:
        ValueError, TypeError, AttributeError: it is not one that we understand as a whole.
    """
    table = tomllib.loads(data.decode())
    _only(table, {"policy", "default"})
    default = _policy(table.get("default", {}), _OF_DEFAULT)
    policies = tuple(_scoped(entry, default) for entry in table.get("policy", []))
    if len({policy.scope for policy in policies}) != len(policies):
        raise ValueError("one scope stands there twice")
    return Rules(default, policies)


def render_rules(rules: Rules) -> str:
    """TOML text; every value is a checked word, fingerprint, day or integer, for which JSON and TOML spell alike."""
    blocks = ["# Written by expert-kit; comments are not kept."]
    inherited = {name: getattr(rules.default, name) for name in _INHERITED}
    blocks += [_block("[[policy]]", policy, {"tofu"}, inherited) for policy in sorted(rules.policies, key=lambda policy: policy.scope)]
    blocks.append(_block("[default]", rules.default, {"scope", "keys"}, {}))
    return "\n\n".join(blocks) + "\n"


def _block(title: str, policy: Policy, left_out: set[str], inherited: dict[str, Any]) -> str:
    """Newer fields are written only where they say something, so that an older expert-kit can read what it can obey."""
    usual = Policy(**inherited)
    values = {item.name: getattr(policy, item.name) for item in fields(policy) if item.name not in left_out}
    kept = {name: value for name, value in values.items() if name in _ALWAYS_WRITTEN or value != getattr(usual, name)}
    return "\n".join([title, *(f"{name} = {_toml(value)}" for name, value in kept.items())])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {json.dumps(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def _only(table: dict[str, Any], allowed: Iterable[str]) -> None:
    if unknown := sorted(set(table) - set(allowed)):
        raise ValueError(f"unknown field {unknown[0]!r}; this version knows {', '.join(sorted(allowed))}")


def _policy(table: dict[str, Any], allowed: set[str], **inherited: Any) -> Policy:
    _only(table, allowed)
    kinds: dict[str, type] = {"threshold": int, "max_stale_days": int, "expires": dict, "keys": list, "require": list, "attesters": list}
    for name, value in table.items():
        wanted = kinds.get(name, str)
        if type(value) is not wanted:
            raise ValueError(f"{name} is not of type {wanted.__name__}")
    values = {name: tuple(value) if type(value) is list else value for name, value in table.items()}
    return Policy(**{**inherited, **values})


def _scoped(table: dict[str, Any], default: Policy) -> Policy:
    policy = _policy(table, _OF_SCOPE, **{name: getattr(default, name) for name in _INHERITED})
    if not policy.scope:
        raise ValueError("a [[policy]] without a scope")
    return policy


def _check_fingerprints(name: str, values: tuple[Any, ...]) -> None:
    if not all(isinstance(key, str) and _FINGERPRINT.fullmatch(key) for key in values) or len(set(values)) != len(values):
        raise ValueError(f"{name} must be different fingerprints, sha256:<64 lower-case hex digits>")
