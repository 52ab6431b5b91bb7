"""Makes golden-logit probes for a publisher, and measures them again for an installer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from expert_kit.adapters import BaseModel, load_base, probe_logits, probe_prompts, read_adapter
from expert_kit.archive import MAX_PROBE_IDS, PROBE_PROMPTS, PROBE_TOP, MeasuredPrompt, Probe, ProbePrompt
from expert_kit.base_models import BaseStore
from expert_kit.bases import AdapterSpec, BaseRecord
from expert_kit.errors import BaseModelError
from expert_kit.registry import paths
from expert_kit.registry.probes import ProbeJob

FindFolder = Callable[[BaseRecord], Path]


class ProbeBench:
    """A base model in float32 on the CPU, kept between probes until another one is asked for.

    Not for several threads.
    """

    def __init__(self, find: FindFolder | None = None, *, loaded: BaseModel | None = None) -> None:
        """Take how to find the folder of a base model, the user's store if not given, and one that is in memory already."""
        self._find = find or stored_folder
        self._base = loaded if loaded is not None and is_reference(loaded) else None

    def make(self, record: BaseRecord, spec: AdapterSpec, weights: bytes, texts: Sequence[str]) -> Probe:
        """The probe of an adapter, at prompts from ``texts`` as far as there are enough.

        Raises:
            BaseModelError: the base model is not here. IncompatibleAdapterError: the adapter does not fit it.
        """
        base = self._load(record)
        prompts = probe_prompts(base.tokenizer, texts, PROBE_PROMPTS, MAX_PROBE_IDS)
        with _one_thread():
            found = probe_logits(base, read_adapter(weights, spec, base), prompts)
        return Probe(
            tuple(ProbePrompt(tuple(ids), tuple(logits.milli(logits.top(PROBE_TOP)))) for ids, logits in zip(prompts, found, strict=True))
        )

    def measure(self, probe: Probe, record: BaseRecord, spec: AdapterSpec, weights: bytes) -> list[MeasuredPrompt]:
        """The same logits, here.

        Raises:
            see :meth:`make`.
        """
        base = self._load(record)
        found = probe_logits(base, read_adapter(weights, spec, base), [prompt.ids for prompt in probe.prompts])
        return [
            MeasuredPrompt(int(logits.base.argmax()), tuple(logits.milli([token for token, _, _ in prompt.logits])))
            for prompt, logits in zip(probe.prompts, found, strict=True)
        ]

    def run(self, job: ProbeJob) -> list[MeasuredPrompt]:
        """A ``ProbeRunner``."""
        return self.measure(job.probe, job.record, job.spec, job.weights)

    def _load(self, record: BaseRecord) -> BaseModel:
        if self._base is None or self._base.record != record:
            self._base = None  # room for the next one
            self._base = load_base(self._find(record), record, device="cpu", dtype="float32")
        return self._base


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order, so that one machine gives one file, however many processors are idle."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def is_reference(base: BaseModel) -> bool:
    """Whether this is a base model as probes want it: float32 on the CPU, not quantised."""
    return base.quantization == "none" and base.device.type == "cpu" and base.model.dtype is torch.float32


def stored_folder(record: BaseRecord) -> Path:
    """Folder of a base model in the user's store.

    Raises:
        BaseModelError: ``base_not_pulled``.
    """
    entry = BaseStore(paths.bases_dir()).get(record.fingerprint.id)
    if entry.record != record:
        raise BaseModelError(
            f"the base model {record.fingerprint.id} here is another one than it was a moment ago",
            hint="run the command again",
            code="base_not_pulled",
        )
    return entry.folder
