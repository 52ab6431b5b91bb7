"""Measures an expert, a mix, or the whole routed system."""

from expert_kit.evaluation.difficulty import Difficulty, row_difficulties
from expert_kit.evaluation.general import GeneralScore, general_table, read_general_text, run_general
from expert_kit.evaluation.interference import interference_table
from expert_kit.evaluation.matrix import DomainResult, matrix_table
from expert_kit.evaluation.report import build_report, markdown_table, oracle_scores
from expert_kit.evaluation.run import Case, Score, Suite, read_test_set, run_suite, wilson
from expert_kit.evaluation.tasks import TASKS, task
from expert_kit.evaluation.verdict import Verdict

__all__ = [
    "TASKS",
    "Case",
    "Difficulty",
    "DomainResult",
    "GeneralScore",
    "Score",
    "Suite",
    "Verdict",
    "build_report",
    "general_table",
    "interference_table",
    "markdown_table",
    "matrix_table",
    "oracle_scores",
    "read_general_text",
    "read_test_set",
    "row_difficulties",
    "run_general",
    "run_suite",
    "task",
    "wilson",
]
