"""Weights in another number format, and what the change of format did, as results that go into the manifest.

Converting loses bits, so it happens only on request and is never silent: the manifest says how far the logits of the
probe moved, and how the accuracy changed where the author had it measured.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from statistics import median
from typing import Any

from expert_kit.archive.probe import MeasuredPrompt, Probe
from expert_kit.archive.safetensors_header import parse_header, write_header
from expert_kit.errors import UsageError
from expert_kit.manifest import BaseId, EvalResult

BFLOAT16 = "BF16"
PREFIX = "conversion:F32-BF16"
"""What the ``suite`` of every such result begins with."""
_MICRO_PER_MILLI = 1000


def to_bfloat16(weights: bytes) -> bytes:
    """A safetensors file of float32 tensors with each value rounded to the nearest bfloat16, ties to even.

    Args:
        weights: finite values only; a value above the largest bfloat16 becomes infinite, which the checks of packing refuse.

    Raises:
        UsageError: ``conversion_source``, a tensor is not float32.
    """
    numpy: Any = importlib.import_module("numpy")
    tensors = parse_header(weights)
    others = sorted({info.dtype for info in tensors.values()} - {"F32"})
    if others:
        raise UsageError(
            f"only float32 weights are converted, these are {', '.join(others)}", hint="leave out --dtype", code="conversion_source"
        )
    body = memoryview(weights)
    header = write_header({name: (BFLOAT16, info.shape) for name, info in tensors.items()})
    pieces = []
    for info in tensors.values():
        bits = numpy.frombuffer(body[info.begin : info.end], "<u4")
        pieces.append(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes())
    return header + b"".join(pieces)


def logit_changes(probe: Probe, before: Sequence[MeasuredPrompt], base: BaseId) -> tuple[EvalResult, ...]:
    """How far the logits with the adapter moved: the largest and the median change, in millionths of a logit.

    Args:
        probe: measured with the converted weights.
        before: the same prompts with the weights as they were.
        base: the base model of both.
    """
    changes = [
        abs(new[2] - old[2])
        for prompt, found in zip(probe.prompts, before, strict=True)
        for new, old in zip(prompt.logits, found.logits, strict=True)
    ]
    values = {"logit-change-max": max(changes), "logit-change-median": round(median(changes))}
    return tuple(
        EvalResult(suite=f"{PREFIX}/probe", metric=metric, n=len(changes), value_ppm=value * _MICRO_PER_MILLI, base=base)
        for metric, value in values.items()
    )


def accuracy_change(suite: str, n: int, before: float, after: float, data_sha256: str, base: BaseId) -> tuple[EvalResult, ...]:
    """Accuracy on one test set with the weights as they were and as they are packed."""
    values = {"accuracy-before": before, "accuracy-after": after}
    return tuple(
        EvalResult.model_validate(
            {
                "suite": f"{PREFIX}/{suite}",
                "metric": metric,
                "n": n,
                "value_ppm": round(value * 1_000_000),
                "base": base,
                "data_sha256": f"sha256:{data_sha256}",
            }
        )
        for metric, value in values.items()
    )
