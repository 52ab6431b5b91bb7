"""``expert-kit train``: a recipe -> an adapter folder, measured."""

from __future__ import annotations

import json as jsonlib
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expert_kit.cli.find_lr import check_alone, find_rate
from expert_kit.cli.options import Device, Json, PassphraseFile
from expert_kit.cli.output import emit, emit_json, note, write_whole
from expert_kit.cli.package import make_folder
from expert_kit.cli.progress import ProgressLine, duration
from expert_kit.cli.quiet import quiet_libraries
from expert_kit.cli.secrets import load_key
from expert_kit.cli.suites import RECIPE_FILE, recipe_file, run_general_text, run_suites, suites_of
from expert_kit.cli.train_package import check_run, check_source, pack_run, show_packed
from expert_kit.errors import UsageError

if TYPE_CHECKING:
    from expert_kit.adapters import BaseModel
    from expert_kit.signing import PrivateKey
    from expert_kit.training import Progress, Recipe, TrainingResult


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, or its folder.", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="Folder for the run; runs/<recipe> if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")] = False,
    prepare_only: Annotated[bool, typer.Option("--prepare-only", help="Only make the data files that are missing.")] = False,
    device: Device = "auto",
    changes: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE instead of what the recipe says; may repeat.")] = None,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Only suggest a learning rate: grow it until the loss goes up. With --output, keep the curve.")
    ] = False,
    no_eval: Annotated[bool, typer.Option("--no-eval", help="Leave out the recipe's tests.")] = False,
    with_base: Annotated[bool, typer.Option("--with-base", help="Run the tests on the bare base model too.")] = False,
    package: Annotated[
        Path | None, typer.Option("--package", help="Folder for an archive of the tested expert, packed from the recipe's expert/.")
    ] = None,
    sign: Annotated[str | None, typer.Option("--sign", help="With --package: name of the own key to sign it with.")] = None,
    passphrase_file: PassphraseFile = None,
    allow_worse: Annotated[
        bool, typer.Option("--allow-worse", help="With --package: pack it even if it is no better than the base; the archive says so.")
    ] = False,
    json: Json = False,
) -> None:
    """Train an adapter, then test it. The recipe names data, settings and tests."""
    quiet_libraries()
    from expert_kit.training import load_recipe, prepare_data

    path = recipe_file(recipe)
    loaded = load_recipe(path, read_changes(changes))
    suites = suites_of(loaded, path.parent)
    if prepare_only:
        prepare_data(loaded, path.parent)
        emit_files(loaded, path.parent, as_json=json)
        return
    if find_lr:
        given = {"--resume": resume, "--package": package is not None, "--sign": sign is not None, "--with-base": with_base}
        _find_rate(loaded, path, device, output, given, as_json=json)
        return
    folder = output or Path("runs") / run_name(path)
    source, key = _packing(path.parent, package, sign, passphrase_file, tested=bool(suites) and not no_eval)
    if source is not None:
        check_run(source, folder)
    base = _load_frozen(loaded, device)
    teacher = _load(loaded, loaded.teacher, device) if loaded.teacher is not None else None
    with _one_after_another(path.parent):
        prepare_data(loaded, path.parent)
    flags = {"--no-eval": no_eval, "--with-base": with_base, "--allow-worse": allow_worse}
    packing = {"--package": package, "--sign": sign, "--passphrase-file": passphrase_file}
    again = _resuming(path, folder, device, changes, {**flags, **packing})
    result = _train(loaded, path, base, folder, again, teacher=teacher, resume=resume)
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes, as torchrun starts them, the first one tests and packs
    if loaded.load_in_4bit:  # what is installed runs on the base as it is
        base = _load(loaded, loaded.model_name_or_path, device)
    compared = with_base or package is not None
    report = {} if no_eval or not suites else _evaluate(base, result, suites, folder, with_base=compared, show=not json)
    packed = pack_run(source, result, folder, package, key, allow_worse=allow_worse) if package is not None and source is not None else {}
    if json:
        emit_json({**_plain(result), **report, **packed})
    elif packed:
        show_packed(packed)


def run_name(recipe: Path) -> str:
    """The folder of runs of a recipe file: its own folder's name, with that of a second recipe in it behind."""
    folder = recipe.parent.resolve().name
    if recipe.name == RECIPE_FILE:
        return folder
    return f"{folder}-{recipe.stem}" if (recipe.parent / RECIPE_FILE).exists() else recipe.stem


def _packing(
    folder: Path, package: Path | None, sign: str | None, passphrase_file: Path | None, *, tested: bool
) -> tuple[Path | None, PrivateKey | None]:
    """What packing will need, looked for before hours of training.

    Raises:
        UsageError: ``sign_without_package``, ``package_untested``, ``recipe_without_expert``, ``out_invalid``; see :func:`load_key`.
    """
    if package is None:
        if sign is not None:
            raise UsageError("--sign signs the archive that --package makes", hint="add --package FOLDER", code="sign_without_package")
        return None, None
    if not tested:
        message = "an expert is packaged with the scores of its recipe's tests"
        raise UsageError(message, hint="leave out --no-eval, and name test sets under tests:", code="package_untested")
    if package.suffix == ".expert":
        raise UsageError(f"--package {package} names a file", hint="name the folder for the archive", code="out_invalid")
    source = check_source(folder)
    make_folder(package, "--package")
    return source, load_key(sign, passphrase_file) if sign is not None else None


def read_changes(changes: list[str] | None) -> dict[str, Any]:
    """``KEY=VALUE`` pairs, values read as YAML as in the recipe.

    Raises:
        UsageError: ``set_malformed``.
    """
    import yaml

    from expert_kit.training.recipe import parse_yaml

    values: dict[str, Any] = {}
    for change in changes or []:
        key, equals, text = change.partition("=")
        try:
            values[key.strip()], _ = parse_yaml(text)
        except yaml.YAMLError:
            equals = ""
        if not equals or not key.strip():
            raise UsageError(f"--set {change}", hint="write --set KEY=VALUE, such as --set learning_rate=1.0e-4", code="set_malformed")
    return values


def emit_files(recipe: Recipe, folder: Path, *, as_json: bool) -> None:
    """The data and test files of a recipe."""
    named = [recipe.dataset.train, recipe.dataset.validation, *(test.path for test in recipe.tests.values())]
    files = [str(folder / path) for path in dict.fromkeys(named)]
    if as_json:
        emit_json(files)
        return
    for file in files:
        emit(file)


@contextmanager
def _one_after_another(folder: Path) -> Iterator[None]:
    """Where torchrun started several processes: one of them makes the data, and the others find it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    from filelock import FileLock

    with FileLock(folder / ".data.lock"):
        yield


def _load(recipe: Recipe, name: str, device: str, quantization: str = "none") -> BaseModel:
    from expert_kit.adapters import load_base, prefers_bfloat16
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import bases_dir

    entry = BaseStore(bases_dir()).get(name)
    bf16 = prefers_bfloat16(device) if recipe.bf16 == "auto" else recipe.bf16
    return load_base(entry.folder, entry.record, device=device, dtype="bfloat16" if bf16 else "float32", quantization=quantization)


def _load_frozen(recipe: Recipe, device: str) -> BaseModel:
    """The base as it is trained on."""
    return _load(recipe, recipe.model_name_or_path, device, quantization="bnb-4bit" if recipe.load_in_4bit else "none")


def _find_rate(recipe: Recipe, path: Path, device: str, output: Path | None, given: dict[str, bool], *, as_json: bool) -> None:
    from expert_kit.training import check_method, prepare_data

    check_alone(given)
    check_method(recipe)
    base = _load_frozen(recipe, device)
    prepare_data(recipe, path.parent)
    find_rate(recipe, path, base, output, as_json=as_json)


def _resuming(path: Path, folder: Path, device: str, changes: list[str] | None, given: dict[str, Any]) -> str:
    """The command line that goes on with this run."""
    words = ["expert-kit", "train", str(path), "--output", str(folder)]
    words += ["--device", device] if device != "auto" else []
    for change in changes or []:
        words += ["--set", change]
    for option, value in given.items():
        words += [option] if value is True else [option, str(value)] if value else []
    return shlex.join([*words, "--resume"])


def _train(
    recipe: Recipe, path: Path, base: BaseModel, folder: Path, again: str, *, teacher: BaseModel | None, resume: bool
) -> TrainingResult:
    from expert_kit.training import has_checkpoint
    from expert_kit.training import train as run

    losses: dict[str, float] = {}

    def report(progress: Progress) -> None:
        losses.update({name: value for name, value in progress.values.items() if name in ("loss", "eval_loss")})
        shown = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
        line.update("training", progress.step, progress.max_steps, shown)

    try:
        with ProgressLine() as line:
            line.update("preparing", 0, 0)
            result = run(recipe, path.parent, base, folder, teacher=teacher, resume=resume, report=report)
    except KeyboardInterrupt:
        if has_checkpoint(folder):
            note(f"stopped; go on from the last checkpoint with: {again}")
        else:
            note(f"stopped before the first checkpoint, nothing was kept; save_steps is {recipe.save_steps}")
        raise
    speed = f"{result.tokens:,} tokens, {result.tokens_per_second:,.0f} a second"
    note(f"trained {result.steps} steps in {duration(result.seconds)}, {speed}, loss {result.train_loss:.4f}; curve: {folder / 'loss.png'}")
    return result


def _evaluate(base: BaseModel, result: TrainingResult, suites: list[Any], folder: Path, *, with_base: bool, show: bool) -> dict[str, Any]:
    from expert_kit.evaluation import build_report, general_table, markdown_table
    from expert_kit.inference import ExpertEngine

    choices: dict[str, Path | None] = {"base": None} if with_base else {}
    choices["adapter"] = result.adapter
    engine = ExpertEngine(base)
    scores, general = run_suites(engine, suites, choices), run_general_text(engine, choices)
    found = build_report(scores, "adapter", general)
    write_whole(folder / "eval.json", jsonlib.dumps(found, indent=2) + "\n")
    if show:
        emit(f"{markdown_table(scores)}\n\n{general_table(general)}")
        note(f"adapter: {result.adapter}")
    return found


def _plain(result: TrainingResult) -> dict[str, Any]:
    fields = asdict(result)
    del fields["history"]
    return {**fields, "adapter": str(result.adapter)}
