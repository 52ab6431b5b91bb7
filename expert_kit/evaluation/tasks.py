"""The checks that score an answer, by name, as recipes and reports spell them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from expert_kit.errors import UnknownNameError
from expert_kit.evaluation import (
    cron_schedule,
    derivative,
    exact_match,
    iso_date,
    json_object,
    python_function,
    shell_command,
    spelling,
    sql_execution,
)
from expert_kit.evaluation.verdict import Verdict

Check = Callable[[str, Mapping[str, Any]], Verdict]
"""Answer and row of the test set -> verdict."""

TASKS: dict[str, Check] = {
    "cron": cron_schedule.check,
    "derivative": derivative.check,
    "exact": exact_match.check,
    "iso_date": iso_date.check,
    "json_object": json_object.check,
    "python_function": python_function.check,
    "shell": shell_command.check,
    "spelling": spelling.check,
    "sql": sql_execution.check,
}


def task(name: str) -> Check:
    """The check of this name.

    Raises:
        UnknownNameError: ``task_unknown``.
    """
    if name not in TASKS:
        close = difflib.get_close_matches(name, TASKS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(TASKS))}"
        raise UnknownNameError(f"unknown task {name!r}", hint=hint, code="task_unknown")
    return TASKS[name]
