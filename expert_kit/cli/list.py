"""``expert-kit list``: what is installed."""

from __future__ import annotations

from expert_kit.cli.experts import expert_json
from expert_kit.cli.options import Json, Quiet
from expert_kit.cli.output import emit, emit_json, emit_table, note


def list_experts(json: Json = False, quiet: Quiet = False) -> None:
    """List the installed experts. A * marks the version that a name without one means."""
    from expert_kit.registry import Registry

    experts = Registry.default().list()
    if quiet:
        for expert in experts:
            emit(str(expert.ref))
    elif json:
        emit_json([expert_json(expert) for expert in experts])
    elif not experts:
        note("no experts are installed; next: expert-kit install FILE.expert")
    else:
        emit_table(
            ("", "EXPERT", "BASE", "TRUST", "SUMMARY"),
            [("*" if one.current else "", str(one.ref), f"{one.base.id} ({one.base_match})", one.trust, one.summary) for one in experts],
        )
