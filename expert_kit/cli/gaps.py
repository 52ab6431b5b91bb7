"""``expert-kit gaps``: what people ask that no expert covers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.options import Json
from expert_kit.cli.output import counted, emit, emit_json, note
from expert_kit.errors import UnknownNameError, UsageError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.routing import Gap


def gaps(
    on: Annotated[bool, typer.Option("--on", help="From now on keep prompts that no expert covers, on this machine only.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Keep none from now on.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Forget the prompts that were kept.")] = False,
    at_least: Annotated[int, typer.Option("--at-least", min=3, help="Prompts that make a group.")] = 10,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Write a recipe skeleton for the group of this name.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for --recipe.")] = Path("recipes"),
    json: Json = False,
) -> None:
    """Show groups of prompts that no installed expert covers, with samples. Nothing is kept until --on."""
    from expert_kit.inference import Routes

    if on and off:
        raise UsageError("--on and --off do not fit together", hint="give one of them", code="gaps_options")
    routes = Routes(None, None)
    log = routes.gap_log
    if on or off:
        log.switch(on=on)
        note("uncovered prompts are kept from now on, at most 2,000" if on else "no prompts are kept from now on")
    if clear:
        note(f"forgotten: {counted(log.clear(), 'prompt')}")
    if on or off or clear:
        return
    rows = log.rows()
    found = _groups(routes, rows, at_least) if rows else []
    if recipe is not None:
        _write(recipe, found, out)
        return
    if json:
        emit_json({"on": log.is_on, "prompts": len(rows), "gaps": [gap.__dict__ for gap in found]})
        return
    for gap in found:
        emit(printable(f"{gap.name}: {counted(gap.count, 'prompt')} on {counted(gap.days, 'day')}"))
        for text in gap.prompts[:5]:
            emit(printable(f"  {text[:100]}"))
    if not found:
        state = (
            f"{counted(len(rows), 'prompt')}, no group of {at_least}" if rows or log.is_on else "nothing is kept; switch it on with --on"
        )
        note(state)


def _groups(routes: object, rows: list[tuple[str, str]], at_least: int) -> list[Gap]:
    from expert_kit.cli.quiet import quiet_libraries

    quiet_libraries()
    from expert_kit.inference import Routes
    from expert_kit.routing import find_gaps
    from expert_kit.routing.corpus import sentence_rows

    assert isinstance(routes, Routes)
    texts = sorted({text for text, _ in rows})
    encoder = routes.encoder
    vectors = dict(zip(texts, sentence_rows(encoder.encode(texts), encoder.parts), strict=True))
    import numpy as np

    return find_gaps(rows, np.stack([vectors[text] for text, _ in rows]), at_least)


def _write(name: str, found: list[Gap], out: Path) -> None:
    from expert_kit.cli.gap_recipe import write_skeleton

    gap = next((gap for gap in found if gap.name == name), None)
    if gap is None:
        known = ", ".join(gap.name for gap in found) or "none"
        raise UnknownNameError(f"no gap is named {name!r}; there are: {known}", hint="expert-kit gaps", code="gap_unknown")
    folder = write_skeleton(gap, out)
    emit(str(folder))
    note(f"next: write the completions in {folder / 'seed.jsonl'}, then split it into train.jsonl and validation.jsonl")
