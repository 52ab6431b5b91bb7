"""``expert-kit verify``: would what is installed be let in again today?"""

from __future__ import annotations

from typing import Annotated

import typer

from expert_kit.cli.exits import EXIT_CODES, REFUSED
from expert_kit.cli.options import Json
from expert_kit.cli.output import emit_json, emit_table, note
from expert_kit.errors import CheckUnavailableError, UsageError
from expert_kit.names import printable


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="ns/name, or ns/name@version.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every installed version.")] = False,
    json: Json = False,
) -> None:
    """Check installed experts against today's trust. Exit code 4 if one is refused, 10 if one could not be checked."""
    from expert_kit.registry import Registry
    from expert_kit.registry.verify import REFUSED as BAD
    from expert_kit.registry.verify import UNCHECKED, verify_installed

    if bool(names) == everything:
        raise UsageError("name experts, or all of them", hint="expert-kit verify --all", code="verify_what")
    registry = Registry.default()
    experts = registry.list() if everything else [registry.get(name) for name in names or []]
    verdicts = [verify_installed(registry, expert) for expert in experts]
    if json:
        emit_json([verdict.to_json() for verdict in verdicts])
    elif verdicts:
        emit_table(("EXPERT", "STATE", "WHY"), [(one.expert, one.state, ", ".join(one.codes)) for one in verdicts])
    for one in verdicts:
        if one.message and not json:
            note(printable(f"{one.message}; next: {one.next}"))
    states = {verdict.state for verdict in verdicts}
    if states & {BAD, UNCHECKED}:
        raise typer.Exit(REFUSED if BAD in states else EXIT_CODES[CheckUnavailableError])
