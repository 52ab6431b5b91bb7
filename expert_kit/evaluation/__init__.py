"""Measures an expert, a mix, or the whole routed system."""

from expert_kit.evaluation.matrix import DomainResult, draw_matrix, matrix_table
from expert_kit.evaluation.report import build_report, markdown_table
from expert_kit.evaluation.run import Case, Score, Suite, run_suite, wilson
from expert_kit.evaluation.tasks import TASKS, task
from expert_kit.evaluation.verdict import Verdict

__all__ = [
    "TASKS",
    "Case",
    "DomainResult",
    "Score",
    "Suite",
    "Verdict",
    "build_report",
    "draw_matrix",
    "markdown_table",
    "matrix_table",
    "run_suite",
    "task",
    "wilson",
]
