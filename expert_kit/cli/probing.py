"""Measures golden-logit probes for the commands that need them; torch is imported when the first one is measured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from expert_kit.cli.output import note
from expert_kit.cli.quiet import quiet_libraries
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.archive import MeasuredPrompt, Probe
    from expert_kit.bases import AdapterSpec, BaseRecord
    from expert_kit.inference import ProbeBench
    from expert_kit.registry.probes import ProbeJob


class Probing:
    """A ``ProbeMaker`` for packing, and with :meth:`run` a ``ProbeRunner`` for installing, that says what it is doing."""

    def make(self, record: BaseRecord, spec: AdapterSpec, weights: bytes, texts: Sequence[str]) -> Probe:
        """See ``ProbeBench.make``."""
        note(f"measuring what the adapter does on {printable(record.fingerprint.id)} ...")
        return self._bench.make(record, spec, weights, texts)

    def measure(self, probe: Probe, record: BaseRecord, spec: AdapterSpec, weights: bytes) -> list[MeasuredPrompt]:
        """See ``ProbeBench.measure``."""
        return self._bench.measure(probe, record, spec, weights)

    def run(self, job: ProbeJob) -> list[MeasuredPrompt]:
        """See ``ProbeBench.run``."""
        note(f"checking that {printable(job.label)} acts on {printable(job.record.fingerprint.id)} as its publisher says ...")
        return self._bench.run(job)

    @cached_property
    def _bench(self) -> ProbeBench:
        quiet_libraries()
        from expert_kit.inference import ProbeBench

        return ProbeBench()
