"""What ``require`` in ``trust.toml`` may ask of a package's attestations.

``provenance``, ``import`` or ``bom``: one of that kind. ``eval:SUITE``: a measured result, with ``>=0.30`` a result of at
least that share, and with ``@sha256:...`` one on the data of that digest: ``eval:gsm8k>=0.30@sha256:...``.

``probe`` is about the package itself, not about an attestation: whoever looks into it checks that, see ``Policy.wants_probe``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from expert_kit.signing.attestations import Attestation

PROBE = "probe"
_WHOLE_PPM = 1_000_000
_PLAIN = ("provenance", "import", "bom", PROBE)
_EVAL = re.compile(
    r"eval:(?P<suite>[A-Za-z0-9][A-Za-z0-9._/-]{0,127})(>=(?P<least>[0-9]+(\.[0-9]{1,6})?))?(@(?P<data>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Requirement:
    """One entry of ``require``."""

    text: str
    kind: str
    suite: str = ""
    least_ppm: int | None = None
    """In millionths."""
    data: str = ""
    """Digest of the data that was measured on; empty for any."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take the written form; ValueError if it is none."""
        if text in _PLAIN:
            return cls(text, text)
        match = _EVAL.fullmatch(text)
        if match is None:
            raise ValueError(f"require: {text!r} is none of {', '.join(_PLAIN)}, eval:SUITE, eval:SUITE>=0.30@sha256:...")
        least = None if match["least"] is None else int(Decimal(match["least"]) * _WHOLE_PPM)
        if least is not None and least > _WHOLE_PPM:
            raise ValueError(f"require: {text!r} can never be met, a share is at most 1, such as 0.30")
        return cls(text, "eval", match["suite"], least, match["data"] or "")

    def is_met(self, attestations: Sequence[Attestation]) -> bool:
        """Whether one of these attestations, which are all by keys that count, says so."""
        return any(self._is_met_by(attestation) for attestation in attestations if attestation.kind == self.kind)

    def _is_met_by(self, attestation: Attestation) -> bool:
        if self.kind != "eval":
            return True
        return attestation.predicate["result"] != "FAILED" and any(self._fits(row) for row in attestation.metrics)

    def _fits(self, row: dict[str, Any]) -> bool:
        enough = self.least_ppm is None or row["value_ppm"] >= self.least_ppm
        return row["suite"] == self.suite and enough and self.data in ("", row.get("data_sha256", ""))
