"""An output folder: what was trained in it (``run.json``), and the checkpoint to go on from."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expert_kit.adapters import BaseModel
from expert_kit.errors import DataError, TrainingError
from expert_kit.training.faults import writing
from expert_kit.training.recipe import Recipe
from expert_kit.training.start import WEIGHTS, check_complete
from expert_kit.whole_file import replace_whole

RUN_FILE = "run.json"
_BASE_FIELDS = ("weights_root_sha256", "tokenizer_sha256", "chat_template_sha256")
_ABSENT = object()


def check_folders(output: Path) -> None:
    """Nothing but folders where folders will be written.

    Raises:
        TrainingError: ``output_not_a_folder``.
    """
    for path in (*output.absolute().parents, output, output / "checkpoints", output / "adapter"):
        if (os.path.lexists(path) and not path.is_dir()) or (path.is_symlink() and path.name == "adapter"):
            raise TrainingError(f"{path} is not a folder", code="output_not_a_folder", hint="name another folder with --output")


def has_checkpoint(output: Path) -> bool:
    """Whether a run in this folder can be gone on with."""
    return bool(_complete_checkpoints(output))


def last_checkpoint(output: Path, *, resume: bool) -> Path | None:
    """The newest complete checkpoint; the Trainer writes its state last, so one without it was cut off and does not count.

    Raises:
        TrainingError: ``output_not_empty``, there is one and ``resume`` is off; ``nothing_to_resume``.
    """
    complete = _complete_checkpoints(output)
    if complete and not resume:
        raise TrainingError(
            f"{output} holds an unfinished or earlier run",
            code="output_not_empty",
            hint="go on with --resume, or name another folder with --output",
        )
    if resume and not complete:
        raise TrainingError(
            f"{output / 'checkpoints'} holds no checkpoint to resume from", code="nothing_to_resume", hint="leave out --resume"
        )
    return max(complete, key=lambda path: int(path.name.partition("-")[2]), default=None)


def _complete_checkpoints(output: Path) -> list[Path]:
    found = (output / "checkpoints").glob("checkpoint-*")
    return [path for path in found if re.fullmatch(r"checkpoint-\d+", path.name) and _is_complete(path)]


def _is_complete(checkpoint: Path) -> bool:
    try:
        return isinstance(json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False


def describe_run(recipe: Recipe, recipe_folder: Path, base: BaseModel, teacher: BaseModel | None = None) -> dict[str, Any]:
    """What decides a run's outcome: all fields of the recipe, the digests of its data and first adapter, the base and the teacher.

    Raises:
        DataError: a data file cannot be read. RecipeError: ``init_adapter_unreadable``.
    """
    files = {"train": recipe.dataset.train, "validation": recipe.dataset.validation}
    if recipe.init_adapter is not None:
        check_complete(recipe_folder / recipe.init_adapter)
        files["init_adapter"] = recipe.init_adapter / WEIGHTS
    models = {"base": base, **({"teacher": teacher} if teacher is not None else {})}
    return {
        "recipe": recipe.described(),
        "data_sha256": {name: _digest(recipe_folder / path) for name, path in files.items()},
        **{key: {name: getattr(model.record.fingerprint, name) for name in _BASE_FIELDS} for key, model in models.items()},
    }


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}", hint="check its name and who may read it") from error


def write_run(output: Path, run: dict[str, Any]) -> None:
    """Keep a description of the run in ``output``, which is made.

    Raises:
        CapacityError: it could not be written.
    """
    with writing(str(output / RUN_FILE)):
        output.mkdir(parents=True, exist_ok=True)
        write_text(output / RUN_FILE, json.dumps(run, indent=2) + "\n")


def refuse_another_run(output: Path, run: dict[str, Any]) -> None:
    """Compare with the run that the checkpoints in ``output`` are of.

    Raises:
        TrainingError: ``resume_differs``; the message names the fields.
    """
    path = output / RUN_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _differs(f"{path} does not say what the checkpoints were trained with: {error}") from error
    before, now = dict(_fields(stored)), dict(_fields(run))
    names = sorted(name for name in before.keys() | now.keys() if before.get(name, _ABSENT) != now.get(name, _ABSENT))
    if names:
        listed = ", ".join(name.removeprefix("recipe.") for name in names)
        raise _differs(f"the checkpoints in {output} were trained with another {listed}")


def _differs(message: str) -> TrainingError:
    hint = "resume with the recipe, data and base of before, or start again with another --output"
    return TrainingError(message, hint=hint, code="resume_differs")


def _fields(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested objects with their dotted names."""
    if not isinstance(value, dict):
        yield name, value
        return
    for key, inner in value.items():
        yield from _fields(inner, f"{name}.{key}" if name else key)


def write_text(path: Path, text: str) -> None:
    """Write a file completely or not at all."""
    replace_whole(path, text.encode(), mode=0o644)
