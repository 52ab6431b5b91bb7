"""One way to read an adapter of any kind."""

from __future__ import annotations

from expert_kit.adapters.base_model import BaseModel
from expert_kit.adapters.besides import AnyAdapter
from expert_kit.adapters.ia3 import read_ia3
from expert_kit.adapters.lora import read_lora
from expert_kit.adapters.slots import base_layers
from expert_kit.adapters.soft_prompt import read_soft_prompt
from expert_kit.adapters.whole_layers import read_whole
from expert_kit.bases import IA3, AdapterSpec


def read_adapter(data: bytes | memoryview, spec: AdapterSpec, base: BaseModel) -> AnyAdapter:
    """Read the safetensors bytes of an adapter for a loaded base, on its device and in its type.

    Args:
        data: bytes that were checked against their digest.
        spec: the adapter's configuration.
        base: may have slots installed.

    Raises:
        UnsupportedMemberError: ``kind_unsupported``, this base cannot carry the kind. IncompatibleAdapterError: ``tensor_set_mismatch``
            (a tensor is missing, left over, or of another shape or type than configuration and base imply), ``adapter_no_effect``.
    """
    linears = base.record.linears
    if spec.is_soft_prompt:
        return read_soft_prompt(data, spec, linears, base.model)
    place = {"device": base.device, "dtype": base.model.dtype}
    if spec.peft_type == IA3:
        return read_ia3(data, spec, linears, **place)
    if spec.modules_to_save:
        return read_whole(data, spec, base)
    return read_lora(data, spec, linears, **place, layers=lambda: base_layers(base.model, linears))
