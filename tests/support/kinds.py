"""DoRA, IA3, prompt tuning, prefix tuning and whole layers for the tiny model, saved by PEFT, and what PEFT makes of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import IA3Config, LoraConfig, PeftConfig, PeftModel, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from tests.support.tiny_model import ALL_LINEAR

IDS = torch.tensor([[5, 9, 40, 17, 3], [60, 61, 62, 63, 64], [7, 7, 7, 8, 9]])


def write_kind(folder: Path, model_folder: Path, config: PeftConfig, seed: int = 1) -> Path:
    """An adapter of any kind with random values: scales around 1, factors of 0.1, prompts of the size of embeddings."""
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    peft_model = get_peft_model(model, config)
    random = torch.Generator().manual_seed(seed)
    for name, parameter in peft_model.named_parameters():
        if "ia3_l" in name:
            parameter.data = 1 + 0.5 * torch.randn(parameter.shape, generator=random)
        elif "lora_magnitude" in name:
            parameter.data *= 1 + 0.3 * torch.randn(parameter.shape, generator=random)
        elif "modules_to_save" in name:
            parameter.data = parameter.data + 0.3 * torch.randn(parameter.shape, generator=random)
        elif "lora_" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=random)
        elif "prompt_encoder" in name:
            parameter.data = 0.5 * torch.randn(parameter.shape, generator=random)
    peft_model.save_pretrained(folder)
    return folder


def write_dora(folder: Path, model_folder: Path, *, seed: int = 1, targets: list[str] | None = None) -> Path:
    """DoRA on all linear layers, or some."""
    config = LoraConfig(r=4, lora_alpha=8, target_modules=targets or ALL_LINEAR, use_dora=True, task_type="CAUSAL_LM")
    return write_kind(folder, model_folder, config, seed)


def write_whole(folder: Path, model_folder: Path, layers: list[str], *, seed: int = 1, **config: Any) -> Path:
    """LoRA on some linear layers, with these layers of its own; more of its configuration may be given."""
    options: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM"}
    return write_kind(folder, model_folder, LoraConfig(**{**options, **config}, modules_to_save=list(layers)), seed)


def write_relative(folder: Path, model_folder: Path, **config: Any) -> Path:
    """A random model with the tokenizer of another one and a changed configuration, also of another architecture."""
    shutil.copytree(model_folder, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json", "generation_config.json"))
    old = json.loads((model_folder / "config.json").read_text())
    fresh = {"vocab_size": old["vocab_size"], "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    kind = config.pop("model_type", None)
    made = AutoConfig.for_model(kind, **fresh, **config) if kind else AutoConfig.for_model(**{**old, **config})
    torch.manual_seed(7)
    AutoModelForCausalLM.from_config(made).save_pretrained(folder)
    return folder


def write_ia3(
    folder: Path, model_folder: Path, *, seed: int = 1, targets: list[str] | None = None, inputs: list[str] | None = None
) -> Path:
    """IA3, where PEFT puts it in a Llama if nothing else is said: keys, values, and the input of ``down_proj``."""
    config = IA3Config(task_type="CAUSAL_LM", target_modules=targets, feedforward_modules=inputs)
    return write_kind(folder, model_folder, config, seed)


def write_prompt(folder: Path, model_folder: Path, *, tokens: int = 4, seed: int = 1) -> Path:
    """Prompt tuning."""
    return write_kind(folder, model_folder, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=tokens), seed)


def write_prefix(folder: Path, model_folder: Path, *, tokens: int = 3, seed: int = 1) -> Path:
    """Prefix tuning."""
    return write_kind(folder, model_folder, PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=tokens), seed)


@torch.inference_mode()
def peft_logits(model_folder: Path, *adapters: Path, ids: torch.Tensor = IDS) -> torch.Tensor:
    """Logits (rows, tokens, vocabulary) at the tokens of the text; adapters that change layers are merged in, in their order."""
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    for adapter in adapters[:-1]:
        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    logits: torch.Tensor = PeftModel.from_pretrained(model, adapters[-1]).eval()(ids).logits
    return logits[:, -ids.shape[1] :]


def peft_answer(model_folder: Path, adapter: Path, prompt: list[int], tokens: int) -> list[int]:
    """Greedy token ids, one forward pass over the whole text each, so that nothing depends on a cache."""
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    peft_model, ids = PeftModel.from_pretrained(model, adapter).eval(), list(prompt)
    with torch.inference_mode():
        for _ in range(tokens):
            ids.append(int(peft_model(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == model.generation_config.eos_token_id:
                break
    return ids[len(prompt) :]
