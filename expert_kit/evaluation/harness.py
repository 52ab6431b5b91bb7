"""Tasks of lm-evaluation-harness through the engine. The harness is an extra, ``expert-kit[lm-eval]``; this module needs it.

Source: https://github.com/EleutherAI/lm-evaluation-harness, ``lm_eval.api.model.LM`` and ``lm_eval.simple_evaluate``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from jinja2 import TemplateError
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from expert_kit.errors import DataError, TransferError, UnknownNameError, UsageError
from expert_kit.evaluation.harness_answers import EngineAnswers
from expert_kit.evaluation.table import table_row
from expert_kit.inference import ExpertEngine, Experts
from expert_kit.names import printable

RESAMPLES: Final = 1000
"""Of the bootstrap, for the metrics that have no formula for their standard error."""

LabelledReport = Callable[[str, int, int], None]
"""Progress: whose answers, requests done, requests in all; it starts again with each kind of request."""


class EngineLM(LM):  # type: ignore[misc, unused-ignore]  # where lm-eval is not installed, LM is unknown
    """A model for ``lm_eval.simple_evaluate(model=...)``: the engine's base with one choice of experts."""

    def __init__(self, engine: ExpertEngine, experts: Experts = None, **options: Any) -> None:
        """Take who answers.

        Args:
            engine: runs everything.
            experts: as for ``engine.generate``.
            **options: of ``EngineAnswers``.
        """
        super().__init__()
        self._answers = EngineAnswers(engine, experts, **options)

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """See ``EngineAnswers.loglikelihoods``."""
        return self._answers.loglikelihoods([request.args for request in requests])

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        """See ``EngineAnswers.rolling_loglikelihoods``."""
        return self._answers.rolling_loglikelihoods([request.args[0] for request in requests])

    def generate_until(self, requests: list[Any]) -> list[str]:
        """See ``EngineAnswers.written``."""
        return self._answers.written([request.args for request in requests])


@dataclass(frozen=True)
class Measured:
    """One metric of one choice of experts."""

    value: float
    stderr: float | None
    """None where the harness has none."""


@dataclass(frozen=True)
class HarnessRow:
    """One metric of one task, for every choice of experts."""

    task: str
    """Or a group of tasks."""
    metric: str
    filter: str
    """What the harness did with the answers first; ``none`` for nothing."""
    n: int | None
    num_fewshot: int | None
    version: str
    higher_is_better: bool | None
    choices: dict[str, Measured]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return asdict(self)


class HarnessTasks:
    """Tasks by name, found and readable."""

    def __init__(self, names: Sequence[str], folder: Path | None = None) -> None:
        """Find the tasks and load their data.

        Args:
            names: of tasks, groups or tags; the harness's own, or of the folder.
            folder: with more tasks. Their YAML can call Python functions beside it, so it must be trusted like a program.

        Raises:
            UnknownNameError: ``lm_eval_task_unknown``. DataError: ``lm_eval_task_broken``. TransferError: ``lm_eval_data_missing``.
            UsageError: ``lm_eval_unsafe``, it would run code that the model writes; ``lm_eval_images``.
        """
        self.names = list(dict.fromkeys(names))
        self._manager = _manager(self.names, folder)
        for asked in self.names:
            with _loading(asked):
                loaded = self._manager.load([asked])["tasks"]
            for name, task in loaded.items():
                _refuse(name, task)

    def run(
        self,
        engine: ExpertEngine,
        choices: Mapping[str, Experts],
        *,
        limit: int | None = None,
        num_fewshot: int | None = None,
        batch_size: int = 16,
        report: LabelledReport | None = None,
    ) -> list[HarnessRow]:
        """The harness's metrics for each choice.

        Args:
            engine: answers.
            choices: what the result calls them, and experts as for ``engine.generate``.
            limit: only the first rows of each task.
            num_fewshot: examples before each question, in place of what the task says; a task that says 0 keeps it.
            batch_size: requests that the engine gets at once.
            report: progress callback.

        Raises:
            DataError: ``lm_eval_task_broken``. Errors of ``EngineAnswers``.
        """
        found = {
            label: self._run(engine, experts, limit, num_fewshot, batch_size, _about(label, report)) for label, experts in choices.items()
        }
        return _rows(found)

    def _run(
        self, engine: ExpertEngine, experts: Experts, limit: int | None, shots: int | None, batch_size: int, report: Any
    ) -> dict[str, Any]:
        model = EngineLM(engine, experts, batch_size=batch_size, report=report)
        with _running(", ".join(self.names)):
            results: dict[str, Any] = simple_evaluate(
                model=model,
                tasks=self.names,
                task_manager=self._manager,
                limit=limit,
                num_fewshot=shots,
                bootstrap_iters=RESAMPLES,
                log_samples=False,
            )
        return results


def harness_table(rows: Sequence[HarnessRow]) -> str:
    """Markdown: a line for each metric, a column for each choice, standard errors behind the values."""
    labels = list(rows[0].choices) if rows else []
    lines = [table_row(["task", "metric", "n", "shots", *labels]), "|---" * (4 + len(labels)) + "|"]
    for row in rows:
        about = [row.filter] if row.filter != "none" else []
        about += ["lower is better"] if row.higher_is_better is False else []
        metric = row.metric + (f" ({', '.join(about)})" if about else "")
        facts = ["-" if fact is None else str(fact) for fact in (row.n, row.num_fewshot)]
        values = [_shown(row.choices[label]) if label in row.choices else "-" for label in labels]
        lines.append(table_row([row.task, metric, *facts, *values]))
    return "\n".join(lines)


def _shown(measured: Measured) -> str:
    return f"{measured.value:.4f}" + (f" ± {measured.stderr:.4f}" if measured.stderr is not None else "")


def _about(label: str, report: LabelledReport | None) -> Callable[[int, int], None] | None:
    return None if report is None else lambda done, total: report(label, done, total)


def _manager(names: Sequence[str], folder: Path | None) -> TaskManager:
    """The folder alone if it has all the tasks: looking through the thousands of the harness takes most of a minute."""
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{printable(str(folder))} is no folder", hint="name the folder of the task's YAML file", code="lm_eval_folder")
    known: set[str] = set()
    for with_defaults in (False, True) if folder is not None else (True,):
        with _loading(str(folder or "the harness's tasks")):
            manager = TaskManager(include_path=folder, include_defaults=with_defaults)
        known = set(manager.all_tasks)
        if known.issuperset(names):
            return manager
    unknown = ", ".join(printable(name) for name in names if name not in known)
    hint = "lm-eval ls tasks shows the harness's own; --lm-eval-tasks names a folder with more"
    raise UnknownNameError(f"lm-evaluation-harness has no task {unknown}", hint=hint, code="lm_eval_task_unknown")


_UNREACHABLE: Final = (ConnectionError, OfflineModeIsEnabled, HfHubHTTPError, DatasetNotFoundError)
_BROKEN: Final = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, RuntimeError, AssertionError, yaml.YAMLError, TemplateError,
)  # fmt: skip
"""What loading a task raises: a YAML file, the code that it names and the library ``datasets`` all have their say."""


@contextmanager
def _loading(names: str) -> Iterator[None]:
    try:
        yield
    except _UNREACHABLE as error:
        message = f"the data of {printable(names)} is on the model hub and could not be fetched: {printable(str(error))}"
        hint = "run it once with a network and without HF_HUB_OFFLINE, or give a task with data of your own: --lm-eval-tasks FOLDER"
        raise TransferError(message, hint=hint, code="lm_eval_data_missing") from error
    except _BROKEN as error:
        raise _broken(names, error) from error


@contextmanager
def _running(names: str) -> Iterator[None]:
    try:
        yield
    except (ArithmeticError, LookupError, ValueError, TemplateError) as error:
        raise _broken(names, error) from error


def _broken(names: str, error: Exception) -> DataError:
    message = f"lm-evaluation-harness cannot run {printable(names)}: {type(error).__name__}: {printable(str(error))}"
    return DataError(message, hint="look at the task's YAML file and its data: lm-eval validate", code="lm_eval_task_broken")


def _refuse(name: str, task: Any) -> None:
    if getattr(task, "UNSAFE_CODE", False):
        message = f"{printable(name)} runs the code that the model writes, with all that you may do"
        hint = "for Python functions run in a sandbox: expert-kit eval --recipe with task: python_function"
        raise UsageError(message, hint=hint, code="lm_eval_unsafe")
    if getattr(task, "MULTIMODAL", False):
        raise UsageError(
            f"{printable(name)} shows pictures or sounds, and the base reads text", hint="name other tasks", code="lm_eval_images"
        )


def _rows(found: Mapping[str, dict[str, Any]]) -> list[HarnessRow]:
    first = next(iter(found.values()))
    rows = []
    for task, metrics in first["results"].items():
        for key in metrics:
            metric, _, filtered = key.partition(",")
            if not filtered or metric.endswith("_stderr"):
                continue
            choices = {label: _measured(results["results"][task], metric, filtered) for label, results in found.items()}
            n = (first.get("n-samples", {}).get(task) or {}).get("effective")
            better = first.get("higher_is_better", {}).get(task, {}).get(metric)
            version, shots = str(first.get("versions", {}).get(task, "")), first.get("n-shot", {}).get(task)
            rows.append(HarnessRow(task, metric, filtered, n, shots, version, better, choices))
    return rows


def _measured(metrics: Mapping[str, Any], metric: str, filtered: str) -> Measured:
    stderr = metrics.get(f"{metric}_stderr,{filtered}")
    return Measured(float(metrics[f"{metric},{filtered}"]), float(stderr) if isinstance(stderr, int | float) else None)
