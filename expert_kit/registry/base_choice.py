"""Which base model of a manifest an install counts on, and what is said if there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from expert_kit.bases import BaseComparison, BaseMatch, BaseRecord, compare
from expert_kit.errors import BaseMismatchError
from expert_kit.manifest import BaseEntry, Manifest
from expert_kit.signing import Policy


@dataclass(frozen=True)
class BaseChoice:
    """The base model of the manifest that an install counts on."""

    entry: BaseEntry
    match: str
    """``exact``, ``family`` or ``pending``."""
    record: BaseRecord | None
    """The one that is here; None if pending."""


def choose_base(manifest: Manifest, bases: Sequence[BaseRecord], policy: Policy, *, allow_missing: bool) -> BaseChoice:
    """The best pair of a base model that the expert supports and one that is here.

    Raises:
        BaseMismatchError: ``base_mismatch``, the base of that name here is another one; ``base_not_exact``, only the
            same family and the policy wants more; ``base_missing``, no such base here.
    """
    pairs = [(compare(entry.fingerprint, record.fingerprint), entry, record) for entry, record in product(manifest.bases, bases)]
    for wanted in (BaseMatch.EXACT, BaseMatch.FAMILY):
        for result, entry, record in pairs:
            if result.match is not wanted:
                continue
            if wanted is BaseMatch.FAMILY and policy.base_match == "exact":
                raise _not_exact(manifest, entry, record, result, policy)
            return BaseChoice(entry, result.match.value, record)
    for result, entry, record in pairs:
        if _same_label(entry, record):
            raise _incompatible(manifest, entry, record, result)
    if allow_missing:
        return BaseChoice(manifest.bases[0], "pending", None)
    raise _missing(manifest, bases)


def _same_label(entry: BaseEntry, record: BaseRecord) -> bool:
    ours, theirs = entry.fingerprint, record.fingerprint
    return ours.id == theirs.id or bool(ours.hf_repo and ours.hf_repo == theirs.hf_repo)


def _not_exact(manifest: Manifest, entry: BaseEntry, record: BaseRecord, result: BaseComparison, policy: Policy) -> BaseMismatchError:
    return BaseMismatchError(
        f"{manifest.ref} was made for {_side(entry)}; the base here is {_label(record)} of the same family, different in "
        f'{", ".join(result.differing)}, and trust.toml wants base_match = "exact" for {policy.scope or "every name"}',
        hint=f"get the exact base with `expert-kit base pull {entry.id}`",
        code="base_not_exact",
    )


def _incompatible(manifest: Manifest, entry: BaseEntry, record: BaseRecord, result: BaseComparison) -> BaseMismatchError:
    return BaseMismatchError(
        f"{manifest.ref} was made for {_side(entry)}, but the base here is {_label(record)}: different in {', '.join(result.differing)}",
        hint=f"get the base that it was made for with `expert-kit base pull {entry.id}`, or ask the publisher for a version for yours",
    )


def _missing(manifest: Manifest, bases: Sequence[BaseRecord]) -> BaseMismatchError:
    wanted = " or ".join(_side(entry) for entry in manifest.bases)
    here = ", ".join(_label(record) for record in bases) or "none"
    return BaseMismatchError(
        f"{manifest.ref} was made for {wanted}; base models here: {here}",
        hint=f"expert-kit base pull {manifest.bases[0].id}, or install it before its base with --allow-missing-base",
        code="base_missing",
    )


def _side(entry: BaseEntry) -> str:
    return _names(entry.id, entry.fingerprint.hf_repo)


def _label(record: BaseRecord) -> str:
    return _names(record.fingerprint.id, record.fingerprint.hf_repo)


def _names(label: str, repository: str) -> str:
    return f"{label} ({repository})" if repository else label
