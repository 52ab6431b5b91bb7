"""``expert-kit train --find-lr``: which learning rate to try."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from expert_kit.cli.output import emit, emit_json, note
from expert_kit.cli.progress import ProgressLine, duration
from expert_kit.errors import UsageError

if TYPE_CHECKING:
    from expert_kit.adapters import BaseModel
    from expert_kit.training import Progress, RateTest, Recipe


def check_alone(words: dict[str, bool]) -> None:
    """Refuse what goes on after a training, which there is none of, and other processes.

    Args:
        words: option -> whether it was given.

    Raises:
        UsageError: ``find_lr_alone``, ``find_lr_processes``.
    """
    given = ", ".join(word for word, is_given in words.items() if is_given)
    if given:
        raise UsageError(f"--find-lr leaves no adapter behind, which {given} would need", hint=f"leave out {given}", code="find_lr_alone")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("--find-lr runs in one process", hint="start it without torchrun", code="find_lr_processes")


def find_rate(recipe: Recipe, path: Path, base: BaseModel, output: Path | None, *, as_json: bool) -> None:
    """Run the test with a progress line and print what it found; with ``output`` it is written there too."""
    from expert_kit.training import find_learning_rate, write_rate_test

    def report(progress: Progress) -> None:
        shown = f"loss {progress.values['loss']:.4f} at {progress.values['learning_rate']:.1e}"
        line.update("finding a learning rate", progress.step, progress.max_steps, shown)

    with ProgressLine() as line:
        line.update("finding a learning rate", 0, 0)
        found = find_learning_rate(recipe, path.parent, base, report=report)
    if output is not None:
        write_rate_test(found, output)
        note(f"written: {output / 'lr_finder.json'}, {output / 'lr_finder.png'}")
    if as_json:
        emit_json({**found.to_json(), "recipe": recipe.learning_rate})
    else:
        _show(found, recipe, path)


def _show(found: RateTest, recipe: Recipe, path: Path) -> None:
    emit(f"{found.suggestion:.1e}")
    reason = "a tenth of the rate where it is lowest" if found.diverged else "that, as it never went up again"
    note(
        f"{len(found.points)} steps in {duration(found.seconds)}: the loss falls fastest at {found.steepest:.1e}; "
        f"suggested is {reason}; the recipe has {recipe.learning_rate:.1e}"
    )
    note(f"try it: expert-kit train {path} --set learning_rate={found.suggestion:.1e}")
