"""Scores experts for a query and abstains when none fits."""

from __future__ import annotations

from expert_kit.routing.decision import ChosenExpert, Evidence, Opinion, RankedExpert, RouteDecision, RouterView, RoutingConfig
from expert_kit.routing.embedding import Candidate, EmbeddingRouter, Neighbour
from expert_kit.routing.encoder import Encoder, SentenceTransformerEncoder, default_encoder
from expert_kit.routing.explanation import explain
from expert_kit.routing.feedback import Feedback, FeedbackStore, approved, refused, told
from expert_kit.routing.fitted import Fitted, Report, report_json
from expert_kit.routing.gaps import Gap, GapLog, find_gaps
from expert_kit.routing.inputs import FitInputs
from expert_kit.routing.reading import Reader
from expert_kit.routing.router import FittedScores, Router, RoutingPolicy
from expert_kit.routing.rules import load_rules
from expert_kit.routing.second_opinion import Ranker
from expert_kit.routing.signals import Signals, detect
from expert_kit.routing.state import StateFolder
from expert_kit.routing.vectors import VectorCache

__all__ = [
    "Candidate",
    "ChosenExpert",
    "EmbeddingRouter",
    "Encoder",
    "Evidence",
    "Feedback",
    "FeedbackStore",
    "FitInputs",
    "Fitted",
    "FittedScores",
    "Gap",
    "GapLog",
    "Neighbour",
    "Opinion",
    "RankedExpert",
    "Ranker",
    "Reader",
    "Report",
    "RouteDecision",
    "Router",
    "RouterView",
    "RoutingConfig",
    "RoutingPolicy",
    "SentenceTransformerEncoder",
    "Signals",
    "StateFolder",
    "VectorCache",
    "approved",
    "default_encoder",
    "detect",
    "explain",
    "find_gaps",
    "load_rules",
    "refused",
    "report_json",
    "told",
]
