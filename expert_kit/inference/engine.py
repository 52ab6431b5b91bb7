"""The engine: a base model, experts from a registry, and the answers that they give together."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

import torch

from expert_kit.adapters import Adapter, BaseModel, chat_ids, install_slots, load_base
from expert_kit.base_models import DEFAULT_BASE, BaseStore
from expert_kit.composition import cat_adapters
from expert_kit.errors import CapacityError, RouteAbstainedError, UsageError
from expert_kit.inference.experts import ExpertSource, Loaded
from expert_kit.inference.request import Request
from expert_kit.inference.results import GenerationResult, StreamEvent, Usage, UsedExpert
from expert_kit.inference.routes import Routes
from expert_kit.inference.sampling import OPTION_NAMES, Sampler, SamplingOptions
from expert_kit.inference.scheduler import BatchLimits, Scheduler
from expert_kit.inference.selection import Experts, Member, Selection, parse_selection
from expert_kit.names import Digest
from expert_kit.registry import Registry, paths
from expert_kit.routing import Encoder, RouteDecision, RoutingConfig

Message = Mapping[str, str]
Prompt = str | Sequence[Message]
"""Text of one user message, or a conversation: ``[{"role": "user", "content": "..."}, ...]``."""


@dataclass(frozen=True)
class Handle:
    """A reference that keeps one expert in memory until it is released."""

    name: str
    digest: Digest


@dataclass(frozen=True, eq=False)
class _Composition:
    """A resolved selection: the factors to apply, and what they are made of."""

    adapter: Adapter | None
    used: tuple[UsedExpert, ...] = ()
    route: RouteDecision | None = None
    warnings: tuple[str, ...] = ()

    @property
    def abstained(self) -> bool:
        return self.route is not None and self.route.abstained


class ExpertEngine:
    """Runs prompts through one base model with any mix of experts.

    The mix belongs to the call: there is no active adapter that a call could leave behind. Calls from several threads do
    not see each other's experts.
    """

    def __init__(
        self,
        base: BaseModel,
        registry: Registry | None = None,
        *,
        encoder: Encoder | None = None,
        routing: RoutingConfig | None = None,
        adapter_memory: int = 1 << 30,
        limits: BatchLimits | None = None,
    ) -> None:
        """Take a loaded base; use :meth:`from_pretrained` to have it found and loaded.

        Args:
            base: its linear layers are wrapped in place.
            registry: where experts come from; without one only the base and local folders are there.
            encoder: for ``experts="auto"``; found when first needed if it is not given.
            routing: thresholds of the router.
            adapter_memory: bytes of factors to keep.
            limits: of the running batch: rows, and bytes of keys and values.
        """
        self.base = base
        self.registry = registry
        self._source = ExpertSource(base, registry, adapter_memory)
        self._scheduler = Scheduler(base, limits)
        self._routes = Routes(registry, base.record, encoder, routing)
        install_slots(base.model, [module for module, _, _ in base.record.linears])

    @classmethod
    def from_pretrained(
        cls,
        base: str = DEFAULT_BASE,
        *,
        registry: Registry | Path | None = None,
        device: str = "auto",
        dtype: str = "bfloat16",
        quantization: str = "none",
        encoder: Encoder | None = None,
        routing: RoutingConfig | None = None,
        adapter_memory: int = 1 << 30,
        limits: BatchLimits | None = None,
    ) -> Self:
        """Load a base that was pulled before, with the local registry.

        Raises:
            BaseModelError: ``base_not_pulled``, with the command that pulls it. UsageError: device, dtype or quantization.
        """
        entry = BaseStore(paths.bases_dir()).get(base)
        loaded = load_base(entry.folder, entry.record, device=device, dtype=dtype, quantization=quantization)
        store = registry if isinstance(registry, Registry) else Registry(registry) if registry else Registry.default()
        return cls(loaded, store, encoder=encoder, routing=routing, adapter_memory=adapter_memory, limits=limits)

    def __enter__(self) -> Self:
        """The engine itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give up all adapters that are not in use, and what was kept of ended answers. The engine can be used again."""
        self._source.resident.clear()
        self._scheduler.prefixes.clear()

    def attach_experts(self, experts: Sequence[str | Path]) -> list[Handle]:
        """Load experts now and keep them in memory; one handle each, for :meth:`release`.

        Raises:
            ExpertNotFoundError: not installed. BaseMismatchError: made for another base. BlobDigestError: its bytes changed.
            CapacityError: they do not fit.
        """
        with ExitStack() as held:
            loaded = [self._hold(member, held) for member, _ in parse_selection(list(experts)).members]
            # From here on the caller's handles are what holds them.
            held.pop_all()
        return [Handle(one.name, one.digest) for one in loaded]

    def release(self, handles: Sequence[Handle]) -> None:
        """Drop references. The adapters stay until their room is needed.

        Raises:
            UsageError: ``released_twice``.
        """
        for handle in handles:
            self._source.resident.release(handle.digest)

    @overload
    def generate(self, prompt: str, experts: Any = "auto", *, strict: bool = False, **options: Any) -> GenerationResult: ...
    @overload
    def generate(self, prompt: Sequence[Message], experts: Any = "auto", *, strict: bool = False, **options: Any) -> GenerationResult: ...
    @overload
    def generate(self, prompt: Sequence[str], experts: Any = "auto", *, strict: bool = False, **options: Any) -> list[GenerationResult]: ...
    def generate(self, prompt: Any, experts: Any = "auto", *, strict: bool = False, **options: Any) -> Any:
        """Answer one prompt, or a list of prompts as one batch.

        Args:
            prompt: text, a conversation, or a list of prompts.
            experts: see ``Experts``. For a list of prompts a list of the same length gives each its own.
            strict: raise ``RouteAbstainedError`` instead of letting the base answer alone.
            **options: fields of ``SamplingOptions``, or ``options=SamplingOptions(...)``.

        Returns:
            A result, or a list of them in the order of the prompts.

        Raises:
            UsageError: an unknown option, or lists of different lengths; errors of :meth:`attach_experts`.
        """
        if not isinstance(prompt, Sequence):
            _messages(prompt)
        if _is_single(prompt):
            return self._answers([prompt], [experts], _options(options), strict)[0]
        per_row = list(experts) if isinstance(experts, list | tuple) else [experts] * len(prompt)
        if len(per_row) != len(prompt):
            raise UsageError(
                f"{len(prompt)} prompts but {len(per_row)} entries of experts", hint="give one entry a prompt", code="lengths_differ"
            )
        return self._answers(list(prompt), per_row, _options(options), strict)

    def stream(
        self, prompt: Prompt, experts: Experts = "auto", *, strict: bool = False, **options: Any
    ) -> Generator[StreamEvent, None, None]:
        """Answer one prompt piece by piece; the last event carries the result. Closing the iterator stops the answer.

        Raises:
            see :meth:`generate`; wrong arguments at once, the others when the first event is asked for.
        """
        return self._stream(_messages(prompt), parse_selection(experts), strict, _options(options))

    def explain(self, prompt: str) -> RouteDecision:
        """What the router would do with a prompt, and why."""
        return self._routes.decide(prompt)

    def stats(self) -> dict[str, Any]:
        """Adapters in memory and how they got there."""
        seen = self._source.resident.stats
        seconds = sorted(seen.load_seconds)
        return {
            "adapters": list(self._source.resident.digests),
            "adapter_bytes": self._source.resident.nbytes,
            "hits": seen.hits,
            "loads": seen.loads,
            "evictions": seen.evictions,
            "prefix_hits": self._scheduler.prefixes.hits,
            "prefix_bytes": self._scheduler.prefixes.nbytes,
            "load_seconds_median": seconds[len(seconds) // 2] if seconds else 0.0,
        }

    def _answers(self, prompts: list[Prompt], experts: list[Any], options: SamplingOptions, strict: bool) -> list[GenerationResult]:
        conversations = [_messages(prompt) for prompt in prompts]
        selections = [parse_selection(wanted) for wanted in experts]
        with ExitStack() as held:
            made = [self._compose(wanted, messages, strict, held) for wanted, messages in zip(selections, conversations, strict=True)]
            requests = [self._request(at, conversations[at], one, options) for at, one in enumerate(made)]
            try:
                for request in requests:
                    self._scheduler.submit(request)
            except BaseException:
                for request in requests:
                    request.cancel()
                raise
            self._scheduler.finish(requests)
            return [self._result(request, one) for request, one in zip(requests, made, strict=True)]

    def _stream(
        self, messages: list[Message], selection: Selection, strict: bool, options: SamplingOptions
    ) -> Generator[StreamEvent, None, None]:
        # References are taken in here, so that a stream that is never read holds none.
        with ExitStack() as held:
            composition = self._compose(selection, messages, strict, held)
            request = self._request(0, messages, composition, options)
            self._scheduler.submit(request)
            with closing(self._scheduler.pieces(request)) as pieces:
                for piece in pieces:
                    yield StreamEvent(piece)
            yield StreamEvent("", self._result(request, composition))

    def _request(self, index: int, messages: list[Message], composition: _Composition, options: SamplingOptions) -> Request:
        ids = chat_ids(self.base.tokenizer, messages)
        if not ids:
            raise UsageError("the prompt is empty, and this base has no chat template", code="prompt_invalid")
        # Rows of one batch draw from different numbers, also when one seed is given for all.
        seeded = options if options.seed is None else replace(options, seed=(options.seed + index) % 2**63)
        mix = tuple(sorted((one.digest, one.weight) for one in composition.used))
        return Request(ids, Sampler(seeded), self.base.tokenizer, self._end_tokens, adapter=composition.adapter, mix=mix)

    @property
    def _end_tokens(self) -> frozenset[int]:
        configured = self.base.model.generation_config.eos_token_id if self.base.model.generation_config else None
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset(token for token in [*ids, self.base.tokenizer.eos_token_id] if token is not None)

    def _result(self, request: Request, composition: _Composition) -> GenerationResult:
        return GenerationResult(
            text=request.text.text,
            base=self.base.record.fingerprint.id,
            experts=composition.used,
            route=composition.route,
            abstained=composition.abstained,
            finish_reason="stop" if request.ended else "length",
            usage=Usage(request.prompt_length, len(request.picked), request.reused),
            seed=request.sampler.seed,
            warnings=composition.warnings,
            logprobs=tuple(request.logprobs) if request.sampler.options.logprobs else None,
        )

    def _compose(self, selection: Selection, messages: list[Message], strict: bool, held: ExitStack) -> _Composition:
        """Resolve a selection; ``held`` drops the references on its experts when it is closed."""
        route = None
        if selection.auto:
            route, refs = self._routes.resolve(_query(messages))
            if route.abstained and strict:
                raise RouteAbstainedError(
                    f"no installed expert fits the prompt ({route.reason})", hint="name one with experts=, or allow the base"
                )
            selection = Selection(False, tuple((refs[digest], weight) for digest, _, weight in route.experts))
        loaded = [self._hold(member, held) for member, _ in selection.members]
        weights = [weight for _, weight in selection.members]
        try:
            adapter = _mix([one.adapter for one in loaded], weights)
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise CapacityError(f"out of memory while mixing {len(loaded)} experts", hint="use fewer experts at once") from error
        used = tuple(UsedExpert(one.name, one.version, one.digest, weight) for one, weight in zip(loaded, weights, strict=True))
        return _Composition(adapter, used, route, tuple(warning for one in loaded for warning in one.warnings))

    def _hold(self, member: Member, held: ExitStack) -> Loaded:
        loaded = self._source.acquire(member)
        held.callback(self._source.resident.release, loaded.digest)
        return loaded


def _is_single(prompt: Any) -> bool:
    return isinstance(prompt, str) or (bool(prompt) and isinstance(prompt[0], Mapping))


def _messages(prompt: Any) -> list[Message]:
    """A prompt as messages, each with a role and text.

    Raises:
        UsageError: ``prompt_invalid``.
    """
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(messages, Sequence) or not messages or not all(_is_message(message) for message in messages):
        raise UsageError(
            "a prompt is text, or messages with 'role' and 'content' as text",
            hint='pass "text" or [{"role": "user", "content": "text"}]',
            code="prompt_invalid",
        )
    return list(messages)


def _is_message(message: Any) -> bool:
    return isinstance(message, Mapping) and all(isinstance(message.get(key), str) for key in ("role", "content"))


def _query(messages: Sequence[Message]) -> str:
    """What the router looks at: the last user message."""
    return next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")


def _options(given: dict[str, Any]) -> SamplingOptions:
    options = given.pop("options", None) or SamplingOptions()
    unknown = sorted(given.keys() - OPTION_NAMES)
    if unknown:
        raise UsageError(f"unknown options: {', '.join(unknown)}", hint=f"known: {', '.join(sorted(OPTION_NAMES))}", code="option_unknown")
    return replace(options, **given)


def _mix(adapters: Sequence[Adapter], weights: Sequence[float]) -> Adapter | None:
    if not adapters:
        return None
    return adapters[0] if list(weights) == [1.0] else cat_adapters(adapters, weights)
