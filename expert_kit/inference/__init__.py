"""Runs prompts through the base model and the chosen experts."""

from expert_kit.inference.base_ranking import BaseRanker
from expert_kit.inference.continuation import Continuation, ContinuationScore
from expert_kit.inference.engine import ExpertEngine, Handle
from expert_kit.inference.likelihood import Likelihood
from expert_kit.inference.merging import MergePlan, MergeResult, merge_experts
from expert_kit.inference.probe import ProbeBench
from expert_kit.inference.prompts import Prompt
from expert_kit.inference.results import GenerationResult, StreamEvent, TokenLogprob, Usage, UsedExpert
from expert_kit.inference.routes import Routes
from expert_kit.inference.sampling import SamplingOptions
from expert_kit.inference.scheduler import BatchLimits
from expert_kit.inference.selection import Experts, parse_selection

__all__ = [
    "BaseRanker",
    "BatchLimits",
    "Continuation",
    "ContinuationScore",
    "ExpertEngine",
    "Experts",
    "GenerationResult",
    "Handle",
    "Likelihood",
    "MergePlan",
    "MergeResult",
    "ProbeBench",
    "Prompt",
    "Routes",
    "SamplingOptions",
    "StreamEvent",
    "TokenLogprob",
    "Usage",
    "UsedExpert",
    "merge_experts",
    "parse_selection",
]
