"""The engine: a base model, experts from a registry, and the answers that they give together."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

from expert_kit.adapters import BaseModel, SlotTable, answer_ids, base_layers, chat_ids, install_slots, load_base, shorten_layers
from expert_kit.base_models import DEFAULT_BASE, BaseStore
from expert_kit.composition import BaseMerge, cat_adapters, check_in_weights
from expert_kit.errors import UsageError
from expert_kit.inference.background import in_background
from expert_kit.inference.base_ranking import BaseRanker
from expert_kit.inference.composer import Composer, Composition
from expert_kit.inference.constraint import GrammarCompiler
from expert_kit.inference.continuation import Continuation, ContinuationScore, score_continuations, window_of
from expert_kit.inference.defaults import Defaults, settle
from expert_kit.inference.experts import ExpertSource
from expert_kit.inference.likelihood import Likelihood, text_likelihood
from expert_kit.inference.prompts import Message, Prompt, is_single, query_of, to_messages, to_options
from expert_kit.inference.request import Request
from expert_kit.inference.resident import ResidentAdapters
from expert_kit.inference.results import GenerationResult, StreamEvent, Usage
from expert_kit.inference.routes import Routes
from expert_kit.inference.sampling import Sampler, SamplingOptions
from expert_kit.inference.scheduler import BatchLimits, Scheduler
from expert_kit.inference.selection import Experts, Selection, parse_selection
from expert_kit.names import Digest
from expert_kit.registry import Registry, paths
from expert_kit.routing import Encoder, RouteDecision, RoutingConfig


@dataclass(frozen=True)
class Handle:
    """A reference that keeps one expert in memory until it is released."""

    name: str
    digest: Digest
    claims: set[str] = field(default_factory=set, compare=False, repr=False)
    """What it still holds, of ``reference`` and ``pin``: nobody gives back twice what others hold too."""


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
        parked_memory: int = 1 << 30,
        limits: BatchLimits | None = None,
    ) -> None:
        """Take a loaded base; use :meth:`from_pretrained` to have it found and loaded.

        Args:
            base: its linear layers are wrapped in place.
            registry: where experts come from; without one only the base and local folders are there.
            encoder: for ``experts="auto"``; found when first needed if it is not given.
            routing: thresholds of the router.
            adapter_memory: bytes of adapters that a batch can use at once.
            parked_memory: bytes of adapters kept in main memory when others take their room.
            limits: of the running batch: rows, and bytes of keys and values.
        """
        self.base = base
        self.registry = registry
        table = SlotTable(install_slots(base.model, base.record.linears), base.device, base.model.dtype)
        shorten_layers(base.model)
        self._source = ExpertSource(base, registry, ResidentAdapters(table, adapter_memory, parked_memory))
        self._scheduler = Scheduler(base, limits)
        self._routes = Routes(registry, base.record, encoder, routing, BaseRanker(base, self._scheduler.between_steps))
        self._composer = Composer(self._source, self._routes)
        self._grammars = GrammarCompiler(base, self._end_tokens)

    @classmethod
    def from_pretrained(
        cls,
        base: str = DEFAULT_BASE,
        *,
        registry: Registry | Path | None = None,
        device: str = "auto",
        dtype: str = "auto",
        quantization: str = "none",
        encoder: Encoder | None = None,
        routing: RoutingConfig | None = None,
        adapter_memory: int = 1 << 30,
        parked_memory: int = 1 << 30,
        limits: BatchLimits | None = None,
    ) -> Self:
        """Load a base that was pulled before, with the local registry.

        Raises:
            BaseModelError: ``base_not_pulled``, with the command that pulls it. UsageError: device, dtype or quantization.
        """
        entry = BaseStore(paths.bases_dir()).get(base)
        loaded = load_base(entry.folder, entry.record, device=device, dtype=dtype, quantization=quantization)
        store = registry if isinstance(registry, Registry) else Registry(registry) if registry else Registry.default()
        return cls(
            loaded, store, encoder=encoder, routing=routing, adapter_memory=adapter_memory, parked_memory=parked_memory, limits=limits
        )

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

    def attach_experts(self, experts: Sequence[str | Path] | str | Path, *, pin: bool = False) -> list[Handle]:
        """Load experts now and keep them in memory; one handle each, for :meth:`release`.

        Args:
            experts: names, or local adapter folders; one alone may be given as it is.
            pin: keep them also when nothing uses them, until :meth:`unpin`.

        Raises:
            ExpertNotFoundError: not installed. BaseMismatchError: made for another base. BlobDigestError: its bytes changed.
            CapacityError: they do not fit.
        """
        with ExitStack() as held:
            loaded = [self._composer.hold(member, held) for member, _ in _named(experts).members]
            # From here on the caller's handles are what holds them.
            held.pop_all()
        for one in loaded if pin else ():
            self._source.resident.pin(one.digest)
        return [Handle(one.name, one.digest, {"reference", "pin"} if pin else {"reference"}) for one in loaded]

    def unpin(self, handles: Sequence[Handle] | Handle) -> None:
        """Let pinned experts go when their room is needed and nothing uses them; what a handle did not pin stays as it is.

        Raises:
            UsageError: ``handle_type``.
        """
        for handle in _handles(handles):
            if _take(handle, "pin"):
                self._source.resident.pin(handle.digest, pinned=False)

    def prefetch(self, experts: Sequence[str | Path] | str | Path) -> Future[None]:
        """Load experts in a thread of their own, for calls that come soon; what went wrong is the future's exception."""
        selection = _named(experts)

        def load() -> None:
            with ExitStack() as held:
                self._composer.hold_all(selection, held, may_leave_out=False)

        return in_background(load)

    def release(self, handles: Sequence[Handle] | Handle) -> None:
        """Drop references. The adapters stay until their room is needed.

        Raises:
            UsageError: ``released_twice``; ``handle_type``, before anything is dropped.
        """
        for handle in _handles(handles):
            if not _take(handle, "reference"):
                raise UsageError(
                    f"{handle.name} was released by this handle before", hint="release each handle once", code="released_twice"
                )
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
            to_messages(prompt)
        if is_single(prompt):
            return self._answers([prompt], [experts], to_options(options), strict)[0]
        per_row = list(experts) if isinstance(experts, list | tuple) else [experts] * len(prompt)
        if len(per_row) != len(prompt):
            raise UsageError(
                f"{len(prompt)} prompts but {len(per_row)} entries of experts", hint="give one entry a prompt", code="lengths_differ"
            )
        return self._answers(list(prompt), per_row, to_options(options), strict)

    def stream(
        self, prompt: Prompt, experts: Experts = "auto", *, strict: bool = False, **options: Any
    ) -> Generator[StreamEvent, None, None]:
        """Answer one prompt piece by piece; the last event carries the result. Closing the iterator stops the answer.

        Raises:
            see :meth:`generate`; wrong arguments at once, the others when the first event is asked for.
        """
        return self._stream(to_messages(prompt), parse_selection(experts), strict, to_options(options))

    @contextmanager
    def merged(self, experts: Experts) -> Iterator[None]:
        """Inside the block the base's own weights hold the experts, and ``experts=None`` means them: fastest for one long mix.

        Afterwards the weights are what they were, to the bit. What other threads or engines on the same base ask meanwhile is refused,
        and so is what they asked before and has not begun; an answer that has not ended with the block ends with ``weights_changed``.

        Raises:
            NotComposableError: ``base_quantized``; ``base_merged``, it holds others; ``soft_prompt_merged``; ``expert_exclusive``.
            UsageError: ``batch_running``, or ``auto``. Errors of :meth:`attach_experts`.
        """
        selection = parse_selection(experts)
        if selection.auto:
            raise UsageError("a router chooses for a prompt, and there is none", hint="name the experts", code="merge_auto")
        with ExitStack() as held:
            composition = self._composer.compose(selection, [], strict=False, held=held)
            check_in_weights([slot.kind for slot, _ in composition.slots])
            with self._scheduler.alone():
                # Another thread may have merged since.
                self._scheduler.weights.check()
                adapters = [slot.block.adapter(slot) for slot, _ in composition.slots]
                mix = cat_adapters(adapters, [weight for _, weight in composition.slots])
                merge = BaseMerge(base_layers(self.base.model, self.base.record.linears), mix)
                self._composer.merged = self._scheduler.weights.merged = composition
            try:
                yield
            finally:
                with self._scheduler.alone(break_off=True):
                    merge.undo()
                    self._composer.merged = self._scheduler.weights.merged = None

    def likelihood(self, text: str, experts: Experts = None) -> Likelihood:
        """How likely a text is as it stands, without chat template, under the base with these experts.

        Args:
            text: at least two tokens; ``auto`` asks the router about it as if it were a prompt.
            experts: see ``Experts``.

        Raises:
            UsageError: ``text_too_short``, ``prompt_invalid``. Errors of :meth:`attach_experts`.
        """
        if not isinstance(text, str):
            raise UsageError(f"{type(text).__name__} is no text", hint="pass one text; messages have no likelihood", code="prompt_invalid")
        with ExitStack() as held:
            composition = self._composer.compose(parse_selection(experts), to_messages(text), False, held)
            with self._scheduler.between_steps(composition.weights):
                return text_likelihood(self.base, text, composition.slots)

    def continuations(self, rows: Sequence[Continuation], experts: Experts = None, *, query: str = "") -> list[ContinuationScore]:
        """How likely each row of tokens is behind what it follows, under the base with these experts; without chat template.

        Args:
            rows: token ids of the base's tokenizer, best in the order of their lengths.
            experts: the same for all rows, see ``Experts``.
            query: what ``auto`` asks the router about; without one the base is alone.

        Raises:
            UsageError: ``continuation_empty``. CapacityError: ``prompt_too_long``. Errors of :meth:`attach_experts`.
        """
        with ExitStack() as held:
            composition = self._composer.compose(parse_selection(experts), to_messages(query), False, held)
            with self._scheduler.between_steps(composition.weights):
                return score_continuations(self.base, rows, composition.slots)

    def exchange(self, prompt: Prompt, answer: str) -> Continuation:
        """Tokens of a prompt and an answer to it, in the chat template and with the end token, as in training.

        Raises:
            UsageError: ``prompt_invalid``.
        """
        return Continuation(self._prompt_ids(to_messages(prompt)), answer_ids(self.base.tokenizer, answer))

    @property
    def window(self) -> int:
        """Tokens that the base sees together at most."""
        return window_of(self.base)

    def explain(self, prompt: Prompt) -> RouteDecision:
        """What the router would do with a prompt, a text or a conversation, and why."""
        return self._routes.decide(query_of(to_messages(prompt)))

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
        conversations = [to_messages(prompt) for prompt in prompts]
        selections = [parse_selection(wanted) for wanted in experts]
        with ExitStack() as guard:
            holds = [guard.enter_context(ExitStack()) for _ in prompts]
            asked = zip(selections, conversations, holds, strict=True)
            chosen = [self._composer.choose(wanted, messages, strict, held) for wanted, messages, held in asked]
            # What the router chose is being loaded meanwhile.
            encoded = [self._prompt_ids(messages) for messages in conversations]
            made = [self._composer.take(choice, held) for choice, held in zip(chosen, holds, strict=True)]
            requests = [self._request(at, conversations[at], encoded[at], one, options) for at, one in enumerate(made)]
            self._submit(requests, holds)
        self._scheduler.finish(requests)
        return [self._result(request, one) for request, one in zip(requests, made, strict=True)]

    def _submit(self, requests: Sequence[Request], holds: Sequence[ExitStack]) -> None:
        """Queue requests; from here on each row holds its experts itself, until it has left the batch."""
        for request, held in zip(requests, holds, strict=True):
            request.held = held.pop_all()
        try:
            self._scheduler.submit(*requests)
        except BaseException:
            for request in requests:
                request.held.close()
            raise

    def _stream(
        self, messages: list[Message], selection: Selection, strict: bool, options: SamplingOptions
    ) -> Generator[StreamEvent, None, None]:
        # References are taken in here, so that a stream that is never read holds none.
        with ExitStack() as held:
            choice = self._composer.choose(selection, messages, strict, held)
            ids = self._prompt_ids(messages)
            composition = self._composer.take(choice, held)
            request = self._request(0, messages, ids, composition, options)
            self._submit([request], [held])
        with closing(self._scheduler.pieces(request)) as pieces:
            for piece in pieces:
                yield StreamEvent(piece)
        yield StreamEvent("", self._result(request, composition))

    def _prompt_ids(self, messages: list[Message]) -> list[int]:
        ids = chat_ids(self.base.tokenizer, messages)
        if not ids:
            raise UsageError("the prompt is empty, and this base has no chat template", code="prompt_invalid")
        return ids

    def _request(self, index: int, messages: list[Message], ids: list[int], composition: Composition, options: SamplingOptions) -> Request:
        options, defaults = self._settled(options, messages, composition, len(ids))
        # Rows of one batch draw from different numbers, also when one seed is given for all.
        seeded = options if options.seed is None else replace(options, seed=(options.seed + index) % 2**63)
        mix = tuple(sorted((one.digest, one.weight) for one in composition.used))
        hold = self._grammars.hold(options.grammar, composition.grammar, messages)
        return Request(
            ids, Sampler(seeded), self.base.tokenizer, self._end_tokens, slots=composition.slots, mix=mix, hold=hold, defaults=defaults,
            weights=composition.weights,
        )  # fmt: skip

    def _settled(
        self, options: SamplingOptions, messages: list[Message], composition: Composition, prompt_length: int
    ) -> tuple[SamplingOptions, Defaults | None]:
        """What the caller left to the one expert's manifest, or to the kind of task."""
        alone = composition.used[0] if len(composition.used) == 1 else None
        known = self._source.parameters(alone.digest) if options.by_task and alone is not None and alone.version else {}
        taken = prompt_length + sum(slot.prompt.tokens for slot, _ in composition.slots if slot.prompt)
        return settle(options, query_of(messages), known, self._scheduler.longest_row - taken)

    @property
    def _end_tokens(self) -> frozenset[int]:
        configured = self.base.model.generation_config.eos_token_id if self.base.model.generation_config else None
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset(token for token in [*ids, self.base.tokenizer.eos_token_id] if token is not None)

    def _result(self, request: Request, composition: Composition) -> GenerationResult:
        return GenerationResult(
            text=request.text.text,
            base=self.base.record.fingerprint.id,
            dtype=self.base.dtype,
            experts=composition.used,
            route=composition.route,
            abstained=composition.abstained,
            finish_reason="stop" if request.ended else "length",
            usage=Usage(request.prompt_length, len(request.picked), request.reused),
            seed=request.sampler.seed,
            warnings=(*composition.warnings, *request.hold.said, *request.sampler.options.warnings),
            grammar=request.hold.in_force,
            defaults=request.defaults,
            logprobs=tuple(request.logprobs) if request.sampler.options.logprobs else None,
        )


def _named(experts: Sequence[str | Path] | str | Path) -> Selection:
    """Experts by name only: the words that choose for a prompt have no meaning without one."""
    if isinstance(experts, str) or not isinstance(experts, Sequence | Mapping):
        return parse_selection([experts])
    return parse_selection(experts)


def _handles(given: Any) -> Sequence[Handle]:
    handles = [given] if isinstance(given, Handle) else given
    if not isinstance(handles, Sequence) or not all(isinstance(one, Handle) for one in handles):
        raise UsageError(f"{given!r} is not what attach_experts gave", hint="pass its handles, or one of them", code="handle_type")
    return handles


def _take(handle: Handle, claim: str) -> bool:
    """Whether the handle still had the claim; it has it no longer. One set operation, so that two threads cannot both have it."""
    try:
        handle.claims.remove(claim)
    except KeyError:
        return False
    return True
