"""``adapter_config.json`` of PEFT <-> an adapter's configuration, one kind of adapter after another, against an allow-list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from expert_kit.bases import IA3, LORA, PREFIX_TUNING, PROMPT_TUNING, WHOLE_LAYERS, AdapterSpec
from expert_kit.errors import ManifestError, UnsupportedMemberError
from expert_kit.manifest import DOTTED_NAME, MAX_NAME_LENGTH, MAX_RANK, MAX_VIRTUAL_TOKENS, parse_object
from expert_kit.names import printable

# PEFT's configuration has some 40 fields; a hostile one may have 30,000.
_MOST_PROBLEMS = 50

# Fields that say nothing about the result, or labels that are replaced by the local base record's.
_LABELS = frozenset({"base_model_name_or_path", "revision", "peft_version", "inference_mode"})
_PROMPT_START = frozenset({"prompt_tuning_init_text", "tokenizer_name_or_path", "tokenizer_kwargs"})
# The base model implies the sizes, and the tensors have to fit it; how the values came to be is of no matter.
_PROMPT_LABELS = frozenset(
    {"token_dim", "num_layers", "num_attention_heads", "prompt_tuning_init", "prefix_projection", "init_weights",
     "encoder_hidden_size", "encoder_num_layers", "encoder_dropout", "encoder_reparameterization_type"} | _PROMPT_START
)  # fmt: skip
_TASK_TYPES = (None, "CAUSAL_LM")
# PEFT takes the end of a path, so that people write either.
_WHOLE = {written: name for name, path in WHOLE_LAYERS.items() for written in (name, path)}
# What PEFT writes for fields that are switched off. Another value imports modules, opens files or changes the structure.
_OFF: dict[str, tuple[Any, ...]] = {"task_type": _TASK_TYPES}
_LAYERS_OFF = _OFF | {"fan_in_fan_out": (False,)}
_LORA_OFF = _OFF | {
    # How the base's own weights lie, as PEFT notes it for GPT-2; factors are the same either way.
    "fan_in_fan_out": (False, True),
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian"),
    "ensure_weight_tying": (False,),
    "loftq_config": ({},),
    "lora_bias": (False,),
    "megatron_core": ("megatron.core",),
    "qalora_group_size": (16,),
    "use_qalora": (False,),
    "runtime_config": ({"ephemeral_gpu_offload": False},),
}

Config = Mapping[str, Any]

_EXPLAINED = {
    "modules_to_save": ": only a LoRA adapter may have whole layers of its own",
    "ensure_weight_tying": ": expert-kit convert reads such an adapter",
}


@dataclass(frozen=True)
class _Kind:
    problems: Callable[[Config], Iterator[str]]
    """What is wrong with the fields that count."""
    read: Callable[[Config, str], AdapterSpec]
    """Configuration without problems, and the dtype."""
    used: frozenset[str]
    ignored: frozenset[str] = frozenset()
    off: Config = field(default_factory=dict)


def spec_of_config(data: bytes, dtype: str) -> AdapterSpec:
    """Read an ``adapter_config.json`` of PEFT against the allow-list; its labels (base model, version) are not used.

    Raises:
        UnsupportedMemberError: ``adapter_config_refused``, with every field that is not supported.
    """
    try:
        config = parse_object(data)
    except ManifestError as error:
        raise _refuse_config([error.message]) from error
    name = config.get("peft_type")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise _refuse_config([f"peft_type is {_show(name)}, supported are {', '.join(_KINDS)}"])
    problems = [*kind.problems(config), *_switched_on(config, kind)]
    if problems:
        raise _refuse_config(problems)
    return kind.read(config, dtype)


def config_of_spec(spec: AdapterSpec) -> bytes:
    """The ``adapter_config.json`` that PEFT gets to see: from the manifest, without paths, the same bytes every time."""
    shared = {"base_model_name_or_path": None, "inference_mode": True, "peft_type": spec.peft_type, "task_type": "CAUSAL_LM"}
    return (json.dumps(shared | _WRITERS[spec.peft_type](spec), indent=2, sort_keys=True) + "\n").encode()


def training_only(data: bytes) -> list[str]:
    """Fields of a configuration that name files for a trainer to open, which an archive has no business to hold."""
    config = parse_object(data)
    return sorted(name for name in _PROMPT_START if config.get(name) is not None)


def _lora_problems(config: Config) -> Iterator[str]:
    if not _is_whole(config.get("r"), MAX_RANK):
        yield f"r is {_show(config.get('r'))}, not an integer from 1 to {MAX_RANK}"
    if not _is_whole(config.get("lora_alpha"), 1 << 20, fractions=True):
        yield f"lora_alpha is {_show(config.get('lora_alpha'))}, not a positive integer"
    yield from _target_problems(config)
    for name, largest in (("rank_pattern", MAX_RANK), ("alpha_pattern", 1 << 20)):
        pattern = config.get(name)
        whole = isinstance(pattern, dict) and all(
            _is_plain(module) and _is_whole(value, largest, fractions=name == "alpha_pattern") for module, value in pattern.items()
        )
        if pattern is not None and not whole:
            yield f"{name} is not a mapping of plain dotted names to positive integers"
    for name in ("use_rslora", "use_dora"):
        if config.get(name) not in (None, False, True):
            yield f"{name} is neither true nor false"
    layers = config.get("modules_to_save")
    if layers is not None and not (isinstance(layers, list) and all(isinstance(name, str) and name in _WHOLE for name in layers)):
        yield f"modules_to_save is {_show(layers)}, not a list of layers that an expert may have of its own: {', '.join(WHOLE_LAYERS)}"


def _read_lora(config: Config, dtype: str) -> AdapterSpec:
    return AdapterSpec(
        r=config["r"],
        lora_alpha=int(config["lora_alpha"]),
        target_modules=tuple(sorted(set(config["target_modules"]))),
        rank_pattern=dict(config.get("rank_pattern") or {}),
        alpha_pattern={name: int(value) for name, value in (config.get("alpha_pattern") or {}).items()},
        use_rslora=bool(config.get("use_rslora")),
        use_dora=bool(config.get("use_dora")),
        dtype=dtype,
        modules_to_save=tuple(sorted({_WHOLE[name] for name in config.get("modules_to_save") or ()})),
    )


def _ia3_problems(config: Config) -> Iterator[str]:
    yield from _target_problems(config)
    inputs, targets = config.get("feedforward_modules"), config.get("target_modules")
    if inputs is None or inputs == []:
        return
    if not _are_plain(inputs):
        yield "feedforward_modules is not a list of plain dotted names"
    elif not isinstance(targets, list) or not all(name in targets for name in inputs):
        yield "feedforward_modules names what is not in target_modules"


def _read_ia3(config: Config, dtype: str) -> AdapterSpec:
    targets, inputs = (tuple(sorted(set(config.get(name) or ()))) for name in ("target_modules", "feedforward_modules"))
    return AdapterSpec.ia3(targets, inputs, dtype)


def _prompt_problems(config: Config) -> Iterator[str]:
    if not _is_whole(config.get("num_virtual_tokens"), MAX_VIRTUAL_TOKENS):
        yield f"num_virtual_tokens is {_show(config.get('num_virtual_tokens'))}, not an integer from 1 to {MAX_VIRTUAL_TOKENS}"


def _read_prompt(peft_type: str, config: Config, dtype: str) -> AdapterSpec:
    return AdapterSpec.soft_prompt(peft_type, config["num_virtual_tokens"], dtype)


def _soft_prompt(peft_type: str) -> _Kind:
    used = frozenset({"num_virtual_tokens"})
    return _Kind(_prompt_problems, partial(_read_prompt, peft_type), used, _PROMPT_LABELS, _OFF | {"num_transformer_submodules": (1,)})


_KINDS = {
    LORA: _Kind(
        _lora_problems,
        _read_lora,
        frozenset({"r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "modules_to_save"}),
        frozenset({"lora_dropout"}),
        _LORA_OFF,
    ),
    IA3: _Kind(
        _ia3_problems, _read_ia3, frozenset({"target_modules", "feedforward_modules"}), frozenset({"init_ia3_weights"}), _LAYERS_OFF
    ),
    PROMPT_TUNING: _soft_prompt(PROMPT_TUNING),
    # PEFT saves what the encoder made of the virtual tokens, which is all that there is to prompt tuning.
    "P_TUNING": _soft_prompt(PROMPT_TUNING),
    PREFIX_TUNING: _soft_prompt(PREFIX_TUNING),
}


def _write_lora(spec: AdapterSpec) -> dict[str, Any]:
    whole = {"modules_to_save": list(spec.modules_to_save)} if spec.modules_to_save else {}
    return whole | {
        "alpha_pattern": dict(spec.alpha_pattern),
        "bias": "none",
        "fan_in_fan_out": False,
        "lora_alpha": spec.lora_alpha,
        "lora_dropout": 0.0,
        "r": spec.r,
        "rank_pattern": dict(spec.rank_pattern),
        "target_modules": list(spec.target_modules),
        "use_dora": spec.use_dora,
        "use_rslora": spec.use_rslora,
    }


def _write_ia3(spec: AdapterSpec) -> dict[str, Any]:
    lists = {"target_modules": list(spec.target_modules), "feedforward_modules": list(spec.feedforward_modules)}
    return {"fan_in_fan_out": False, **lists}


def _write_prompt(spec: AdapterSpec) -> dict[str, Any]:
    return {"num_virtual_tokens": spec.num_virtual_tokens}


_WRITERS: dict[str, Callable[[AdapterSpec], dict[str, Any]]] = {
    LORA: _write_lora,
    IA3: _write_ia3,
    PROMPT_TUNING: _write_prompt,
    PREFIX_TUNING: _write_prompt,
}


def _target_problems(config: Config) -> Iterator[str]:
    targets = config.get("target_modules")
    if not targets or not _are_plain(targets):
        yield "target_modules is not a list of plain dotted names"


def _switched_on(config: Config, kind: _Kind) -> Iterator[str]:
    known = {"peft_type"} | kind.used | kind.ignored | _LABELS
    for name, value in config.items():
        if name in known or value is None:
            continue
        if not any(type(value) is type(off) and value == off for off in kind.off.get(name, ())):
            yield f"{printable(name[:60])} is {_show(value)}, which is not supported{_EXPLAINED.get(name, '')}"


def _is_whole(value: object, largest: int, *, fractions: bool = False) -> bool:
    if fractions and isinstance(value, float) and value.is_integer():
        return 1 <= value <= largest
    return type(value) is int and 1 <= value <= largest


def _are_plain(names: object) -> bool:
    return isinstance(names, list) and all(_is_plain(name) for name in names)


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and len(name) <= MAX_NAME_LENGTH and bool(DOTTED_NAME.fullmatch(name))


def _show(value: object) -> str:
    return printable(json.dumps(value, ensure_ascii=False)[:80])


def _refuse_config(problems: Sequence[str]) -> UnsupportedMemberError:
    more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
    return UnsupportedMemberError(
        f"adapter_config.json: {'; '.join(problems[:_MOST_PROBLEMS])}{more}",
        hint="train a plain LoRA, IA3 or soft prompt adapter with PEFT",
        code="adapter_config_refused",
    )
