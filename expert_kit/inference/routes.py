"""The router over what is installed, made when first asked and made again when that changes."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from expert_kit.bases import BaseMatch, BaseRecord, compare
from expert_kit.errors import CapacityError
from expert_kit.names import Digest, ExpertRef
from expert_kit.registry import InstalledExpert, Registry, paths
from expert_kit.registry.probes import choose_variant
from expert_kit.routing import (
    Candidate,
    EmbeddingRouter,
    Encoder,
    Feedback,
    FeedbackStore,
    FitInputs,
    Fitted,
    GapLog,
    Ranker,
    Reader,
    RouteDecision,
    RoutingConfig,
    RoutingPolicy,
    StateFolder,
    VectorCache,
    approved,
    default_encoder,
    load_rules,
    refused,
    told,
)

_LOG = logging.getLogger(__name__)
QUICK_FIT: Final = 300_000
"""Examples times experts up to which a stale router is fitted again at once; some seconds at the most."""
_STALE: Final = "the router is not fitted on what is installed now: run `expert-kit router fit`"


@dataclass
class _Current:
    """The policy, and what it was made from."""

    policy: RoutingPolicy | None = None
    refs: dict[Digest, ExpertRef] = field(default_factory=dict)
    made_from: object = None


class Routes:
    """Decides which installed experts fit a prompt. Only current versions that fit the base are candidates."""

    def __init__(
        self,
        registry: Registry | None,
        base: BaseRecord | None,
        encoder: Encoder | None = None,
        config: RoutingConfig | None = None,
        ranker: Ranker | None = None,
    ):
        """Take what is known; the encoder is found when first needed.

        Args:
            registry: without one there are no candidates.
            base: experts for other bases are left out; ``None`` takes all.
            encoder: ``None`` finds the default one.
            config: thresholds.
            ranker: gives its opinion on close decisions where ``config.policy`` asks for it.
        """
        self._registry, self._base, self._encoder = registry, base, encoder
        self._config, self._ranker = config or RoutingConfig(), ranker
        self._current = _Current()
        self._lock = threading.Lock()
        self.feedback = FeedbackStore(routing_dir())
        self.gap_log = GapLog(routing_dir())

    @property
    def encoder(self) -> Encoder:
        """The encoder, found when first asked for.

        Raises:
            CheckUnavailableError: there is none.
        """
        self._encoder = self._encoder or default_encoder()
        return self._encoder

    @property
    def names(self) -> frozenset[str]:
        """Full names of the experts that could answer."""
        return frozenset(expert.ref.full_name for expert in self._experts())

    def decide(self, text: str) -> RouteDecision:
        """The decision for a prompt.

        Raises:
            CheckUnavailableError: there is no encoder. BlobDigestError: an expert's examples changed on disk.
            DataError: ``rules_invalid``.
        """
        return self.resolve(text)[0]

    def resolve(self, text: str) -> tuple[RouteDecision, dict[Digest, ExpertRef]]:
        """The decision, and the pinned reference of every candidate in it.

        Raises:
            see :meth:`decide`.
        """
        policy, refs = self._current_policy()
        decision = policy.decide(text) if policy else RouteDecision.nobody(self._config)
        if decision.reason == "not_covered":
            self._note_gap(text)
        return decision, refs

    def fit(self) -> Fitted | None:
        """Fit on everything that is installed, whatever it takes; None where there is too little to fit on.

        Raises:
            see :meth:`decide`.
        """
        with self._lock:
            self._current = _Current()
            inputs = self.inputs(self._experts())
            return None if inputs is None or not inputs.can_fit else self._fitted(inputs, always=True)

    def inputs(self, experts: list[InstalledExpert] | None = None) -> FitInputs | None:
        """What a fit is made of; None without experts.

        Raises:
            see :meth:`decide`.
        """
        chosen = self._experts() if experts is None else experts
        if not chosen:
            return None
        remarks = self.feedback.all()
        candidates = [self._candidate(expert, remarks) for expert in chosen]
        return FitInputs.of(candidates, self.reader, self._config, refused(remarks))

    @property
    def reader(self) -> Reader:
        """Embeds examples, with the cache on disk."""
        return Reader(self.encoder, VectorCache(paths.cache_dir() / "vectors"))

    def _current_policy(self) -> tuple[RoutingPolicy | None, dict[Digest, ExpertRef]]:
        with self._lock:
            experts = self._experts()
            made_from = (sorted(expert.identity for expert in experts), _stamp(routing_dir() / "feedback.jsonl"), _stamp(rules_file()))
            if self._current.made_from != made_from:
                refs = {expert.identity: expert.ref for expert in experts}
                self._current = _Current(self._policy(experts) if experts else None, refs, made_from)
            return self._current.policy, self._current.refs

    def _policy(self, experts: list[InstalledExpert]) -> RoutingPolicy:
        rules = load_rules(rules_file())
        inputs = self.inputs(experts)
        assert inputs is not None
        router = EmbeddingRouter(inputs.candidates, self.encoder, VectorCache(paths.cache_dir() / "vectors"), inputs.generic)
        fitted = self._fitted(inputs, always=False) if inputs.can_fit else None
        notes = (_STALE,) if inputs.can_fit and fitted is None else ()
        said = told(self.feedback.all())
        return RoutingPolicy(router, self._config, fitted=fitted, rules=rules, told=said, notes=notes, ranker=self._ranker)

    def _fitted(self, inputs: FitInputs, *, always: bool) -> Fitted | None:
        folder = StateFolder(paths.cache_dir() / "routing")
        fitted = folder.load(inputs.key, inputs.corpus)
        if fitted is None and (always or inputs.work <= QUICK_FIT):
            fitted = inputs.fit()
            folder.save(fitted)
        return fitted

    def _note_gap(self, text: str) -> None:
        try:
            self.gap_log.note(text)
        except CapacityError as error:
            _LOG.warning("the prompt is not kept for `expert-kit gaps`: %s", error.message)

    def _experts(self) -> list[InstalledExpert]:
        return [expert for expert in (self._registry.list() if self._registry else []) if expert.current and self._fits(expert)]

    def _fits(self, expert: InstalledExpert) -> bool:
        if self._base is None:
            return True
        if len(expert.bases) > 1 and self._registry is not None:
            expert = choose_variant(self._registry, expert, self._base)
        return compare(expert.base, self._base.fingerprint).match is not BaseMatch.INCOMPATIBLE

    def _candidate(self, expert: InstalledExpert, remarks: list[Feedback]) -> Candidate:
        assert self._registry is not None
        rows = self._registry.examples(expert)
        name = expert.ref.full_name
        examples = (*(row.text for row in rows if row.split == "fit"), *approved(remarks, name))
        card = next((entry for entry in expert.files if entry.role == "card"), None)
        text = self._registry.read(card.sha256).decode(errors="replace") if card and not examples else expert.summary
        validation = tuple(row.text for row in rows if row.split == "validate")
        return Candidate(expert.identity, name, examples, text, validation, expert.tags[0] if expert.tags else expert.ref.namespace)


def routing_dir() -> Path:
    """The user's rules and feedback, and the log of uncovered prompts."""
    return paths.home() / "routing"


def rules_file() -> Path:
    """The user's own rules; need not exist."""
    return routing_dir() / "rules.toml"


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size
