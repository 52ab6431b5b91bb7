"""Measures the router on public data, beside simple baselines, and writes the tables of docs/routing.md.

    python scripts/bench_router.py --data FOLDER --cache FOLDER [--cases clinc_val_10,ece] [--json FILE] [--write docs/routing.md]

The folder holds clinc150/, banking77/ and nlupp/. CLINC150 is fitted on ``train`` and measured on ``val`` (one half calibrates,
the other is measured, then the other way round), or with --clinc-test FILE on the test splits of that file.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bench_router_baselines import baselines, cleaned, fit_inputs
from bench_router_curves import TABLES, markdown
from bench_router_data import Rows, Stuffer, Task, banking, clinc, clinc_labels, nlupp, with_preamble, with_two_typos
from result_cells import put_between_marks

from expert_kit.names import sha256_digest
from expert_kit.routing import Candidate, EmbeddingRouter, FitInputs, Reader, RoutingPolicy, VectorCache, default_encoder
from expert_kit.routing.fitted import Fitted, Verdicts
from expert_kit.routing.measures import auroc, bootstrap_interval, calibration_error, ranking_precision, refused_at
from expert_kit.routing.reading import Prompts
from expert_kit.routing.scorer import FittedRouter
from expert_kit.routing.scorers import ROUTERS

ROOT = Path(__file__).parents[1]
TARGETS = {
    "banking77_acc": 94.8,
    "clinc_val_10": 92.8,
    "clinc_val_100": 97.2,
    "oos_auroc": 0.987,
    "oos_recall_at_5": 93,
    "near_ood_auroc": 0.93,
    "nlupp_lrap": 0.955,
    "stuffing_loss": -10,
    "preamble_acc": 85,
    "typo_acc": 91,
    "ece": -0.02,
    "latency_p95_ms_64": -8,
    "latency_p95_ms_1000": -8,
    "latency_p95_ms_5000": -8,
    "experts_acc": 97,
    "false_attach": -5,
}
"""Case -> target; a negative one is an upper limit."""


@dataclass
class Results:
    """Case -> value, interval, and the baselines beside it."""

    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    def add(self, case: str, values: Iterable[float], scale: float = 1, **beside: float) -> None:
        """The mean of one value for each prompt or each draw, with a 95 % bootstrap interval."""
        found = np.array(list(values), dtype=float) * scale
        low, high = bootstrap_interval(found) if len(found) > 1 else (float(found[0]), float(found[0]))
        self.cases[case] = {"value": float(found.mean()), "low": low, "high": high, "n": len(found), **beside}
        print(case, json.dumps({name: round(value, 4) for name, value in self.cases[case].items()}), flush=True)


class Bench:
    """The data, the encoder and its cache."""

    def __init__(self, data: Path, cache: Path, clinc_test: Path | None) -> None:
        self.data, self.clinc_test = data, clinc_test
        self.encoder = default_encoder()
        self.cache = VectorCache(cache)
        self.reader = Reader(self.encoder, self.cache)
        self.results = Results()
        self._fits: dict[str, tuple[Task, Fitted]] = {}

    def fit(self, name: str, task: Task) -> Fitted:
        """Fit a task once."""
        if name not in self._fits:
            started = time.process_time()
            self._fits[name] = (task, fit_inputs(task.train, task.held, self.reader).fit())
            report = self._fits[name][1].report
            print(f"# {name}: {time.process_time() - started:.1f} s of CPU, {report.chosen}, {report.coverage_auroc}", flush=True)
        return self._fits[name][1]

    def prompts(self, texts: Iterable[str], *, keep: bool = True) -> Prompts:
        """Prompts with all looks at them; ``keep`` their rows in the cache."""
        texts = list(texts)
        return self.reader.read(texts, self.reader.embed(cleaned(texts)) if keep else None)

    def judge(self, fitted: Fitted, texts: Iterable[str], *, keep: bool = True) -> Verdicts:
        """What a fit says about prompts."""
        return fitted.judge(self.prompts(texts, keep=keep))

    def head(self, fitted: Fitted) -> FittedRouter:
        """The sentence head alone, on the same examples."""
        return ROUTERS["sentence"].fit(fitted.corpus)

    def clinc(self, examples: int, seed: int = 0, half: int = 0) -> tuple[Task, Fitted]:
        """The usual CLINC150 task."""
        task = clinc(self.data, examples, seed, half, test_file=self.clinc_test)
        return task, self.fit(f"clinc-{examples}-{seed}-{half}", task)


def _right(fitted: Fitted, verdicts: Verdicts, rows: Rows) -> np.ndarray:
    best = verdicts.chances.argmax(axis=1)
    return np.array([fitted.corpus.names[at] == label for at, (_, label) in zip(best, rows, strict=True)])


def banking_case(bench: Bench) -> None:
    """BANKING77 test."""
    task = banking(bench.data)
    fitted = bench.fit("banking", task)
    right = _right(fitted, bench.judge(fitted, [text for text, _ in task.test]), task.test)
    bench.results.add("banking77_acc", right, 100, **baselines(task, bench.reader))


def clinc_case(bench: Bench, examples: int, seeds: int) -> None:
    """CLINC150, both halves of ``val``, several draws where there is something to draw."""
    found, errors = [], []
    for seed in range(seeds):
        for half in (0, 1) if bench.clinc_test is None else (0,):
            task, fitted = bench.clinc(examples, seed, half)
            verdicts = bench.judge(fitted, [text for text, _ in task.test])
            right = _right(fitted, verdicts, task.test)
            found.append(right)
            errors.append(calibration_error(verdicts.chances.max(axis=1), right))
    task, _ = bench.clinc(examples)
    bench.results.add(f"clinc_val_{examples}", np.concatenate(found), 100, **baselines(task, bench.reader))
    bench.results.add("ece" if examples == 100 else f"ece_{examples}", errors)


def far_case(bench: Bench) -> None:
    """Far out-of-scope prompts at 100 examples a route; the loss is fixed on the measured covered prompts."""
    areas, refused = [], []
    for half in (0, 1) if bench.clinc_test is None else (0,):
        task, fitted = bench.clinc(100, 0, half)
        covered = bench.judge(fitted, [text for text, _ in task.test]).coverage
        others = bench.judge(fitted, task.none).coverage
        areas.append(auroc(covered, others))
        refused.append(100 * refused_at(covered, others, 0.05))
    bench.results.add("oos_auroc", areas)
    bench.results.add("oos_recall_at_5", refused)


def near_case(bench: Bench, draws: int) -> None:
    """A quarter of the routes uninstalled, several draws."""
    labels = clinc_labels(bench.data)
    areas = []
    for seed in range(draws):
        gone = frozenset(random.Random(100 + seed).sample(labels, 38))
        task = clinc(bench.data, 100, 0, 0, gone, bench.clinc_test)
        fitted = bench.fit(f"near-{seed}", task)
        covered = bench.judge(fitted, [text for text, _ in task.test]).coverage
        areas.append(auroc(covered, bench.judge(fitted, task.none).coverage))
    bench.results.add("near_ood_auroc", areas)


def nlupp_case(bench: Bench) -> None:
    """Several experts right at once; as in scikit-learn, a row without intents counts 1."""
    train, held, test = nlupp(bench.data)
    fitted = fit_inputs(*([(text, label) for text, labels in rows for label in labels] for rows in (train, held)), bench.reader).fit()
    rows = test
    verdicts = bench.judge(fitted, [text for text, _ in rows])
    targets = np.array([[name in labels for name in fitted.corpus.names] for _, labels in rows])
    values = [ranking_precision(one[None], right[None]) for one, right in zip(verdicts.fused, targets, strict=True)]
    constant = np.tile(np.bincount(fitted.corpus.labels, minlength=fitted.corpus.size).astype(float), (len(rows), 1))
    bench.results.add("nlupp_lrap", values, constant=ranking_precision(constant, targets))


def disturbed_case(bench: Bench, every: int = 3) -> None:
    """Stuffed, preambled and mistyped prompts at 100 examples a route, on every third prompt."""
    task, fitted = bench.clinc(100)
    rows, draw, stuff = task.test[::every], random.Random(7), Stuffer(task.train)
    clean = _right(fitted, bench.judge(fitted, [text for text, _ in rows]), rows)
    for case, texts in (
        ("stuffing_loss", [stuff(text, label, draw) for text, label in rows]),
        ("preamble_acc", [with_preamble(text, at) for at, (text, _) in enumerate(rows)]),
        ("typo_acc", [with_two_typos(text, draw) for text, _ in rows]),
    ):
        right = _right(fitted, bench.judge(fitted, texts, keep=False), rows)
        bench.results.add(case, clean.astype(float) - right if case == "stuffing_loss" else right, 100)


def shipped_case(bench: Bench) -> None:
    """The shipped experts on held-out prompts, and on general prompts that they must leave alone."""
    experts = []
    for folder in sorted((ROOT / "experts").iterdir()):
        rows = [json.loads(line) for line in (folder / "routing" / "examples.jsonl").read_text(encoding="utf-8").splitlines()]
        split = {name: tuple(row["text"] for row in rows if row["split"] == name) for name in ("fit", "validate")}
        experts.append(Candidate(sha256_digest(folder.name.encode()), folder.name, split["fit"], "", split["validate"]))
    inputs = FitInputs.of(experts, bench.reader)
    policy = RoutingPolicy(EmbeddingRouter(inputs.candidates, bench.encoder), fitted=inputs.fit())
    support = ROOT / "tests" / "support"
    prompts, general = ([json.loads(line) for line in (support / name).read_text(encoding="utf-8").splitlines()] for name in FILES)
    own = [row for row in prompts if row["split"] == "measure" and row["label"] != "none"]
    for one in experts:
        lines = (ROOT / "recipes" / one.name / "handwritten.jsonl").read_text(encoding="utf-8").splitlines()
        own += [{"text": json.loads(line)["prompt"], "label": one.name} for line in lines]
    chosen = [[one.name for one in policy.decide(row["text"]).experts] for row in own]
    bench.results.add("experts_acc", [names == [row["label"]] for names, row in zip(chosen, own, strict=True)], 100)
    bench.results.add("false_attach", [not policy.decide(row["text"]).abstained for row in general], 100)


def curves_case(bench: Bench, name: str) -> None:
    """A table of ``bench_router_curves``."""
    title, rows = TABLES[name]
    bench.results.tables[name] = markdown(title, list(rows(bench)))
    print(bench.results.tables[name], flush=True)


FILES = ("routing_prompts.jsonl", "held_out_general_prompts.jsonl")


def latency_case(bench: Bench, experts: int) -> None:
    """A short prompt, the encoder included, one thread; experts with up to five examples each."""
    task = clinc(bench.data, 100, 0, 0)
    texts = [text for text, _ in (*task.train, *banking(bench.data).train)]
    random.Random(0).shuffle(texts)
    each = min(5, len(texts) // experts)
    train = [(text, f"ns/e{at // each:04d}") for at, text in enumerate(texts[: each * experts])]
    held = [(f"{text} please", label) for text, label in train[:: max(len(train) // 320, 1)]]
    inputs = fit_inputs(train, held, bench.reader)
    policy = RoutingPolicy(EmbeddingRouter(inputs.candidates, bench.encoder, bench.cache), fitted=inputs.fit())
    asked = [text for text, _ in task.test if 6 <= len(text.split()) <= 12][:220]
    taken = []
    for text in asked:
        started = time.perf_counter(), time.thread_time()
        policy.decide(text)
        taken.append((time.perf_counter() - started[0], time.thread_time() - started[1]))
    (p50, cpu50), (p95, cpu95) = 1000 * np.quantile(taken[20:], [0.5, 0.95], axis=0)
    bench.results.add(f"latency_p95_ms_{experts}", [float(p95)], p50=float(p50), cpu_p50=float(cpu50), cpu_p95=float(cpu95))


CASES: dict[str, Callable[[Bench, int], None]] = {
    "banking77_acc": lambda bench, _: banking_case(bench),
    "clinc_val_10": lambda bench, seeds: clinc_case(bench, 10, seeds),
    "clinc_val_100": lambda bench, _: clinc_case(bench, 100, 1),
    "oos_auroc": lambda bench, _: far_case(bench),
    "near_ood_auroc": lambda bench, seeds: near_case(bench, seeds),
    "nlupp_lrap": lambda bench, _: nlupp_case(bench),
    "stuffing_loss": lambda bench, _: disturbed_case(bench),
    "experts_acc": lambda bench, _: shipped_case(bench),
    **{name: lambda bench, _, name=name: curves_case(bench, name) for name in TABLES},
    "latency_p95_ms_64": lambda bench, _: latency_case(bench, 64),
    "latency_p95_ms_1000": lambda bench, _: latency_case(bench, 1000),
    "latency_p95_ms_5000": lambda bench, _: latency_case(bench, 5000),
}
"""What is run; some give several case ids: clinc_val_100 also ece, oos_auroc also oos_recall_at_5, and so on."""


def table(cases: dict[str, dict[str, Any]]) -> str:
    """Markdown rows in the order of the targets."""
    lines = [
        "| case id | measured | 95 % interval | target | constant / keyword / TF-IDF + LR / semantic-router rule |",
        "|---|---|---|---|---|",
    ]
    for case, target in TARGETS.items():
        if case not in cases:
            continue
        found = cases[case]
        digits = 3 if abs(target) < 1 else 1
        beside = " / ".join(f"{found[name]:.{digits}f}" for name in ("constant", "keyword", "tfidf_lr", "semantic_router") if name in found)
        median = " (p50 {p50:.1f}; in CPU time p50 {cpu_p50:.1f}, p95 {cpu_p95:.1f})".format(**found) if "p50" in found else ""
        interval = f"{found['low']:.{digits}f} to {found['high']:.{digits}f}" if found["n"] > 1 else "one run"
        limit = f"at most {-target:g}" if target < 0 else f"at least {target:g}"
        lines.append(f"| `{case}` | {found['value']:.{digits}f}{median} | {interval} | {limit} | {beside} |")
    return "\n".join(lines)


def main() -> None:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with clinc150/, banking77/ and nlupp/")
    parser.add_argument("--cache", type=Path, required=True, help="folder for vectors, so that a second run embeds nothing")
    parser.add_argument("--cases", default=",".join(CASES), help="comma-separated; all without it")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the few-shot case")
    parser.add_argument("--clinc-test", type=Path, help="a data_full.json of CLINC150; measure on its test and oos_test")
    parser.add_argument("--json", type=Path, help="write all numbers there; numbers that are there of other cases stay")
    parser.add_argument("--write", type=Path, help="put the tables between the marks of this page")
    chosen = parser.parse_args()
    bench = Bench(chosen.data, chosen.cache, chosen.clinc_test)
    if chosen.json and chosen.json.is_file():
        earlier = json.loads(chosen.json.read_text(encoding="utf-8"))
        bench.results = Results(earlier["cases"], earlier["tables"])
    for name in filter(None, chosen.cases.split(",")):
        CASES[name](bench, chosen.seeds)
        if chosen.json:
            chosen.json.write_text(json.dumps(asdict(bench.results), indent=2), encoding="utf-8")
    print(table(bench.results.cases))
    if chosen.write:
        curves = "\n\n".join(bench.results.tables[name] for name in TABLES if name in bench.results.tables)
        put_between_marks(chosen.write, "bench_router", table(bench.results.cases))
        put_between_marks(chosen.write, "bench_router_curves", curves)


if __name__ == "__main__":
    main()
