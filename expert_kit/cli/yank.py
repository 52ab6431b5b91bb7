"""``expert-kit yank``: hide a version that should not be picked any more, and take that back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.options import Json
from expert_kit.cli.output import emit, emit_json, note
from expert_kit.errors import UsageError
from expert_kit.names import ExpertRef, printable

if TYPE_CHECKING:
    from expert_kit.registry import Registry


def yank(
    name: Annotated[str, typer.Argument(help="ns/name@version, or ns/name for the current version.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Shown whenever the version is used.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
    json: Json = False,
) -> None:
    """Withdraw a version here. Nothing picks it by itself any more; asked for by name it still loads, with the reason."""
    from expert_kit.registry import Registry

    if undo == bool(reason):
        raise UsageError("either a reason, or --undo", hint=f'expert-kit yank {name} --reason "..."', code="yank_reason")
    reason, registry = printable(reason), Registry.default()
    ref = registry.unyank(name) if undo else registry.yank(name, reason)
    if not undo:
        _warn_if_absent(registry, ref)
    if json:
        emit_json({"expert": str(ref), "yanked": None if undo else reason})
        return
    emit(str(ref))
    note("no longer withdrawn" if undo else f"withdrawn: {reason}; to take it back: expert-kit yank {ref} --undo")


def _warn_if_absent(registry: Registry, ref: ExpertRef) -> None:
    """A version may be withdrawn before it comes; more often it is a slip."""
    versions = [expert.ref.version or "" for expert in registry.versions(ref)]
    if ref.version not in versions:
        present = f" (there are: {', '.join(versions)})" if versions else ""
        note(f"warning: {ref} is not installed{present}; it is withdrawn if it ever comes. Not meant? expert-kit yank {ref} --undo")
