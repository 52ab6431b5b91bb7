"""Training that goes on from an adapter instead of from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import PeftConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from expert_kit.errors import RecipeError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_DECISIVE = (
    "peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "lora_bias", "rank_pattern", "alpha_pattern", "target_modules",
    "feedforward_modules", "modules_to_save", "num_virtual_tokens",
)  # fmt: skip
"""What the same weights mean something else with. Dropout, for one, may change from one training to the next."""


def start_from(model: PeftModel, folder: Path) -> None:
    """Give the fresh adapter in ``model`` the weights of another one in PEFT's format, kind and shape being the same.

    Args:
        model: its adapter ``default`` has been put in for a recipe.
        folder: with ``adapter_config.json`` and ``adapter_model.safetensors``; only safetensors are read.

    Raises:
        RecipeError: ``init_adapter_unreadable``; ``init_adapter_differs``, the message names the settings or the first tensor.
    """
    config, state = _read(folder)
    differing = [text for name in _DECISIVE if (text := _difference(name, model.peft_config["default"], config))]
    if differing:
        raise _differs(folder, f"has other settings than the recipe: {', '.join(differing)}")
    wanted = {name: tuple(tensor.shape) for name, tensor in get_peft_model_state_dict(model).items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if wanted != found:
        first = min(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise _differs(folder, f"has other tensors than the recipe's on this base, first: {first}")
    set_peft_model_state_dict(model, state)


def check_complete(folder: Path) -> None:
    """Both files are there; PEFT would ask the Hub for a folder that is not.

    Raises:
        RecipeError: ``init_adapter_unreadable``.
    """
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise _unreadable(folder, f"it has no {' and no '.join(missing)}")


def _read(folder: Path) -> tuple[PeftConfig, dict[str, Any]]:
    check_complete(folder)
    try:
        return PeftConfig.from_pretrained(str(folder)), load_file(folder / WEIGHTS)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, SafetensorError) as error:
        raise _unreadable(folder, str(error)) from error


def _difference(name: str, ours: PeftConfig, theirs: PeftConfig) -> str | None:
    mine, other = (_plain(getattr(config, name, None)) for config in (ours, theirs))
    return None if mine == other else f"{name} is {_shown(other)}, not {_shown(mine)}"


def _plain(value: Any) -> Any:
    """Lists of names have no order, and nothing is as good as an empty one."""
    return (frozenset(value) if isinstance(value, list | set | tuple) else value) or None


def _shown(value: Any) -> str:
    return f"[{', '.join(sorted(value))}]" if isinstance(value, frozenset) else str(getattr(value, "value", value))


def _unreadable(folder: Path, why: str) -> RecipeError:
    hint = "init_adapter names a folder with an adapter in PEFT's format, relative to the recipe"
    return RecipeError(f"cannot read the adapter {folder}: {why}", hint=hint, code="init_adapter_unreadable")


def _differs(folder: Path, why: str) -> RecipeError:
    hint = "give the recipe the settings of that adapter, or leave out init_adapter"
    return RecipeError(f"the adapter {folder} {why}", hint=hint, code="init_adapter_differs")
