"""How much each module of an adapter changes its layer, to point a reviewer at what stands out. It proves nothing."""

from __future__ import annotations

import importlib
from statistics import median
from typing import Any

from expert_kit.archive.problems import Problem, Severity
from expert_kit.archive.safetensors_header import TensorInfo, parse_header
from expert_kit.bases import AdapterSpec
from expert_kit.names import printable

OUTLYING_RATIO = 20.0
"""Times the median of the adapter's modules; those of trained adapters stay below some 4."""
OUTLYING_RMS = 1.0
"""Root mean square of a delta. Weights of linear layers have some 0.02 to 0.2."""
_LISTED = 5
_PREFIX, _A, _B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"


def delta_sizes(spec: AdapterSpec, weights: bytes) -> dict[str, float]:
    """Root mean square of ``B @ A`` times its scaling, by module; of a file with a sound header.

    Nothing of the size of a layer is made: the squared norm of ``B @ A`` is the sum over ``(B.T @ B) * (A @ A.T)``.
    """
    # Some 0.1 s, which reading an archive need not pay.
    numpy: Any = importlib.import_module("numpy")
    tensors = parse_header(weights)
    sizes = {}
    for name, info in tensors.items():
        other = tensors.get(name.removesuffix(_A) + _B) if name.endswith(_A) else None
        if other is not None and len(info.shape) == len(other.shape) == 2 and info.shape[0] == other.shape[1]:
            a, b = (_matrix(numpy, weights, one) for one in (info, other))
            module = name.removeprefix(_PREFIX).removesuffix(_A)
            with numpy.errstate(all="ignore"):
                square = float(((b.T @ b) * (a @ a.T)).sum()) / (b.shape[0] * a.shape[1])
            sizes[module] = max(square, 0.0) ** 0.5 * spec.scaling_of(module)
    return sizes


def check_norms(spec: AdapterSpec, weights: bytes, where: str = "adapter_model.safetensors") -> list[Problem]:
    """One warning if there are modules whose change is far from that of the others, or large in itself."""
    sizes = delta_sizes(spec, weights)
    middle = median(sizes.values()) if sizes else 0.0
    odd = {module: size for module, size in sizes.items() if not size <= OUTLYING_RMS or (middle and size > OUTLYING_RATIO * middle)}
    if not odd:
        return []
    listed = ", ".join(f"{printable(module)} {size:.2g}" for module, size in list(odd.items())[:_LISTED])
    message = f"{len(odd)} modules are changed more than usual (root mean square; median {middle:.2g}): {listed}"
    return [Problem("adapter_norm_outlier", Severity.WARNING, where, message)]


def _matrix(numpy: Any, weights: bytes, info: TensorInfo) -> Any:
    body = memoryview(weights)[info.begin : info.end]
    if info.dtype == "BF16":
        values = (numpy.frombuffer(body, "<u2").astype("<u4") << 16).view("<f4")
    else:
        values = numpy.frombuffer(body, {"F32": "<f4", "F16": "<f2"}[info.dtype])
    return values.reshape(info.shape).astype("f4")
