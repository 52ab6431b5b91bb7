"""``expert-kit eval``: the test sets of a recipe, several choices side by side."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.engine import open_engine
from expert_kit.cli.lm_eval import HarnessOptions, run_lm_eval
from expert_kit.cli.matrix import all_scores, read_domains, run_matrix, show_matrix
from expert_kit.cli.options import Device, Dtype, Json, Quantization, read_choice
from expert_kit.cli.output import emit, emit_json, write_whole
from expert_kit.cli.package import make_folder
from expert_kit.cli.quiet import quiet_libraries
from expert_kit.cli.report import facts_of, write_report
from expert_kit.cli.suites import open_tests, run_general_text, run_suites
from expert_kit.errors import UsageError

if TYPE_CHECKING:
    from expert_kit.evaluation import Score


def evaluate(
    target: Annotated[str | None, typer.Argument(help="An expert, an adapter folder, mix:..., auto or base.", show_default=False)] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="The recipe whose tests to run, or its folder.", show_default=False)
    ] = None,
    experts: Annotated[
        list[str] | None, typer.Option("--experts", help="Compare with this choice; may repeat; base if not given.", show_default=False)
    ] = None,
    routed: Annotated[bool, typer.Option("--routed", help="Compare with what the router picks, too.")] = False,
    oracle: Annotated[
        bool, typer.Option("--oracle", help="Show, too, how many rows the base or one expert alone gets right; for mixes.")
    ] = False,
    matrix: Annotated[
        list[str] | None,
        typer.Option("--matrix", help="NAME=RECIPE, repeated: each of these experts on the tests of all.", show_default=False),
    ] = None,
    interference: Annotated[
        bool, typer.Option("--interference", help="With --matrix: each expert on its own tests with each other one beside it, too.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="With --matrix: folder for table, JSON and heat map.", show_default=False)] = None,
    cases: Annotated[Path | None, typer.Option(help="File for every single answer, as JSON lines.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows of every test set, and passages of general text.")] = None,
    general_text: Annotated[
        Path | None, typer.Option(help="Ordinary prose to measure the perplexity of, instead of the bundled text.", show_default=False)
    ] = None,
    no_general_text: Annotated[bool, typer.Option("--no-general-text", help="Leave it out.")] = False,
    report: Annotated[Path | None, typer.Option(help="Folder for report.json, a model card and a chart.", show_default=False)] = None,
    lm_eval: Annotated[
        str | None,
        typer.Option(
            "--lm-eval", help="Tasks of lm-evaluation-harness, with commas between them, instead of a recipe's.", show_default=False
        ),
    ] = None,
    lm_eval_tasks: Annotated[
        Path | None, typer.Option(help="With --lm-eval: folder with tasks of your own; their code is run.", show_default=False)
    ] = None,
    num_fewshot: Annotated[
        int | None, typer.Option(min=0, help="With --lm-eval: examples before each question.", show_default=False)
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="With --lm-eval: the base model, smollm2-135m if not given; a recipe names its own.", show_default=False),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts in one batch.")] = 16,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantization: Quantization = "none",
    json: Json = False,
) -> None:
    """Run a recipe's tests on an expert. Beside the base model, or other choices."""
    quiet_libraries()
    from expert_kit.base_models import DEFAULT_BASE

    if lm_eval is not None:
        if target is None or recipe is not None or matrix or interference or oracle or cases or report or out or general_text:
            hint = "name an expert; leave out --recipe, --matrix, --interference, --oracle, --cases, --report, --out and --general-text"
            raise UsageError("--lm-eval has tests and tables of its own", hint=hint, code="eval_incomplete")
        options = HarnessOptions(lm_eval, lm_eval_tasks, num_fewshot, limit=limit, batch_size=batch_size)
        choices, name = _choices(experts, routed, target), base or DEFAULT_BASE
        run_lm_eval(options, choices, name, device=device, dtype=dtype, quantization=quantization, as_json=json)
        return
    if lm_eval_tasks is not None or num_fewshot is not None or base is not None:
        message = "--lm-eval-tasks, --num-fewshot and --base are for --lm-eval"
        raise UsageError(message, hint="add --lm-eval TASK; a recipe names its base itself", code="eval_incomplete")
    from expert_kit.evaluation import build_report, general_table, markdown_table, oracle_scores

    if matrix:
        if target is not None or recipe is not None or experts or routed or oracle or report is not None:
            hint = "leave out EXPERT, --recipe, --experts, --routed, --oracle and --report"
            raise UsageError("--matrix names experts and recipes itself, and has the router's choice", hint=hint, code="eval_incomplete")
        domains = read_domains(matrix)
        if out is not None:
            make_folder(out)
        with open_engine(domains[0].base, device=device, dtype=dtype, quantization=quantization) as engine:
            results = run_matrix(engine, domains, interference=interference, batch_size=batch_size, limit=limit)
        show_matrix(results, out, as_json=json)
        if cases is not None:
            write_whole(cases, _lines(all_scores(results)))
        return
    if out is not None or interference:
        message = "--out and --interference are for --matrix"
        raise UsageError(message, hint="single answers go to --cases FILE; --experts takes mix:A+B", code="eval_incomplete")
    if target is None or recipe is None:
        raise UsageError("nothing to evaluate", hint="name an expert and --recipe, or --matrix NAME=RECIPE", code="eval_incomplete")
    choices = _choices(experts, routed, target)
    loaded, suites = open_tests(recipe)
    if report is not None:
        make_folder(report, "--report")
    with open_engine(loaded.model_name_or_path, device=device, dtype=dtype, quantization=quantization) as engine:
        about = facts_of(engine, target, choices[target], recipe) if report is not None else None
        general = [] if no_general_text else run_general_text(engine, choices, general_text, limit=limit)
        scores = run_suites(engine, suites, choices, batch_size=batch_size, limit=limit)
    shown = [*scores, *(oracle_scores(scores) if oracle else [])]
    found = build_report(shown, target, general)
    if json:
        emit_json(found)
    else:
        emit("\n\n".join([markdown_table(shown), *([general_table(general)] if general else [])]))
    # Behind the numbers: a place that cannot be written must not cost them.
    if cases is not None:
        write_whole(cases, _lines(scores))
    if report is not None and about is not None:
        write_report(report, found, about)


def _choices(experts: list[str] | None, routed: bool, target: str) -> dict[str, str | Path | None]:
    """What is compared, by how it was written; a folder that is none of an adapter is refused before a base is loaded.

    Raises:
        UsageError: ``adapter_folder``; see :func:`read_choice`.
    """
    from expert_kit.inference.experts import read_adapter_file

    compared = [*(experts or ["base"]), *(["auto"] if routed else []), target]
    choices = {text: read_choice(text) for text in dict.fromkeys(compared)}
    for folder in choices.values():
        if isinstance(folder, Path):
            for name in ("adapter_config.json", "adapter_model.safetensors"):
                read_adapter_file(folder / name)
    return choices


def _lines(scores: list[Score]) -> str:
    rows = [{"suite": score.suite, "experts": score.experts, **asdict(case)} for score in scores for case in score.cases]
    return "".join(jsonlib.dumps(row, ensure_ascii=False) + "\n" for row in rows)
