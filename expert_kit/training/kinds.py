"""The kinds of adapters that a recipe can train, as PEFT makes them, and a forward pass behind a soft prompt."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import torch
from peft import IA3Config, LoraConfig, PeftConfig, PeftModel, PeftType, PrefixTuningConfig, PromptTuningConfig

from expert_kit.errors import RecipeError
from expert_kit.training.recipe import Recipe


def peft_config(recipe: Recipe, model: torch.nn.Module) -> PeftConfig:
    """What PEFT puts into the base for this recipe.

    Raises:
        RecipeError: ``target_unknown``.
    """
    _refuse_unknown_targets(recipe, model)
    return _KINDS[recipe.peft_type](recipe)


def _lora(recipe: Recipe) -> PeftConfig:
    return LoraConfig(
        r=recipe.lora_r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=recipe.lora_target_modules,
        use_rslora=recipe.use_rslora,
        use_dora=recipe.use_dora,
        task_type="CAUSAL_LM",
    )


def _ia3(recipe: Recipe) -> PeftConfig:
    return IA3Config(target_modules=recipe.ia3_target_modules, feedforward_modules=recipe.ia3_feedforward_modules, task_type="CAUSAL_LM")


def _prompt_tuning(recipe: Recipe) -> PeftConfig:
    # Real tokens are a better start than noise (arXiv:2104.08691, section 3.2).
    return PromptTuningConfig(num_virtual_tokens=recipe.num_virtual_tokens, prompt_tuning_init="SAMPLE_VOCAB", task_type="CAUSAL_LM")


def _prefix_tuning(recipe: Recipe) -> PeftConfig:
    return PrefixTuningConfig(num_virtual_tokens=recipe.num_virtual_tokens, task_type="CAUSAL_LM")


_KINDS: dict[str, Callable[[Recipe], PeftConfig]] = {
    "lora": _lora,
    "ia3": _ia3,
    "prompt_tuning": _prompt_tuning,
    "prefix_tuning": _prefix_tuning,
}


def _refuse_unknown_targets(recipe: Recipe, model: torch.nn.Module) -> None:
    """PEFT takes a list of targets if one of them is there, and says nothing of the others."""
    there = [name for name, _ in model.named_modules() if name]
    for key in ("lora_target_modules", "ia3_target_modules", "ia3_feedforward_modules"):
        targets = getattr(recipe, key)
        unknown = [target for target in targets if not _any_ends_with(there, target)] if isinstance(targets, list) else []
        if unknown:
            ends = sorted({name.rpartition(".")[2] for name in there if not name.rpartition(".")[2].isdigit()})
            near = difflib.get_close_matches(unknown[0], ends, n=1)
            raise RecipeError(
                f"{key}: {recipe.model_name_or_path} has no module {', '.join(unknown)}",
                hint=f"did you mean {near[0]}?" if near else f"its modules: {', '.join(ends)}",
                code="target_unknown",
            )


def _any_ends_with(names: list[str], target: str) -> bool:
    return any(name == target or name.endswith(f".{target}") for name in names)


def is_prompted(model: PeftModel) -> bool:
    """Whether the adapter stands before the text, so that no layer knows of it."""
    return bool(model.active_peft_config.is_prompt_learning)


def prompted_states(model: PeftModel, inputs: dict[str, torch.Tensor], keep: torch.Tensor) -> torch.Tensor:
    """(n, hidden size) at the n kept positions of rows that begin with a soft prompt; ``keep`` is (rows, longest - 1)."""
    ids, mask, config = inputs["input_ids"], inputs["attention_mask"], model.active_peft_config
    causal: Any = model.get_base_model()
    prompt = model.get_prompt(len(ids))
    seen = torch.cat([mask.new_ones(len(ids), config.num_virtual_tokens), mask], dim=1)
    if config.peft_type == PeftType.PREFIX_TUNING:
        hidden = causal.base_model(input_ids=ids, attention_mask=seen, past_key_values=prompt, use_cache=False)[0]
    else:
        text = causal.get_input_embeddings()(ids)
        embeddings = torch.cat([prompt.to(text.dtype), text], dim=1)
        hidden = causal.base_model(inputs_embeds=embeddings, attention_mask=seen, use_cache=False)[0][:, config.num_virtual_tokens :]
    states: torch.Tensor = hidden[:, :-1][keep]
    return states
