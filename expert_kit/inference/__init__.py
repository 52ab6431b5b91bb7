"""Runs prompts through the base model and the chosen experts."""

from expert_kit.inference.engine import ExpertEngine, Handle, Prompt
from expert_kit.inference.results import GenerationResult, StreamEvent, Usage, UsedExpert
from expert_kit.inference.routes import Routes
from expert_kit.inference.sampling import SamplingOptions
from expert_kit.inference.selection import Experts, parse_selection

__all__ = [
    "ExpertEngine",
    "Experts",
    "GenerationResult",
    "Handle",
    "Prompt",
    "Routes",
    "SamplingOptions",
    "StreamEvent",
    "Usage",
    "UsedExpert",
    "parse_selection",
]
