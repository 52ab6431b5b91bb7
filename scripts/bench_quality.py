"""What weight-only formats cost in quality: perplexity of the base on ordinary prose, and right answers of the shipped experts.

Run: python scripts/bench_quality.py [--json] [--rows 400]. Needs the base model (expert-kit base pull smollm2-135m). Every format
answers the same rows, greedily, with adapters in the model's own type; the first format is what the others are compared with.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import Any, NamedTuple

from bench_report import Case, Machine, show, timed_ms

ROOT = Path(__file__).resolve().parent.parent
EXPERTS = ("calculus", "sql")
POINTS = 1.0
"""Of a hundred, that the accuracy of int8 may lie below the reference."""


class Format(NamedTuple):
    """How the base is loaded."""

    dtype: str
    quantization: str
    is_held_to_target: bool = False


FORMATS = {
    "bf16": Format("bfloat16", "none"),
    "fp32": Format("float32", "none"),
    "int8": Format("bfloat16", "int8", is_held_to_target=True),
    "int4": Format("bfloat16", "int4"),
}


class Answers(NamedTuple):
    """What one format says to the rows of one expert."""

    accuracy: float
    """Percent."""
    texts: tuple[str, ...]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
    parser.add_argument("--rows", type=int, default=400, help="of each expert's generated test")
    parser.add_argument("--formats", nargs="+", choices=sorted(FORMATS), default=list(FORMATS), help="the first is the reference")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    machine, cases = Machine(), []
    reference: Measured | None = None
    for name in options.formats:
        measured = Measured.of(FORMATS[name], options.rows)
        cases += measured.cases(name, reference, options.formats[0])
        reference = reference or measured
        gc.collect()
    show(cases, machine, as_json=options.json)
    if not options.json:
        print(f"the first {options.rows} rows of each generated test; prose: expert_kit/evaluation/general_text.txt")


class Measured(NamedTuple):
    """One format."""

    format: Format
    perplexity: float
    answers: dict[str, Answers]

    @classmethod
    def of(cls, format_: Format, rows: int) -> Measured:
        """Load the base so, and run all."""
        from expert_kit.evaluation.general import read_general_text, run_general
        from expert_kit.inference import ExpertEngine

        text = read_general_text()
        with ExpertEngine.from_pretrained("smollm2-135m", device="cpu", dtype=format_.dtype, quantization=format_.quantization) as engine:
            note(f"perplexity, {format_}")
            perplexity = run_general(engine, text, None, "base").perplexity
            answers = {}
            for name in EXPERTS:
                spent = timed_ms(lambda name=name: answers.update({name: answers_of(engine, name, rows)}))
                note(f"{name}: {answers[name].accuracy:.1f} % in {spent / 1000:.0f} s")
            return cls(format_, perplexity, answers)

    def cases(self, name: str, reference: Measured | None, reference_name: str) -> list[Case]:
        """Rows of the table; the reference's own have nothing beside them."""
        if reference is None:
            rows = [Case(f"accuracy_{expert}_{name}", "%", one.accuracy) for expert, one in self.answers.items()]
            return [Case(f"perplexity_{name}", "ppl", self.perplexity), *rows]
        found = [
            Case(f"perplexity_{name}", "ppl", self.perplexity, reference.perplexity, reference_name, reference.perplexity / self.perplexity)
        ]
        for expert, one in self.answers.items():
            other = reference.answers[expert]
            same = sum(ours == theirs for ours, theirs in zip(one.texts, other.texts, strict=True)) / len(one.texts)
            held = (
                {"target": f">= -{POINTS:g} point", "met": one.accuracy >= other.accuracy - POINTS} if self.format.is_held_to_target else {}
            )
            found += [
                Case(f"accuracy_{expert}_{name}", "%", one.accuracy, other.accuracy, reference_name, **held),
                Case(f"same_{expert}_{name}", "%", 100 * same),
            ]
        return found


def answers_of(engine: Any, name: str, rows: int) -> Answers:
    """The shipped adapter on the first rows of its recipe's generated test."""
    from expert_kit.cli.suites import open_tests
    from expert_kit.evaluation import run_suite

    _, suites = open_tests(ROOT / "recipes" / name)
    suite = next(suite for suite in suites if suite.name == "generated")
    score = run_suite(engine, suite, ROOT / "experts" / name / "adapter", limit=rows)
    return Answers(100 * score.accuracy, tuple(case.answer for case in score.cases))


def note(text: str) -> None:
    """Say on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
