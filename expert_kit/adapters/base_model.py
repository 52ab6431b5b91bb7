"""A folder -> a loaded base model with its tokenizer and record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from expert_kit.adapters.quantization import QUANTIZATIONS, has_matrix_units
from expert_kit.bases import BaseRecord
from expert_kit.errors import BaseModelError, CapacityError, UsageError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, eq=False)
class BaseModel:
    """A loaded base: the model is in evaluation mode and its weights take no gradient."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    record: BaseRecord
    quantization: str
    folder: Path | None = None
    """Where it was loaded from."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def dtype(self) -> str:
        """A key of ``DTYPES``: the type of weights and activations."""
        return str(self.model.dtype).removeprefix("torch.")


def pick_device(name: str = "auto") -> torch.device:
    """``cpu``, ``cuda`` or ``mps``; ``auto`` takes an accelerator if there is one.

    Raises:
        UsageError: ``device_unknown``, or ``device_absent`` where torch cannot see one.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    if name not in present:
        raise UsageError(f"unknown device {name!r}", hint="use auto, cpu, cuda or mps", code="device_unknown")
    if not present[name]:
        raise UsageError(f"torch sees no {name} device on this machine", hint="use --device auto", code="device_absent")
    return torch.device(name)


def prefers_bfloat16(device: str = "auto") -> bool:
    """Whether bfloat16 is faster than float32: accelerators that know it, and processors with matrix units for it (AMX).

    Other processors multiply float32 up to twice as fast, those with AVX-512 instructions for bfloat16 included.
    """
    kind = pick_device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "mps" or has_matrix_units()


def pick_dtype(name: str = "auto", *, device: str = "auto", quantization: str = "none") -> str:
    """A key of ``DTYPES``; ``auto`` is what the quantization wants, else what the device multiplies fastest (``prefers_bfloat16``).

    Raises:
        UsageError: ``dtype_unknown``, ``quantization_unknown``.
    """
    if quantization not in QUANTIZATIONS:
        raise UsageError(
            f"unknown quantization {quantization!r}", hint=f"use one of {', '.join(QUANTIZATIONS)}", code="quantization_unknown"
        )
    if name == "auto":
        return QUANTIZATIONS[quantization].dtype or ("bfloat16" if prefers_bfloat16(device) else "float32")
    if name not in DTYPES:
        raise UsageError(f"unknown dtype {name!r}", hint=f"use auto or one of {', '.join(DTYPES)}", code="dtype_unknown")
    return name


def load_base(folder: Path, record: BaseRecord, *, device: str = "auto", dtype: str = "auto", quantization: str = "none") -> BaseModel:
    """Load a base from its folder; no network, no code from the folder.

    Args:
        folder: config, safetensors and tokenizer files.
        record: the folder's record, as the base store keeps it.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        dtype: of weights and activations: ``bfloat16``, ``float32``, ``float16``, or ``auto``, see :func:`pick_dtype`.
        quantization: a key of ``QUANTIZATIONS``; embeddings stay in ``dtype``.

    Raises:
        UsageError: an unknown word, or a quantization that this device cannot run.
        BaseModelError: the folder cannot be loaded. CapacityError: it does not fit into memory.
    """
    number_type = DTYPES[pick_dtype(dtype, device=device, quantization=quantization)]
    target = pick_device(device)
    scheme = QUANTIZATIONS[quantization]
    options: dict[str, Any] = scheme.load_options(target, number_type)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model, loading = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, dtype=number_type, output_loading_info=True, **options
        )
        _check_complete(folder, loading)
        model = scheme.convert(model.to(target) if not options else model)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise CapacityError(f"{folder.name} does not fit into memory: {error}", hint="try --quantization int8") from error
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise BaseModelError(
            f"cannot load the base model in {folder}: {error}",
            hint="pull it again with: expert-kit base pull NAME --force",
            code="base_unreadable",
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.eval().requires_grad_(False)
    return BaseModel(model, tokenizer, record, quantization, folder)


def _check_complete(folder: Path, loading: dict[str, Any]) -> None:
    """Transformers fills what is missing with random numbers and only logs it."""
    wrong = [str(key) for kind in ("missing_keys", "mismatched_keys") for key in loading.get(kind, ())]
    if wrong:
        raise BaseModelError(
            f"{folder}: {len(wrong)} weights are missing or of another shape, first: {sorted(wrong)[0]}",
            hint="pull it again with: expert-kit base pull NAME --force",
            code="base_incomplete",
        )
