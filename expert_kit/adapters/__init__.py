"""Loads base models; checks adapters, attaches and detaches them."""

from expert_kit.adapters.base_model import BaseModel, load_base, pick_device, prefers_bfloat16
from expert_kit.adapters.chat import chat_ids, plain_ids
from expert_kit.adapters.lora import Adapter, LoraWeights, read_lora
from expert_kit.adapters.quantization import QUANTIZATIONS
from expert_kit.adapters.slots import RowPlan, SlotLinear, install_slots

__all__ = [
    "QUANTIZATIONS",
    "Adapter",
    "BaseModel",
    "LoraWeights",
    "RowPlan",
    "SlotLinear",
    "chat_ids",
    "install_slots",
    "load_base",
    "pick_device",
    "plain_ids",
    "prefers_bfloat16",
    "read_lora",
]
