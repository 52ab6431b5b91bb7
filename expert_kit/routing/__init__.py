"""Scores experts for a query and abstains when none fits."""

from __future__ import annotations

from expert_kit.routing.embedding import Candidate, EmbeddingRouter, Neighbour
from expert_kit.routing.encoder import Encoder, SentenceTransformerEncoder, default_encoder
from expert_kit.routing.router import ChosenExpert, Evidence, RankedExpert, RouteDecision, Router, RoutingConfig, RoutingPolicy, explain
from expert_kit.routing.vectors import VectorCache

__all__ = [
    "Candidate",
    "ChosenExpert",
    "EmbeddingRouter",
    "Encoder",
    "Evidence",
    "Neighbour",
    "RankedExpert",
    "RouteDecision",
    "Router",
    "RoutingConfig",
    "RoutingPolicy",
    "SentenceTransformerEncoder",
    "VectorCache",
    "default_encoder",
    "explain",
]
