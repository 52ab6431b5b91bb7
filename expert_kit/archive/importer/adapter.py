"""The configuration of a foreign adapter, worked out from its tensors: nothing in it is evaluated as a pattern."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from expert_kit.archive.adapter_check import PREFIX, PROMPT
from expert_kit.archive.adapter_config import spec_of_config
from expert_kit.archive.safetensors_header import TensorInfo, parse_header
from expert_kit.bases import IA3, WHOLE_LAYERS, AdapterSpec, Linear, name_matches
from expert_kit.errors import IncompatibleAdapterError, ManifestError, UnsupportedMemberError
from expert_kit.manifest import DOTTED_NAME, parse_object

_A, _SCALE = ".lora_A.weight", ".ia3_l"
# Which layers an adapter is on: its tensors say so, whatever these say.
_SELECTORS = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "rank_pattern", "feedforward_modules")


def derive_spec(config: bytes, weights: bytes, linears: Sequence[Linear]) -> AdapterSpec:
    """The adapter that these tensors are, on a base model with these linear layers.

    Target modules and ranks are those of the tensors, alphas those of the configuration, where a pattern with anything
    but plain names is refused. Whether the tensors are complete, and of the right shapes, is for packing to check.

    Raises:
        ArchiveError: ``tensor_header``.
        IncompatibleAdapterError: ``adapter_target_unknown``, a tensor is for no linear layer of the base; ``tensor_dtype``.
        UnsupportedMemberError: ``adapter_config_refused``, a setting is not supported, or a fraction where an integer must be.
    """
    tensors, value = parse_header(weights), _parse(config)
    if tensors.keys() == {PROMPT}:
        return spec_of_config(config, _dtype(tensors))
    known = {key: item for key, item in value.items() if key not in _SELECTORS}
    derived = _ia3(tensors, linears) if value.get("peft_type") == IA3 else _lora(tensors, value, linears)
    return spec_of_config(json.dumps(known | derived).encode(), _dtype(tensors))


def _lora(tensors: Mapping[str, TensorInfo], value: Mapping[str, Any], linears: Sequence[Linear]) -> dict[str, Any]:
    ranks = {module: info.shape[0] for module, info in _modules(tensors, _A, linears).items()}
    return _whole(tensors, value) | {
        "target_modules": _names(list(ranks), linears),
        "rank_pattern": _rank_pattern(ranks, value.get("r"), linears),
        "alpha_pattern": _used(value.get("alpha_pattern"), list(ranks)),
    }


def _whole(tensors: Mapping[str, TensorInfo], value: Mapping[str, Any]) -> dict[str, Any]:
    """The whole layers among the tensors. Where PEFT ties or resizes the two it lists one or none, and saves both."""
    found, listed = [name for name, path in WHOLE_LAYERS.items() if f"{PREFIX}{path}.weight" in tensors], value.get("modules_to_save")
    known = isinstance(listed, list) and all(isinstance(one, str) and one.rpartition(".")[2] in found for one in listed)
    if found and (known or listed is None) and (listed or len(found) > 1):
        return {"modules_to_save": found, "ensure_weight_tying": False}
    return {}


def _ia3(tensors: Mapping[str, TensorInfo], linears: Sequence[Linear]) -> dict[str, Any]:
    scaled = _modules(tensors, _SCALE, linears)
    inputs = [module for module, info in scaled.items() if info.shape[0] == 1]
    names, of_inputs = _names(list(scaled), linears), _names(inputs, linears) if inputs else []
    if not set(of_inputs) <= set(names):
        names, of_inputs = sorted(scaled), sorted(inputs)
    return {"target_modules": names, "feedforward_modules": of_inputs}


def _modules(tensors: Mapping[str, TensorInfo], ending: str, linears: Sequence[Linear]) -> dict[str, TensorInfo]:
    """The tensors of this ending, by the module that they change."""
    found = {name.removeprefix(PREFIX).removesuffix(ending): info for name, info in tensors.items() if name.endswith(ending)}
    unknown = sorted(found.keys() - {module for module, _, _ in linears})
    if unknown or not found:
        shown = ", ".join(unknown[:5]) or "nothing"
        raise IncompatibleAdapterError(
            f"the adapter changes {shown}, which the base model does not have as a linear layer",
            hint="name the base model that it was trained on with --base",
            code="adapter_target_unknown",
        )
    return found


def _parse(config: bytes) -> dict[str, Any]:
    try:
        return parse_object(config)
    except ManifestError as error:
        raise UnsupportedMemberError(
            f"adapter_config.json: {error.message}", hint="save the adapter again with PEFT", code="adapter_config_refused"
        ) from error


def _dtype(tensors: Mapping[str, TensorInfo]) -> str:
    dtypes = sorted({info.dtype for info in tensors.values()})
    if len(dtypes) > 1:
        raise IncompatibleAdapterError(
            f"the weights mix {', '.join(dtypes)}", hint="save all tensors of the adapter in one dtype", code="tensor_dtype"
        )
    return dtypes[0]


def _names(modules: Sequence[str], linears: Sequence[Linear]) -> list[str]:
    """Names that mean exactly these modules: their last words where that is enough, else their whole paths."""
    words = sorted({module.rpartition(".")[2] for module in modules})
    meant = {module for module, _, _ in linears if any(name_matches(word, module) for word in words)}
    return words if meant == set(modules) else sorted(modules)


def _rank_pattern(ranks: Mapping[str, int], usual: object, linears: Sequence[Linear]) -> dict[str, int]:
    """The modules of another rank than the usual one; no two names mean the same module."""
    pattern: dict[str, int] = {}
    for rank in sorted(set(ranks.values()) - {usual}):
        of_rank = [module for module, found in ranks.items() if found == rank]
        # Modules without an adapter do not matter here.
        pattern |= dict.fromkeys(_names(of_rank, [linear for linear in linears if linear[0] in ranks]), rank)
    return pattern


def _used(pattern: object, modules: Sequence[str]) -> object:
    """An alpha pattern without the plain names that mean no module, which PEFT does not look at either."""
    if not isinstance(pattern, dict) or not all(isinstance(name, str) for name in pattern):
        return pattern
    return {
        name: value
        for name, value in pattern.items()
        if not DOTTED_NAME.fullmatch(name) or any(name_matches(name, module) for module in modules)
    }
