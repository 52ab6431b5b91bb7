"""A selection -> experts held in slots, with what the router said about it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from expert_kit.adapters import RowMix
from expert_kit.composition import check_mix
from expert_kit.errors import CapacityError, NotComposableError, RouteAbstainedError
from expert_kit.inference.background import Ahead
from expert_kit.inference.base_weights import merged_error, weights_of
from expert_kit.inference.experts import ExpertSource, Loaded
from expert_kit.inference.grammar import Grammar
from expert_kit.inference.prompts import Message, query_of
from expert_kit.inference.results import UsedExpert
from expert_kit.inference.routes import Routes
from expert_kit.inference.selection import Member, Selection
from expert_kit.routing import RouteDecision


@dataclass(frozen=True, eq=False)
class Composition:
    """A resolved selection: the slots to apply, and what is in them."""

    slots: RowMix
    used: tuple[UsedExpert, ...] = ()
    route: RouteDecision | None = None
    warnings: tuple[str, ...] = ()
    grammar: Grammar | None = None
    """Different ones that the experts carry."""
    weights: object | None = None
    """What the base's own weights have to hold for it; see ``BaseWeights``."""

    @property
    def abstained(self) -> bool:
        """Whether the router was asked and chose nobody."""
        return self.route is not None and self.route.abstained


Held = tuple[list[Loaded], list[str]]
"""Experts with references taken, and warnings."""


@dataclass(frozen=True, eq=False)
class Choice:
    """Who is to answer; where the router chose, the experts may be on their way already."""

    selection: Selection
    """No ``auto`` any more."""
    route: RouteDecision | None = None
    ahead: Ahead[Held] | None = None


class Composer:
    """Resolves selections of one engine."""

    def __init__(self, source: ExpertSource, routes: Routes) -> None:
        self.source, self._routes = source, routes
        # Reading, hashing and copying leave the interpreter free for much of their time, but not for all.
        self._loaders = ThreadPoolExecutor(max_workers=2, thread_name_prefix="expert-kit-load")
        self.weights = weights_of(source.base.model)
        self.merged: Composition | None = None
        """What this engine has put into the base's own weights; nothing else can be selected then, and by other engines nothing at all."""

    def compose(self, selection: Selection, messages: list[Message], strict: bool, held: ExitStack) -> Composition:
        """Resolve a selection; ``held`` drops the references on its experts when it is closed."""
        return self.take(self.choose(selection, messages, strict, held), held)

    def choose(self, selection: Selection, messages: list[Message], strict: bool, held: ExitStack) -> Choice:
        """Ask the router where it is asked for; from then on what it chose is being loaded, until :meth:`take` waits for it."""
        self.weights.check(self.merged)
        if self.merged is not None and not selection.is_base:
            raise merged_error()
        if not selection.auto:
            return Choice(selection)
        route, refs = self._routes.resolve(query_of(messages))
        if route.abstained and strict:
            raise RouteAbstainedError(
                f"no installed expert fits the prompt ({route.reason})", hint="name one with experts=, or allow the base"
            )
        chosen = Selection(False, tuple((refs[digest], weight) for digest, _, weight in route.experts))
        if all(self.source.resident.has_slot(digest) for digest, _, _ in route.experts):
            return Choice(chosen, route)
        ahead = Ahead(self._loaders, lambda own: self.hold_all(chosen, own, may_leave_out=True))
        held.callback(ahead.close)
        return Choice(chosen, route, ahead)

    def take(self, choice: Choice, held: ExitStack) -> Composition:
        """Hold what was chosen; see :meth:`compose`."""
        if (merged := self.merged) is not None:
            if choice.route is not None or not choice.selection.is_base:
                # Chosen before another thread merged.
                raise merged_error()
            return replace(merged, slots=(), weights=merged)
        selection, route = choice.selection, choice.route
        ready = choice.ahead.take() if choice.ahead else None
        loaded, left_out = ready or self.hold_all(selection, held, may_leave_out=route is not None)
        weights = [weight for _, weight in selection.members[: len(loaded)]]
        if len({one.digest for one in loaded}) < len(loaded):
            names = ", ".join(one.name for one in loaded)
            raise NotComposableError(f"two of {names} are the same expert", hint="add up their weights", code="expert_twice")
        try:
            check_mix([one.slot.kind for one in loaded], weights)
        except NotComposableError as error:
            if route is None:
                raise
            # The router knows scores, not kinds; the best expert alone is what it would have chosen first.
            best = weights.index(max(weights))
            gone = ", ".join(one.name for one in loaded if one is not loaded[best])
            left_out = [*left_out, f"{gone or 'its weight'} left out of the mix: {error.message}"]
            loaded, weights = [loaded[best]], [1.0]
        used = tuple(UsedExpert(one.name, one.version, one.digest, weight) for one, weight in zip(loaded, weights, strict=True))
        # In one order, so that rows with one mix are seen to have it.
        slots = tuple((one.slot, weight) for one, weight in sorted(zip(loaded, weights, strict=True), key=lambda pair: pair[0].digest))
        warnings = (*(warning for one in loaded for warning in one.warnings), *left_out)
        # Who speaks most has the form, of equals the first: the grammar of one that only helps would spoil another's answer.
        return Composition(slots, used, route, warnings, loaded[weights.index(max(weights))].grammar if loaded else None)

    def hold_all(self, selection: Selection, held: ExitStack, *, may_leave_out: bool) -> Held:
        """Take references, and warnings; where the router chose, what does not fit behind the first may be left out."""
        loaded: list[Loaded] = []
        for member, _ in selection.members:
            try:
                loaded.append(self.hold(member, held))
            except CapacityError:
                if not (may_leave_out and loaded):
                    raise
                gone = ", ".join(str(other) for other, _ in selection.members[len(loaded) :])
                return loaded, [f"no memory for {gone}: left out of the mix"]
        return loaded, []

    def hold(self, member: Member, held: ExitStack) -> Loaded:
        """Load one expert; ``held`` drops the reference when it is closed.

        Raises:
            NotComposableError: ``base_merged``.
        """
        self.weights.check()
        loaded = self.source.acquire(member)
        held.callback(self.source.resident.release, loaded.digest)
        return loaded
