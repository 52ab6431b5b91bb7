"""The golden-logit probe: the numbers that a publisher measured, and how near an installer's must come.

A probe shows that an adapter acts on the base model here roughly as on the publisher's. It is no test of quality. The
publisher supplies numbers; every tolerance is the installer's, and all of them stand in this module. They are starting
values. Nothing here runs a model: ``adapters/probe.py`` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import rfc8785

from expert_kit.archive.problems import Problem, refused
from expert_kit.bases import BaseMatch
from expert_kit.errors import IncompatibleAdapterError, ManifestError
from expert_kit.manifest import parse_canonical

SCHEMA = "probe/1"
PROBE_PROMPTS = 4
MAX_PROBE_IDS = 16
"""Token ids of a prompt."""
PROBE_TOP = 8
"""Likeliest tokens that are stored: the union of the base's and the adapted model's."""

MIN_MOVE = 50
"""Milli-logits by which one stored logit must move at least, or the adapter does nothing."""
EXACT_DIFFERENCE = 50
"""Milli-logits by which any stored logit may differ on the very same base model."""
EXACT_COSINE = 0.99
FAMILY_MEDIAN = 500
"""Milli-logits of the median difference on another copy of the base model."""
FAMILY_COSINE = 0.9
FAMILY_SAME_TOP = 3
"""Prompts of :data:`PROBE_PROMPTS` on which the bare base must still find the same token likeliest."""
MIN_NORM_SHARE = 0.5
"""Share of the stored effect's norm that must be measured here."""

_MAX_LOGIT = 10**9
_MAX_TOKEN = 1 << 31

Triple = tuple[int, int, int]
"""Token id, logit of the bare base, logit with the adapter; logits in thousandths."""


@dataclass(frozen=True)
class ProbePrompt:
    """Token ids of a prompt, and the logits behind its last token, sorted by token id."""

    ids: tuple[int, ...]
    logits: tuple[Triple, ...]

    @property
    def top_tokens(self) -> frozenset[int]:
        """The tokens that the publisher's bare base found likeliest; several if they tie in thousandths."""
        highest = max(base for _, base, _ in self.logits)
        return frozenset(token for token, base, _ in self.logits if base == highest)


@dataclass(frozen=True)
class Probe:
    """What ``probe/<n>.json`` says."""

    prompts: tuple[ProbePrompt, ...]

    def to_bytes(self) -> bytes:
        """RFC 8785 bytes; :func:`parse_probe` takes them."""
        prompts: list[Any] = [{"ids": list(prompt.ids), "logits": [list(triple) for triple in prompt.logits]} for prompt in self.prompts]
        return rfc8785.dumps({"prompts": prompts, "schema": SCHEMA})

    @property
    def largest_move(self) -> int:
        """Milli-logits by which the adapter moves a stored logit at most."""
        return max(abs(adapted - base) for prompt in self.prompts for _, base, adapted in prompt.logits)


@dataclass(frozen=True)
class MeasuredPrompt:
    """The same prompt on a base model here."""

    top: int
    """The token that the bare base finds likeliest of its whole vocabulary."""
    logits: tuple[Triple, ...]
    """For the token ids of the stored prompt, in their order."""


@dataclass(frozen=True)
class ProbeResult:
    """How the adapter acts here, against what its publisher measured."""

    match: BaseMatch
    no_effect: bool
    """The adapter moves the logits by less than half of what it should."""
    difference: int
    """Largest difference of a logit, milli-logits."""
    median_difference: int
    cosine_ppm: int
    """Cosine of the two effects, in millionths."""
    norm_ppm: int
    """Norm of the effect here as a share of the stored one, in millionths."""
    same_top: int
    """Prompts on which the bare base finds the same token likeliest."""

    def describe(self) -> str:
        """The numbers in words."""
        return (
            f"logits differ by {self.difference / 1000:.3f} at most and {self.median_difference / 1000:.3f} in the median, "
            f"cosine of the effects {self.cosine_ppm / 1e6:.3f}, strength {self.norm_ppm / 1e4:.0f} %, "
            f"same likeliest token on {self.same_top} of {PROBE_PROMPTS} prompts"
        )


def parse_probe(data: bytes, vocab_size: int = _MAX_TOKEN) -> Probe:
    """Read a probe.

    Args:
        data: the whole member.
        vocab_size: of the base model that it is for.

    Raises:
        IncompatibleAdapterError: ``probe_invalid``, not such a file.
    """
    try:
        value = parse_canonical(data)
    except ManifestError as error:
        raise _invalid(error.message) from error
    if not isinstance(value, dict) or value.keys() != {"schema", "prompts"} or value["schema"] != SCHEMA:
        raise _invalid(f"not an object with the schema {SCHEMA} and prompts")
    rows = value["prompts"]
    if not isinstance(rows, list) or len(rows) != PROBE_PROMPTS:
        raise _invalid(f"not {PROBE_PROMPTS} prompts")
    return Probe(tuple(_prompt(row, vocab_size) for row in rows))


def check_probe(data: bytes, where: str, vocab_size: int = _MAX_TOKEN) -> list[Problem]:
    """Problems of a probe that show without a model: its form, and numbers that say that the adapter does nothing."""
    try:
        probe = parse_probe(data, vocab_size)
    except IncompatibleAdapterError as error:
        return [refused(error.code, where, error.message)]
    if probe.largest_move < MIN_MOVE:
        message = f"the adapter moves no logit by {MIN_MOVE / 1000} or more: it does nothing"
        return [refused("probe_no_effect", where, message)]
    return []


def classify_probe(probe: Probe, measured: Sequence[MeasuredPrompt], digests: BaseMatch) -> ProbeResult:
    """Judge what was measured here.

    Args:
        probe: the publisher's numbers.
        measured: one for each prompt, in order.
        digests: what the fingerprints of the two base models say, ``exact`` or ``family``; the result is this class or
            ``incompatible``. Equal digests leave no excuse: a probe that fails then is refused, not called family.
    """
    pairs = [(stored, here) for row, found in zip(probe.prompts, measured, strict=True) for stored, here in _pairs(row, found)]
    differences = [abs(one - other) for stored, here in pairs for one, other in zip(stored[1:], here[1:], strict=True)]
    cosine, share = _compare_effects([(stored[2] - stored[1], here[2] - here[1]) for stored, here in pairs])
    result = ProbeResult(
        match=digests,
        no_effect=share < MIN_NORM_SHARE,
        difference=max(differences),
        median_difference=round(median(differences)),
        cosine_ppm=round(cosine * 1e6),
        norm_ppm=min(round(share * 1e6), 10**12),
        same_top=sum(found.top in row.top_tokens for row, found in zip(probe.prompts, measured, strict=True)),
    )
    passed = {BaseMatch.EXACT: _is_exact, BaseMatch.FAMILY: _is_family}.get(digests, _never)(result, cosine)
    return result if passed and not result.no_effect else ProbeResult(**{**vars(result), "match": BaseMatch.INCOMPATIBLE})


def _is_exact(result: ProbeResult, cosine: float) -> bool:
    return result.difference <= EXACT_DIFFERENCE and cosine >= EXACT_COSINE


def _is_family(result: ProbeResult, cosine: float) -> bool:
    return result.median_difference <= FAMILY_MEDIAN and result.same_top >= FAMILY_SAME_TOP and cosine >= FAMILY_COSINE


def _never(result: ProbeResult, cosine: float) -> bool:
    return False


def _pairs(stored: ProbePrompt, measured: MeasuredPrompt) -> Iterator[tuple[Triple, Triple]]:
    if [triple[0] for triple in stored.logits] != [triple[0] for triple in measured.logits]:
        raise ValueError("measured other tokens than the probe stores")
    return zip(stored.logits, measured.logits, strict=True)


def _compare_effects(effects: Iterable[tuple[int, int]]) -> tuple[float, float]:
    """Cosine of the stored and the measured effect, and the ratio of their norms."""
    stored, here = zip(*effects, strict=True)
    norm, other = math.hypot(*stored), math.hypot(*here)
    if not norm or not other:
        return 0.0, 0.0
    return sum(one * two for one, two in zip(stored, here, strict=True)) / (norm * other), other / norm


def _prompt(row: Any, vocab_size: int) -> ProbePrompt:
    if not isinstance(row, dict) or row.keys() != {"ids", "logits"}:
        raise _invalid("a prompt is not ids and logits")
    ids, triples = row["ids"], row["logits"]
    if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_PROBE_IDS or not all(_is_token(token, vocab_size) for token in ids):
        raise _invalid(f"ids are not 1 to {MAX_PROBE_IDS} tokens of the base model")
    if not isinstance(triples, list) or not 1 <= len(triples) <= 2 * PROBE_TOP or not all(_is_triple(one, vocab_size) for one in triples):
        raise _invalid(f"logits are not 1 to {2 * PROBE_TOP} triples of a token of the base model and two numbers")
    tokens = [triple[0] for triple in triples]
    if tokens != sorted(set(tokens)):
        raise _invalid("logits are not sorted by token, each once")
    return ProbePrompt(tuple(ids), tuple((token, base, adapted) for token, base, adapted in triples))


def _is_token(value: object, vocab_size: int) -> bool:
    return isinstance(value, int) and 0 <= value < vocab_size


def _is_triple(value: object, vocab_size: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and _is_token(value[0], vocab_size)
        and all(isinstance(logit, int) and abs(logit) <= _MAX_LOGIT for logit in value[1:])
    )


def _invalid(message: str) -> IncompatibleAdapterError:
    return IncompatibleAdapterError(f"not a probe: {message}", hint="ask the publisher for a new archive", code="probe_invalid")
