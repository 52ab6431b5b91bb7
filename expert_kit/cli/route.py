"""``expert-kit route``: what the router would do, without the base model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.engine import abstention
from expert_kit.cli.options import Base, Json, Policy, Prompt, read_prompt
from expert_kit.cli.output import emit, emit_json, note
from expert_kit.cli.quiet import quiet_libraries

if TYPE_CHECKING:
    from expert_kit.bases import BaseRecord
    from expert_kit.names import Digest, ExpertRef
    from expert_kit.routing import Ranker, RouteDecision


def route(
    prompt: Prompt = None,
    explain: Annotated[bool, typer.Option("--explain", help="Scores of every router, the two numbers, nearest examples, and why.")] = False,
    base: Base = "smollm2-135m",
    policy: Policy = "none",
    json: Json = False,
) -> None:
    """Show which experts would answer. The base model is only loaded with --policy base."""
    text = read_prompt(prompt)
    quiet_libraries()
    from expert_kit.inference import Routes
    from expert_kit.registry import Registry
    from expert_kit.routing import RoutingConfig

    config = RoutingConfig(policy=policy)
    ranker = None if policy == "none" else ranker_of(base)
    decision, refs = Routes(Registry.default(), record_of(base), config=config, ranker=ranker).resolve(text)
    if json:
        emit_json(decision.to_json())
    else:
        emit_decision(decision, refs, explain=explain)


def emit_decision(decision: RouteDecision, refs: Mapping[Digest, ExpertRef], *, explain: bool) -> None:
    """The chosen experts with their weights, or all the reasons."""
    if explain:
        from expert_kit.routing import explain as describe

        emit(describe(decision))
        return
    for expert in decision.experts:
        emit(f"{refs[expert.digest]}  {expert.weight:.2f}")
    if decision.abstained:
        emit("base")
        note(f"no expert fits: {abstention(decision)}")
    for said in decision.notes:
        note(said)


def ranker_of(base: str) -> Ranker:
    """The base model, to be asked about cards; the same format as ``generate`` has by default, so that both say the same."""
    from expert_kit.adapters import load_base
    from expert_kit.base_models import BaseStore
    from expert_kit.inference import BaseRanker
    from expert_kit.registry import bases_dir

    entry = BaseStore(bases_dir()).get(base)
    return BaseRanker(load_base(entry.folder, entry.record))


def record_of(base: str) -> BaseRecord | None:
    """The base model's record; without one, experts for every base take part."""
    from expert_kit.base_models import BaseStore
    from expert_kit.errors import BaseModelError
    from expert_kit.registry import bases_dir

    try:
        return BaseStore(bases_dir()).get(base).record
    except BaseModelError as error:
        note(f"{error.message}: experts for every base take part")
        return None
