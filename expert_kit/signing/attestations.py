"""What somebody says about a package, signed: how it was made, what it scored, where it came from.

An attestation is a bundle line (``envelope.py``) over an in-toto Statement v1 whose subject is the package identity, so
it can be added at any time and changes nothing else. Unlike a signature's statement it cannot be rebuilt: the payload is
read, but only after its signature verified, and only in canonical form.

The predicate is that of the public specification of its kind, stored as it was given. Of an ``eval`` (in-toto
test-result v0.1) we also read ``metrics``, rows of ``suite, metric, n, value_ppm`` and optionally ``data_sha256``; the
specification lets a predicate have fields of its own.

Source: in-toto Statement v1; SLSA provenance v1; in-toto test-result v0.1; CycloneDX.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import rfc8785

from expert_kit.errors import SignatureError
from expert_kit.signing.canonical import check_fields, parse_canonical
from expert_kit.signing.envelope import open_line, sign, split_lines
from expert_kit.signing.keys import PrivateKey

PREDICATES: Final = {
    "provenance": "https://slsa.dev/provenance/v1",
    "eval": "https://in-toto.io/attestation/test-result/v0.1",
    "bom": "https://cyclonedx.org/bom",
    "import": "urn:expert-kit:import:v1",
}
"""Kinds by our short name; other predicate types are shown, and mean nothing to us."""

MAX_ATTESTATIONS = 64
MAX_VALUES = 1 << 17
"""Of all attestations of a package, about: their commas. Anybody can sign one, so it is read before anybody is trusted."""
_STATEMENT = "https://in-toto.io/Statement/v1"
_FIELDS: dict[str, type] = {"_type": str, "subject": list, "predicateType": str, "predicate": dict}
_REQUIRED = {
    "provenance": ("buildDefinition", "runDetails"),
    "eval": ("result", "configuration", "metrics"),
    "bom": ("bomFormat", "specVersion"),
    "import": ("source",),
}
_MOST_PERPLEXED: Final = 1_000_000_000
_METRIC: dict[str, type] = {"suite": str, "metric": str, "n": int, "value_ppm": int, "data_sha256": str}


@dataclass(frozen=True)
class Attestation:
    """One attestation whose signature and subject were checked; whether its signer counts is for the policy to say."""

    kind: str
    """A key of ``PREDICATES``; for another predicate type that type itself."""
    signer: str
    """Key id."""
    predicate: Mapping[str, Any]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Measured results of an ``eval``."""
        rows: list[dict[str, Any]] = self.predicate["metrics"] if self.kind == "eval" else []
        return rows


def attest(identity: str, label: str, kind: str, predicate: Mapping[str, Any], key: PrivateKey) -> bytes:
    """Sign an attestation about a package; one bundle line without a line end.

    Args:
        identity: of the package, ``sha256:<hex>``.
        label: its name for people, ``ns.name-version``.
        kind: a key of ``PREDICATES``.
        predicate: JSON data, see the module's text for what the kinds need.
        key: see ``keys.load_private_key``.

    Raises:
        SignatureError: ``attestation_invalid``, no such kind, or the predicate lacks what its kind needs.
    """
    if kind not in PREDICATES:
        raise _invalid(f"type {kind!r}: use one of {', '.join(PREDICATES)}", "name one of them with --type")
    try:
        _check_predicate(kind, predicate)
        payload = rfc8785.dumps(
            {
                "_type": _STATEMENT,
                "subject": [{"name": label, "digest": {"sha256": identity.removeprefix("sha256:")}}],
                "predicateType": PREDICATES[kind],
                "predicate": dict(predicate),
            }
        )
    except ValueError as error:
        hint = "correct the file; docs/trust.md says what each type must have"
        raise _invalid(f"this is no {kind} predicate: {error}", hint) from error
    return sign(payload, key)


def eval_predicate(results: Sequence[Mapping[str, Any]], data: Mapping[str, str] | None = None, failed: bool = False) -> dict[str, Any]:
    """The predicate of an ``eval`` attestation from the ``results`` of an evaluation report.

    Args:
        results: rows of ``suite``, ``metric``, ``n`` and ``expert``, a share of 1; a ``perplexity`` may be larger.
        data: digest of the data of a suite, ``sha256:<hex>``, by suite.
        failed: the one who measured rejects the package.

    Raises:
        SignatureError: ``attestation_invalid``, a row lacks something or has a number out of its range.
    """
    try:
        metrics = [_metric(row, (data or {}).get(row["suite"])) for row in results]
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise _invalid(f"this is no evaluation report: {error!r}", "make one with: expert-kit eval ... --report FOLDER") from error
    if unknown := sorted(set(data or {}) - {row["suite"] for row in metrics}):
        raise _invalid(f"the report has no suite {unknown[0]!r}", "name a suite of the report with --data SUITE=FILE")
    return {"result": "FAILED" if failed else "PASSED", "configuration": [], "metrics": metrics}


def _metric(row: Mapping[str, Any], digest: str | None) -> dict[str, Any]:
    share = Decimal(str(row["expert"]))
    if not 0 <= share <= (_MOST_PERPLEXED if row["metric"] == "perplexity" else 1):
        raise ValueError(f"a {row['metric']} of {share}")
    metric = {"suite": row["suite"], "metric": row["metric"], "n": row["n"], "value_ppm": int(share * 1_000_000)}
    return metric if digest is None else {**metric, "data_sha256": digest}


def open_attestations(members: Iterable[bytes], identity: str) -> tuple[Attestation, ...]:
    """Every attestation in the bodies of ``META/attestations/*.jsonl``; one bad line refuses all of them.

    Raises:
        SignatureError: a line is malformed or does not verify; ``attestation_subject``, it is about another package;
            ``attestation_invalid``.
    """
    lines = [line for member in members for line in split_lines(member)]
    if len(lines) > MAX_ATTESTATIONS:
        raise _invalid(f"more than {MAX_ATTESTATIONS} attestations")
    opened = [open_line(line) for line in lines]
    if sum(payload.count(b",") for payload, _ in opened) > MAX_VALUES:
        raise _invalid(f"more than {MAX_VALUES} values")
    return tuple(_read(payload, signer, identity) for payload, signer in opened)


def add_attestation(member: bytes, line: bytes) -> bytes:
    """The body of the member with this line at the end, if it is not in it already."""
    lines = split_lines(member)
    return member if line in lines else member + line + b"\n"


def counted(attestations: Sequence[Attestation], keys: Iterable[str]) -> tuple[Attestation, ...]:
    """Those that are signed by one of ``keys``."""
    allowed = set(keys)
    return tuple(attestation for attestation in attestations if attestation.signer in allowed)


def _read(payload: bytes, signer: str, identity: str) -> Attestation:
    try:
        statement = check_fields(parse_canonical(payload), _FIELDS)
        if statement["_type"] != _STATEMENT:
            raise ValueError("not an in-toto Statement v1")
        subject = _only_subject(statement["subject"])
        kinds = {uri: kind for kind, uri in PREDICATES.items()}
        kind = kinds.get(statement["predicateType"], statement["predicateType"])
        _check_predicate(kind, statement["predicate"])
    except ValueError as error:
        raise _invalid(str(error)) from error
    if subject != identity.removeprefix("sha256:"):
        raise SignatureError("an attestation is about another package", hint="ask for a new archive", code="attestation_subject")
    return Attestation(kind, signer, statement["predicate"])


def _only_subject(subjects: list[Any]) -> str:
    if len(subjects) != 1:
        raise ValueError("not exactly one subject")
    subject = check_fields(subjects[0], {"name": str, "digest": dict})
    digest: str = check_fields(subject["digest"], {"sha256": str})["sha256"]
    return digest


def _check_predicate(kind: str, predicate: Mapping[str, Any]) -> None:
    for name in _REQUIRED.get(kind, ()):
        if name not in predicate:
            raise ValueError(f"the field {name!r} is missing")
    if kind == "eval":
        if predicate["result"] not in ("PASSED", "WARNED", "FAILED"):
            raise ValueError("result is none of PASSED, WARNED, FAILED")
        if not isinstance(predicate["metrics"], list):
            raise ValueError("metrics is not a list")
        for row in predicate["metrics"]:
            check_fields(row, _METRIC, optional=frozenset({"data_sha256", "metric", "n"}))


def _invalid(what: str, hint: str = "ask the one who signed it for a new one") -> SignatureError:
    return SignatureError(f"attestation: {what}", hint=hint, code="attestation_invalid")
