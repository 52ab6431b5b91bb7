"""``expert-kit merge``: several experts -> the source of a new one."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.options import Json, read_choice
from expert_kit.cli.output import emit_json, emit_path, note
from expert_kit.errors import UsageError
from expert_kit.names import ExpertRef, printable

if TYPE_CHECKING:
    from expert_kit.inference.selection import Member


def merge(
    experts: Annotated[
        list[str],
        typer.Argument(help="Two or more: ns/name@WEIGHT, ns/name@VERSION@WEIGHT, or an adapter folder and @WEIGHT.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="A folder for the new expert; it must be empty or not there.", show_default=False)],
    method: Annotated[
        str, typer.Option(help="cat is the exact sum; svd cuts it to --rank; linear, ties, dare: see docs/engine.md.")
    ] = "svd",
    rank: Annotated[int | None, typer.Option(help="Rank of the result, at most.", show_default="that of the parents")] = None,
    density: Annotated[float, typer.Option(help="Share of entries that ties and dare keep.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Of what dare drops.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the new expert.")] = "local/merged",
    version: Annotated[str, typer.Option(help="Its version.")] = "0.1.0",
    license: Annotated[str | None, typer.Option(help="SPDX licence expression.", show_default="that of the parents")] = None,
    base: Annotated[str | None, typer.Option(help="Base model of all.", show_default="that of the first installed expert")] = None,
    json: Json = False,
) -> None:
    """Merge experts of one base model into a new one, ready for `package`. Its expert.yaml names the parents."""
    members = tuple(parse_member(text) for text in experts)
    full_name = ExpertRef.parse(f"{name}@{version}").full_name

    from expert_kit.cli.quiet import quiet_libraries

    quiet_libraries()
    from expert_kit.base_models import DEFAULT_BASE, BaseStore
    from expert_kit.composition import MergeOptions
    from expert_kit.inference import MergePlan, merge_experts
    from expert_kit.registry import Registry, bases_dir

    registry = Registry.default()
    first = next((member for member, _ in members if isinstance(member, ExpertRef)), None)
    wanted = base or (registry.get(first).base.id if first else DEFAULT_BASE)
    plan = MergePlan(members, method, MergeOptions(rank, density, seed), full_name, version, license)
    done = merge_experts(plan, BaseStore(bases_dir()).get(wanted).record, registry, out)
    if json:
        lineage = json_module.loads((out / "expert.yaml").read_text(encoding="utf-8"))["lineage"]
        emit_json({"folder": str(done.folder), "rank": done.rank, "residual": done.residual, "lineage": lineage})
        return
    emit_path(done.folder)
    note(f"{printable(method)}, rank {done.rank}, cutting to it lost {done.residual:.1%} at most")
    note(f"next: expert-kit package {printable(str(done.folder))}")


def parse_member(text: str) -> tuple[Member, float]:
    """``ns/name@0.6`` or ``folder@0.6``.

    Raises:
        UsageError: ``merge_member``, there is no weight. UnknownNameError: no name of an expert.
    """
    name, _, weight = text.rpartition("@")
    try:
        value = float(weight)
    except ValueError:
        name = ""
    if not name:
        raise UsageError(f"{text!r} has no weight", hint="write ns/name@0.6, or folder@0.6", code="merge_member")
    choice = read_choice(name)
    return (choice if isinstance(choice, Path) else ExpertRef.parse(name)), value
