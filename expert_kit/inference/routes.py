"""The router over what is installed, made when first asked and made again when that changes."""

from __future__ import annotations

import threading

from expert_kit.bases import BaseMatch, BaseRecord, compare
from expert_kit.names import Digest, ExpertRef
from expert_kit.registry import InstalledExpert, Registry, paths
from expert_kit.routing import (
    Candidate,
    EmbeddingRouter,
    Encoder,
    RouteDecision,
    RoutingConfig,
    RoutingPolicy,
    VectorCache,
    default_encoder,
)


class Routes:
    """Decides which installed experts fit a prompt. Only current versions that fit the base are candidates."""

    def __init__(
        self, registry: Registry | None, base: BaseRecord | None, encoder: Encoder | None = None, config: RoutingConfig | None = None
    ):
        """Take what is known; the encoder is found when first needed.

        Args:
            registry: without one there are no candidates.
            base: experts for other bases are left out; ``None`` takes all.
            encoder: ``None`` finds the default one.
            config: thresholds.
        """
        self._registry, self._base, self._encoder = registry, base, encoder
        self._config = config or RoutingConfig()
        self._refs: dict[Digest, ExpertRef] = {}
        self._policy: RoutingPolicy | None = None
        self._lock = threading.Lock()

    def decide(self, text: str) -> RouteDecision:
        """The decision for a prompt.

        Raises:
            CheckUnavailableError: there is no encoder. BlobDigestError: an expert's examples changed on disk.
        """
        return self.resolve(text)[0]

    def resolve(self, text: str) -> tuple[RouteDecision, dict[Digest, ExpertRef]]:
        """The decision, and the pinned reference of every candidate in it.

        Raises:
            see :meth:`decide`.
        """
        policy, refs = self._current_policy()
        return (policy.decide(text) if policy else RouteDecision.nobody(self._config)), refs

    def _current_policy(self) -> tuple[RoutingPolicy | None, dict[Digest, ExpertRef]]:
        with self._lock:
            experts = [expert for expert in (self._registry.list() if self._registry else []) if expert.current and self._fits(expert)]
            refs = {expert.identity: expert.ref for expert in experts}
            if not experts:
                self._policy = None
            elif self._policy is None or refs.keys() != self._refs.keys():
                self._encoder = self._encoder or default_encoder()
                router = EmbeddingRouter(
                    [self._candidate(expert) for expert in experts], self._encoder, VectorCache(paths.cache_dir() / "vectors")
                )
                self._policy = RoutingPolicy(router, self._config)
            self._refs = refs
            return self._policy, refs

    def _fits(self, expert: InstalledExpert) -> bool:
        return self._base is None or compare(expert.base, self._base.fingerprint).match is not BaseMatch.INCOMPATIBLE

    def _candidate(self, expert: InstalledExpert) -> Candidate:
        assert self._registry is not None
        examples = tuple(example.text for example in self._registry.examples(expert) if example.split == "fit")
        card = next((entry for entry in expert.files if entry.role == "card"), None)
        text = self._registry.read(card.sha256).decode(errors="replace") if card and not examples else expert.summary
        return Candidate(expert.identity, expert.ref.full_name, examples, text)
