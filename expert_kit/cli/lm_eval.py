"""``expert-kit eval --lm-eval``: tasks of lm-evaluation-harness, several choices side by side."""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from expert_kit.cli.engine import open_engine
from expert_kit.cli.output import emit, emit_json
from expert_kit.cli.progress import ProgressLine
from expert_kit.errors import CheckUnavailableError, UsageError
from expert_kit.names import printable

_SETTINGS = {
    "TQDM_DISABLE": "1",  # of the harness's bars; ours is one line
    "DISABLE_MULTIPROC": "1",  # it would fork a process that has threads of torch
}


@dataclass(frozen=True)
class HarnessOptions:
    """What the command line says about the harness."""

    tasks: str
    folder: Path | None
    num_fewshot: int | None
    limit: int | None
    batch_size: int

    @property
    def names(self) -> list[str]:
        """The tasks.

        Raises:
            UsageError: ``eval_incomplete``.
        """
        names = [name for part in self.tasks.split(",") if (name := part.strip())]
        if not names:
            raise UsageError("--lm-eval names no task", hint="name one, or several with commas between them", code="eval_incomplete")
        return names


def run_lm_eval(
    options: HarnessOptions, choices: Mapping[str, Any], base: str, *, device: str, dtype: str, quantization: str, as_json: bool
) -> None:
    """Run the tasks for every choice and print the metrics.

    Raises:
        CheckUnavailableError: ``lm_eval_missing``. Errors of ``HarnessTasks``.
    """
    names = options.names
    if importlib.util.find_spec("lm_eval") is None:
        hint = 'pip install "expert-kit[lm-eval]"'
        raise CheckUnavailableError("--lm-eval runs on lm-evaluation-harness, which is not installed", hint=hint, code="lm_eval_missing")
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    # The harness prints as it goes; stdout is for the result.
    with redirect_stdout(io.StringIO()), ProgressLine() as line:
        line.update("reading the tasks", 0, 0)
        from expert_kit.evaluation.harness import HarnessTasks, harness_table

        tasks = HarnessTasks(names, options.folder)
        with open_engine(base, device=device, dtype=dtype, quantization=quantization) as engine:
            rows = tasks.run(
                engine,
                choices,
                limit=options.limit,
                num_fewshot=options.num_fewshot,
                batch_size=options.batch_size,
                report=lambda label, done, total: line.update(f"{', '.join(names)}, {printable(label)}", done, total),
            )
    if as_json:
        emit_json({"base": base, "lm_eval": version("lm_eval"), "rows": [row.to_json() for row in rows]})
    else:
        emit(harness_table(rows))
