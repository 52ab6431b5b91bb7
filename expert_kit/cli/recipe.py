"""``expert-kit recipe``: a recipe for one's own data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.coercion import LeanTyper
from expert_kit.cli.options import Json
from expert_kit.cli.output import emit_json, emit_path, note, writing
from expert_kit.cli.quiet import quiet_libraries
from expert_kit.errors import UsageError
from expert_kit.names import ExpertRef, printable

if TYPE_CHECKING:
    from expert_kit.training import Plan, Splits

recipe = LeanTyper(help="Make a recipe from your own data.", no_args_is_help=True)


@recipe.callback()
def _recipe() -> None:
    """Keep ``new`` a command of its own."""


@recipe.command(epilog="Example: expert-kit recipe new acme/support --data tickets.csv --prompt question --completion answer --license MIT")
def new(
    name: Annotated[str, typer.Argument(help="Name of the expert, such as acme/support.", show_default=False)],
    data: Annotated[str, typer.Option(help="A .jsonl, .csv or .tsv file, or a data set on the Hub.", show_default=False)],
    license: Annotated[str, typer.Option(help="SPDX expression for the expert, such as MIT.", show_default=False)],
    prompt: Annotated[
        str | None,
        typer.Option(help="The prompt's column, or a text with columns in braces: '{schema} {q}'.", show_default=False),
    ] = None,
    completion: Annotated[str | None, typer.Option(help="The answer's column.", show_default=False)] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Column that says train, validation (or dev) or test; without it prompts are held out.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to make; recipes/NAME if not given.", show_default=False)] = None,
    base: Annotated[str, typer.Option(help="The base model.")] = "smollm2-135m",
    task: Annotated[str, typer.Option(help="The check that scores answers.")] = "exact",
    summary: Annotated[str | None, typer.Option(help="What the expert does, in a sentence.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Write a recipe for your own rows, ready to train, test and package."""
    quiet_libraries()
    from expert_kit.base_models import base_id_of
    from expert_kit.evaluation import task as known_task
    from expert_kit.training import (
        Plan,
        Splits,
        choose_columns,
        contradictions,
        given_parts,
        make_rows,
        over_caps,
        read_table,
        shared_prompts,
        split_rows,
    )

    origin = Path(data).name
    summary = summary or f"Answers as the rows of {printable(origin)} do."
    _check(name, license, summary)
    base_id = base_id_of(base)  # packages name bases so
    known_task(task)
    folder = out or Path("recipes") / name.rpartition("/")[2]
    if folder.exists():
        raise UsageError(f"{printable(str(folder))} is there already", hint="choose another --out", code="folder_exists")
    records = list(read_table(data))
    columns = choose_columns(records, prompt, completion)
    if split is None:
        rows, repeated = make_rows(records, columns)
        splits = split_rows(rows)
    else:
        made = {name: make_rows(part, columns) for name, part in given_parts(records, split).items()}
        splits, repeated = Splits(**{name: found for name, (found, _) in made.items()}), sum(count for _, count in made.values())
        rows = [*splits.train, *splits.validation, *splits.test]
    _write(folder, Plan(name, folder.as_posix(), origin, base_id, task, license, summary), splits)
    counts = {"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test), "repeated": repeated}
    counts["contradicting"] = contradictions(rows)
    too_long = over_caps(rows)
    if json:
        emit_json({"folder": str(folder), "prompt": columns.prompt, "completion": columns.completion, **counts, "too_long": too_long})
        return
    emit_path(folder)
    note(printable(f"prompt: {columns.prompt}; answer: {columns.completion}"))
    note(", ".join(f"{count} {what}" for what, count in counts.items()) + " rows")
    if counts["contradicting"]:
        note("warning: some prompts have several completions, of which a test takes one; see: expert-kit dataset check")
    if too_long:
        limits = "max_new_tokens or max_length in recipe.yaml"
        note(f"warning: {too_long} rows may be longer than {limits}: no answer passes such a test, or training leaves the row out")
    if leaked := shared_prompts(splits):
        note(f"warning: {leaked} held-out prompts are training prompts too")
    note(f"next: expert-kit train {printable(str(folder))} --package dist --sign KEY")


def _check(name: str, license: str, summary: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    from expert_kit.archive import KnownLicense
    from expert_kit.manifest import Text

    if ExpertRef.parse(name).version is not None:
        raise UsageError(f"{name}: the first version of a recipe's expert is 0.1.0", hint="leave out @VERSION", code="version_unexpected")
    try:
        TypeAdapter(KnownLicense).validate_python(license)
    except ValidationError as error:
        message = f"--license {printable(license)} is no SPDX expression of licences that SPDX lists"
        hint = "write it as in MIT, Apache-2.0 or CC-BY-4.0; one of your own is LicenseRef-NAME"
        raise UsageError(message, hint=hint, code="license_invalid") from error
    try:
        TypeAdapter(Text).validate_python(summary)
    except ValidationError as error:
        message = f"--summary has {len(summary)} characters, more than an archive takes: {error.errors()[0]['msg']}"
        raise UsageError(message, hint="say it shorter; the card, expert/README.md, takes any length", code="summary_invalid") from error


def _write(folder: Path, plan: Plan, splits: Splits) -> None:
    """All of the folder or nothing."""
    from expert_kit.training import write_recipe

    part = folder.with_name(f".{folder.name}.part")
    try:
        with writing(folder):
            shutil.rmtree(part, ignore_errors=True)
            part.parent.mkdir(parents=True, exist_ok=True)
            write_recipe(part, plan, splits)
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
