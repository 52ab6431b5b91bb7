"""Loads base models; checks adapters, attaches and detaches them."""

from expert_kit.adapters.base_model import BaseModel, load_base, pick_device, pick_dtype, prefers_bfloat16
from expert_kit.adapters.besides import AnyAdapter, SlotKind, WholeAdapter
from expert_kit.adapters.chat import answer_ids, chat_ids, plain_ids
from expert_kit.adapters.groups import LinearGroup, group_linears
from expert_kit.adapters.kinds import read_adapter
from expert_kit.adapters.lora import Adapter, Gain, LoraWeights, combined, read_lora, summed
from expert_kit.adapters.plans import RowPlan
from expert_kit.adapters.probe import Logits, probe_logits, probe_prompts
from expert_kit.adapters.quantization import QUANTIZATIONS
from expert_kit.adapters.short_layers import shorten_layers
from expert_kit.adapters.slot_table import ParkedSlot, RowMix, Slot, SlotTable, prompt_of
from expert_kit.adapters.slots import SlotLinear, base_layers, install_slots
from expert_kit.adapters.soft_prompt import SoftPrompt
from expert_kit.adapters.tensors import read_tensors

__all__ = [
    "QUANTIZATIONS",
    "Adapter",
    "AnyAdapter",
    "BaseModel",
    "Gain",
    "LinearGroup",
    "Logits",
    "LoraWeights",
    "ParkedSlot",
    "RowMix",
    "RowPlan",
    "Slot",
    "SlotKind",
    "SlotLinear",
    "SlotTable",
    "SoftPrompt",
    "WholeAdapter",
    "answer_ids",
    "base_layers",
    "chat_ids",
    "combined",
    "group_linears",
    "install_slots",
    "load_base",
    "pick_device",
    "pick_dtype",
    "plain_ids",
    "prefers_bfloat16",
    "probe_logits",
    "probe_prompts",
    "prompt_of",
    "read_adapter",
    "read_lora",
    "read_tensors",
    "shorten_layers",
    "summed",
]
