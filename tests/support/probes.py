"""Probes made of numbers alone, and what an installer might measure for them. No model, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from expert_kit.archive import MeasuredPrompt, Probe, ProbePrompt
from expert_kit.bases import AdapterSpec, BaseRecord
from expert_kit.registry.probes import ProbeJob


def some_probe(seed: int = 0) -> Probe:
    """Four prompts with two moved logits each."""
    return Probe(
        tuple(
            ProbePrompt((at + 1, at + 2), ((at, 9000, 9000 - 700), (at + 10, 4000 + seed, 8000), (at + 20, 3000, 3000))) for at in range(4)
        )
    )


def measured(probe: Probe, *, shift: int = 0, strength: float = 1.0, other_top: int = 0) -> list[MeasuredPrompt]:
    """The same numbers; ``shift`` moves every logit, ``strength`` scales the effect, ``other_top`` prompts have another top token."""
    return [
        MeasuredPrompt(
            max(prompt.top_tokens) + (1 if at < other_top else 0),
            tuple((token, base + shift, base + shift + round((adapted - base) * strength)) for token, base, adapted in prompt.logits),
        )
        for at, prompt in enumerate(probe.prompts)
    ]


@dataclass
class FakeProbes:
    """A ``ProbeMaker`` and ``ProbeRunner`` that runs no model: it stores and measures given numbers, and counts."""

    probe: Probe = field(default_factory=some_probe)
    found: list[MeasuredPrompt] | None = None
    """What it measures; the stored numbers if not given."""
    asked: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    """Base and texts of every probe that was made."""
    runs: int = 0

    def make(self, record: BaseRecord, spec: AdapterSpec, weights: bytes, texts: Sequence[str]) -> Probe:
        """The given probe."""
        self.asked.append((record.fingerprint.id, list(texts)))
        return self.probe

    def measure(self, probe: Probe, record: BaseRecord, spec: AdapterSpec, weights: bytes) -> list[MeasuredPrompt]:
        """The given measurement."""
        return self.found if self.found is not None else measured(probe)

    def run(self, job: ProbeJob) -> list[MeasuredPrompt]:
        """As a ``ProbeRunner``."""
        self.runs += 1
        return self.measure(job.probe, job.record, job.spec, job.weights)
