"""``expert-kit attest``: a signed statement about an archive, into the archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from expert_kit.cli.options import Json, PassphraseFile
from expert_kit.cli.output import emit_json, emit_path, note
from expert_kit.cli.report import measured_on, read_report
from expert_kit.cli.secrets import load_key
from expert_kit.errors import UsageError
from expert_kit.names import printable


def attest(
    archive: Annotated[Path, typer.Argument(help="An .expert file.", show_default=False)],
    kind: Annotated[str, typer.Option("--type", help="provenance, eval, bom or import.")],
    key: Annotated[str, typer.Option("--key", help="Name of an own key, see `expert-kit keys list`.")],
    predicate: Annotated[
        Path | None, typer.Option(help="JSON file with the predicate of that type, see docs/trust.md.", show_default=False)
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="For --type eval instead: what `expert-kit eval --json` printed, or the folder of its --report.", show_default=False
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="With --report: SUITE=FILE, the data of a suite, where the report does not say it; may repeat.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; without it the archive is replaced.", show_default=False)] = None,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Add a signed attestation to an archive. Its identity and its signatures stay."""
    from expert_kit.registry.archives import attest_archive

    if (predicate is None) == (report is None) or (report is not None and kind != "eval") or (data and report is None):
        hint = "name a JSON file with --predicate; for --type eval either that or a --report"
        raise UsageError("what to attest is not clear", hint=hint, code="attest_what")
    content = _object(predicate) if predicate is not None else _of_report(report, data or [])
    done = attest_archive(archive, kind, content, load_key(key, passphrase_file), out)
    written = out or archive
    if json:
        emit_json({"archive": str(written), "expert": str(done.ref), "attestations": done.to_json()["attestations"]})
        return
    emit_path(written)
    note(f"{done.ref}: {len(done.attestations)} attestation(s), {', '.join(printable(one.kind) for one in done.attestations)}")


def _object(path: Path) -> dict[str, Any]:
    from expert_kit.registry.plain_file import read_plain
    from expert_kit.signing.canonical import parse_free

    try:
        return parse_free(read_plain(path))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot read {path}: {reason}", hint="name a JSON file", code="predicate_file") from error


def _of_report(path: Path | None, data: list[str]) -> dict[str, Any]:
    from expert_kit.signing.attestations import eval_predicate

    assert path is not None
    found = read_report(path)
    return eval_predicate(found["results"], {**measured_on(found), **dict(_digests(data))})


def _digests(data: list[str]) -> Iterator[tuple[str, str]]:
    from expert_kit.names import sha256_digest

    hint = "write it like --data gsm8k=test.jsonl"
    for text in data:
        suite, _, file = text.partition("=")
        if not suite or not file:
            raise UsageError(f"--data {text} is not SUITE=FILE", hint=hint, code="data_file")
        try:
            yield suite, sha256_digest(Path(file).read_bytes())
        except OSError as error:
            raise UsageError(f"--data {text}: {error.strerror}", hint=hint, code="data_file") from error
