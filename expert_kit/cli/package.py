"""``expert-kit package``: a source folder -> an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from expert_kit.cli.options import Json
from expert_kit.cli.output import emit_json, emit_path, note
from expert_kit.cli.progress import megabytes
from expert_kit.errors import ManifestError, UsageError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.archive import ManifestSource, Probe
    from expert_kit.manifest import EvalResult, Manifest

FOLDER_OR_ARCHIVE: Final = "name a folder that can be made, or end the name in .expert"
_DTYPES: Final = {"bf16": "BF16", "bfloat16": "BF16"}


def package(
    source: Annotated[Path, typer.Argument(help="An expert.yaml, or its folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="An .expert file, or a folder for a file with the standard name.")] = Path(),
    no_probe: Annotated[bool, typer.Option("--no-probe", help="Leave out the logits by which installers check what it does.")] = False,
    dtype: Annotated[
        str | None, typer.Option(help="bf16 rounds float32 weights; the archive says what that changed.", show_default=False)
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="With --dtype: run this recipe's tests before and after the conversion.", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="With --recipe: only the first rows of every test set.")] = None,
    matrix: Annotated[
        Path | None,
        typer.Option(help="JSON of `eval --matrix`: refuse the expert if a sibling is as good on its tests.", show_default=False),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Folder of `eval --report`: its results, and its card where the source names none.", show_default=False),
    ] = None,
    allow_worse: Annotated[
        bool, typer.Option("--allow-worse", help="Pack it even if its tests say that it is no better than the base; the archive says so.")
    ] = False,
    json: Json = False,
) -> None:
    """Pack an adapter into an archive. An expert.yaml describes it."""
    from expert_kit.archive import load_source, pack
    from expert_kit.base_models import BaseStore
    from expert_kit.cli.probing import Probing
    from expert_kit.registry import bases_dir

    wanted = _dtype(dtype, recipe)
    loaded = load_source(source)
    check_ranges(loaded)
    if report is not None:
        loaded = _reported(loaded, report)
    if out.suffix != ".expert":
        make_folder(out, hint=FOLDER_OR_ARCHIVE)
    records = BaseStore(bases_dir()).records()
    gate = check_gate(loaded, matrix, allow_worse=allow_worse)
    results = [*gate, *(_evaluate(loaded, recipe, limit) if recipe is not None else [])]
    archive = pack(loaded, out, records, probes=None if no_probe else Probing(), dtype=wanted, results=results)
    manifest, probes = _keep_probes(archive, records)
    changes = [result for result in manifest.eval or () if result.suite.startswith("conversion:")] if wanted else []
    if json:
        _emit(archive, manifest, probes, changes)
        return
    emit_path(archive)
    note(f"{manifest.ref}, {megabytes(archive.stat().st_size)}, {manifest.identity}")
    if not probes:
        note("warning: without a probe nobody can check at install what it does")
    for result in changes:
        note(f"{printable(result.suite)}: {result.metric} {result.value_ppm / 1e6:g} over {result.n}")
    note(f"next: expert-kit sign {printable(str(archive))} --key NAME")


def _dtype(dtype: str | None, recipe: Path | None) -> str | None:
    if dtype is None:
        if recipe is not None:
            raise UsageError("--recipe measures a conversion", hint="add --dtype bf16, or leave it out", code="recipe_without_dtype")
        return None
    if dtype.lower() not in _DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}", hint="weights are converted to bf16 only", code="dtype_unknown")
    return _DTYPES[dtype.lower()]


def _reported(source: ManifestSource, report: Path) -> ManifestSource:
    from expert_kit.archive import with_report
    from expert_kit.cli.report import CARD, report_file

    card = report / CARD
    return with_report(source, report_file(report), card if card.is_file() else None)


def check_ranges(loaded: ManifestSource) -> None:
    """Refuse a source whose version ranges no resolver can read; what else is wrong, packing says.

    Raises:
        ManifestError: ``source_invalid``.
    """
    from expert_kit.registry.ranges import is_range

    ranges = {"expert-kit": loaded.requires.get("expert-kit", "*"), **loaded.requires.get("experts", {}), **loaded.conflicts}
    bad = [f"{name}: {text!r} is not a version range" for name, text in ranges.items() if not is_range(text)]
    if bad:
        raise ManifestError("; ".join(bad), hint="write ranges as npm does, such as ^1.2 or >=1.0.0 <2", code="source_invalid")


def check_gate(loaded: ManifestSource, matrix: Path | None = None, *, allow_worse: bool = False) -> list[EvalResult]:
    """Refuse an expert that is no better than the base, or than a sibling; see ``archive.gate``."""
    from expert_kit.archive import is_general, pass_gate, weights_digests

    weights = weights_digests(loaded) if matrix is not None else ()
    gate = pass_gate(loaded.name, loaded.eval, matrix, weights=weights, allow_worse=allow_worse)
    if gate:
        note("warning: packed although its tests say that it is no better; the archive says so")
    if all(row.base_ppm is None for row in loaded.eval) and matrix is None:
        note("warning: it was compared with nothing; with an evaluation beside the base people see that it is better")
    elif not any(is_general(row) for row in loaded.eval):
        note("warning: its evaluation does not say what it does to ordinary text; expert-kit eval measures it")
    return gate


def _emit(archive: Path, manifest: Manifest, probes: dict[str, Probe], changes: list[EvalResult]) -> None:
    found: dict[str, Any] = {"archive": str(archive), "expert": str(manifest.ref), "identity": manifest.identity}
    found["size"] = archive.stat().st_size
    found["probes"] = [{"base": base, "largest_move": probe.largest_move / 1000} for base, probe in probes.items()]
    found["conversion"] = [result.model_dump(exclude_none=True) for result in changes]
    emit_json(found)


def _keep_probes(archive: Path, records: list[Any]) -> tuple[Manifest, dict[str, Probe]]:
    """The manifest and its probes; this machine need not measure them again at install."""
    from expert_kit.archive import ArchiveReader, parse_probe
    from expert_kit.registry.probes import remember_made

    with ArchiveReader.open(archive) as reader:
        manifest = reader.manifest
        probes = {base.id: parse_probe(reader.read(base.probe)) for base in manifest.bases if base.probe is not None}
    remember_made(manifest, [record for record in records if record.fingerprint.id in probes], probes)
    return manifest, probes


def _evaluate(source: ManifestSource, recipe: Path, limit: int | None) -> list[EvalResult]:
    from expert_kit.cli.conversion import measure_conversion

    return measure_conversion(source, recipe, limit)


def make_folder(out: Path, option: str = "--out", hint: str = "name a folder that can be made") -> None:
    """Make the folder of an option.

    Raises:
        UsageError: ``out_invalid``, with the hint.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{option} {printable(str(out))} is no folder, and none can be made there: {error.strerror}"
        raise UsageError(message, hint=hint, code="out_invalid") from error
