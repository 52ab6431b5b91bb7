"""``expert-kit router``: fit the router, see how good it is, and tell it what was right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.coercion import LeanTyper
from expert_kit.cli.options import Base, Json
from expert_kit.cli.output import counted, emit, emit_json, emit_table, note, writing
from expert_kit.cli.quiet import quiet_libraries
from expert_kit.errors import DataError, UsageError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.inference import Routes
    from expert_kit.routing import Fitted
    from expert_kit.routing.feedback import Verdict

router = LeanTyper(help="Fit, measure and correct the choice of experts.", no_args_is_help=True)


@router.command(epilog="Example: expert-kit router fit")
def fit(base: Base = "smollm2-135m", json: Json = False) -> None:
    """Fit the router on the examples of all installed experts and on feedback. Small sets of experts are fitted by themselves."""
    from expert_kit.routing import report_json

    fitted = _fit(_routes(base))
    found = report_json(fitted.report)
    if json:
        emit_json({"key": fitted.key, "threshold": round(fitted.rule.threshold, 6), "coverage": fitted.rule.formula, **found})
        return
    report = fitted.report
    emit(f"{fitted.corpus.size} experts, {len(fitted.corpus.texts)} examples, {report.rows} held-out prompts ({report.source})")
    rows = [
        [name, f"{100 * report.accuracy[name]:.1f}", f"{loss:.4f}", f"{report.chosen[name]:.2f}" if name in report.chosen else "-"]
        for name, loss in sorted(report.losses.items(), key=lambda item: item[1])
    ]
    emit_table(["router", "accuracy", "log-loss", "share"], rows)
    emit(f"calibration error {report.ece:.3f}; coverage by {fitted.rule.formula}, threshold {fitted.rule.threshold:.3f}")


@router.command("eval", epilog="Example: expert-kit router eval prompts.jsonl --json")
def evaluate(
    file: Annotated[Path, typer.Argument(help='JSON lines {"text": ..., "expert": "ns/name"}; no expert: none should answer.')],
    base: Base = "smollm2-135m",
    json: Json = False,
) -> None:
    """Route labelled prompts and say how many went right; wrong ones are listed."""
    from expert_kit.routing.assessment import assess, read_labelled

    routes = _routes(base)
    found = assess(routes.decide, read_labelled(file, routes.names))
    if json:
        emit_json(found.to_json())
        return
    emit_table(["measure", "value"], [[name, "-" if value is None else f"{value:.3f}"] for name, value in found.measures.items()])
    for wrong in found.wrong[:50]:
        emit(printable(f"{wrong.expected or 'base'} -> {wrong.chosen or 'base'}: {wrong.text[:100]}"))


@router.command(epilog="Example: expert-kit router report --plot reliability.png")
def report(
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a reliability diagram there, PNG.", show_default=False)] = None,
    base: Base = "smollm2-135m",
    json: Json = False,
) -> None:
    """Show where experts get into each other's way: recall of each, confusions, overlaps; on the experts' validation prompts."""
    from expert_kit.routing.assessment import draw_reliability, report_on

    routes = _routes(base)
    inputs = routes.inputs()
    if inputs is None or inputs.validation is None:
        raise DataError(
            "no installed expert has validation prompts",
            hint='add rows with "split": "validate" to its routing examples',
            code="router_too_little",
        )
    found = report_on(_fit(routes), inputs.validation, routes.feedback.all())
    if plot is not None:
        with writing(plot):
            draw_reliability(found, plot)
        note(f"written: {plot}")
    if json:
        emit_json(found.to_json())
        return
    emit_table(["expert", "recall", "prompts"], [[one.name, f"{one.recall:.2f}", str(one.prompts)] for one in found.recalls])
    for pair in found.confusions[:20]:
        emit(printable(f"{counted(pair.prompts, 'prompt')} of {pair.expected} {'goes' if pair.prompts == 1 else 'go'} to {pair.chosen}"))
    for overlap in found.overlaps[:20]:
        emit(printable(f"overlap {overlap.likeness:.2f}: {overlap.one} and {overlap.other}"))
    emit(f"calibration error {found.ece:.3f}; {found.feedback_right} right and {found.feedback_wrong} wrong by feedback")


@router.command(epilog='Example: expert-kit router feedback "Sum the orders per day" --right expert-kit/sql')
def feedback(
    prompt: Annotated[str, typer.Argument(help="The prompt that was routed.", show_default=False)],
    right: Annotated[str | None, typer.Option("--right", help="This expert is right for it.", show_default=False)] = None,
    wrong: Annotated[str | None, typer.Option("--wrong", help="This expert is wrong for it.", show_default=False)] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="No expert should answer it.")] = False,
    json: Json = False,
) -> None:
    """Say what was right or wrong. It stays on this machine, and the next fit uses it."""
    from expert_kit.inference import Routes
    from expert_kit.names import ExpertRef
    from expert_kit.registry import Registry

    named: list[tuple[Verdict, str | None]] = [("right", right), ("wrong", wrong), ("base", "" if nobody else None)]
    given = [(verdict, name) for verdict, name in named if name is not None]
    if not given:
        raise UsageError("say what is right or wrong", hint="use --right NAME, --wrong NAME or --nobody", code="feedback_missing")
    if not prompt.strip():
        raise UsageError("the prompt is empty", hint="give the prompt that was routed", code="prompt_missing")
    registry = Registry.default()
    remarks = {verdict: registry.get(ExpertRef.parse(name)).ref.full_name if name else "" for verdict, name in given}
    if "right" in remarks and ("base" in remarks or remarks["right"] == remarks.get("wrong")):
        other = "--nobody" if "base" in remarks else "--wrong for the same expert"
        raise UsageError(f"--right and {other} exclude each other", hint="leave out one of them", code="feedback_contradicts")
    store = Routes(registry, None).feedback
    rows = [store.add(prompt, verdict, name) for verdict, name in remarks.items()]
    if json:
        emit_json([row.__dict__ for row in rows])
        return
    note(f"kept: {len(rows)}; {counted(len(store.all()), 'remark')} in all, used by the next fit")


def _routes(base: str) -> Routes:
    quiet_libraries()
    from expert_kit.cli.route import record_of
    from expert_kit.inference import Routes
    from expert_kit.registry import Registry

    return Routes(Registry.default(), record_of(base))


def _fit(routes: Routes) -> Fitted:
    fitted = routes.fit()
    if fitted is None:
        raise DataError(
            "there is too little to fit on: two experts with examples, and some 20 prompts to hold out",
            hint="install experts with routing examples: expert-kit list",
            code="router_too_little",
        )
    return fitted
