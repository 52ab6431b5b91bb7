"""Curves and ablations of the router benchmark: what the figures depend on, as rows of small tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bench_router_data import Rows, Task, banking, clinc, with_typos

from expert_kit.routing import Candidate, EmbeddingRouter, RoutingConfig, RoutingPolicy
from expert_kit.routing.measures import refused_at

if TYPE_CHECKING:
    from bench_router import Bench

    from expert_kit.names import Digest
    from expert_kit.routing.fitted import Fitted

Row = list[str]
EXAMPLES = (5, 10, 20, 50, 100)
BANKING_EXAMPLES = (5, 10, 20, 50, None)
TYPOS = (0, 1, 2, 3, 4)
KEPT = (0.5, 0.8, 0.9, 0.95, 1.0)


def few_banking(bench: Bench, examples: int | None) -> Task:
    """BANKING77 with so many examples a route, or with all that do not calibrate."""
    task = banking(bench.data)
    if examples is None:
        return task
    own: dict[str, list[str]] = {}
    for text, label in task.train:
        own.setdefault(label, []).append(text)
    draw = random.Random(0)
    train = [(text, label) for label, texts in sorted(own.items()) for text in draw.sample(texts, min(examples, len(texts)))]
    return Task(train, task.held, task.test)


def examples_table(bench: Bench) -> Iterator[Row]:
    """Top-1 accuracy against examples a route; beside the sentence head alone, and the right one among the first three."""
    yield ["set", "examples a route", "router", "sentence head alone", "among the first three"]
    for name, counts, make in (
        ("CLINC150", EXAMPLES, lambda count: clinc(bench.data, count, 0, 0, test_file=bench.clinc_test)),
        ("BANKING77", BANKING_EXAMPLES, lambda count: few_banking(bench, count)),
    ):
        for count in counts:
            task = make(count)
            fitted = bench.fit(_name(name, count), task)
            prompts = bench.prompts([text for text, _ in task.test])
            fused = fitted.judge(prompts).fused
            head = bench.head(fitted).logits(prompts.whole)
            wanted = _wanted(fitted, task.test)
            three = np.argpartition(-fused, 3, axis=1)[:, :3] == wanted[:, None]
            shares = (fused.argmax(axis=1) == wanted, head.argmax(axis=1) == wanted, three.any(axis=1))
            yield [name, str(count or f"all ({len(task.train) // fitted.corpus.size})"), *(f"{100 * share.mean():.1f}" for share in shares)]


def ablation_table(bench: Bench) -> Iterator[Row]:
    """What each part of a decision is worth on clean prompts: parts are left out when judging, nothing is fitted again."""
    yield ["set", "best router alone", "fusion", "+ corrected spelling", "+ ends and starts", "all"]
    for name, count, task in (
        ("CLINC150, 10", 10, clinc(bench.data, 10, 0, 0, test_file=bench.clinc_test)),
        ("CLINC150, 100", 100, clinc(bench.data, 100, 0, 0, test_file=bench.clinc_test)),
        ("BANKING77", None, banking(bench.data)),
    ):
        fitted = bench.fit(_name(name.partition(",")[0], count), task)
        prompts, wanted = bench.prompts([text for text, _ in task.test]), _wanted(fitted, task.test)
        no_end = prompts._replace(end_owners=np.zeros(0, np.int64))
        best = max(fitted.routers, key=lambda router: fitted.report.accuracy[router])
        found = [fitted.routers[best].logits(prompts.whole)]
        for looks in (
            no_end._replace(embed=None, starts=None),
            no_end._replace(starts=None),
            prompts._replace(embed=None),
            prompts,
        ):
            found.append(fitted.judge(looks).fused)
        yield [name, *(f"{100 * (one.argmax(axis=1) == wanted).mean():.1f}" for one in found)]


def typo_table(bench: Bench, every: int = 6) -> Iterator[Row]:
    """Accuracy against the number of slips, at 100 and at 10 examples a route, with and without corrected spelling."""
    yield ["slips", "100 examples", "without correcting", "10 examples", "without correcting "]
    fits = [(clinc(bench.data, count, 0, 0, test_file=bench.clinc_test), count) for count in (100, 10)]
    for slips in TYPOS:
        row = [str(slips)]
        for task, count in fits:
            fitted, rows = bench.fit(_name("CLINC150", count), task), task.test[::every]
            draw = random.Random(17)
            texts = [with_typos(text, draw, slips) for text, _ in rows]
            prompts, wanted = bench.prompts(texts, keep=slips == 0), _wanted(fitted, rows)
            for looks in (prompts, prompts._replace(embed=None)):
                row.append(f"{100 * (fitted.judge(looks).fused.argmax(axis=1) == wanted).mean():.1f}")
        yield row


def risk_table(bench: Bench) -> Iterator[Row]:
    """The prompts with the highest coverage: how many of them are right, and how many far prompts would come with them."""
    yield ["share of covered prompts kept", "right among them", "far prompts refused"]
    task = clinc(bench.data, 100, 0, 0, test_file=bench.clinc_test)
    fitted = bench.fit(_name("CLINC150", 100), task)
    verdicts = fitted.judge(bench.prompts([text for text, _ in task.test]))
    far = fitted.judge(bench.prompts(task.none)).coverage
    right = verdicts.fused.argmax(axis=1) == _wanted(fitted, task.test)
    order = np.argsort(-verdicts.coverage)
    for share in KEPT:
        kept = order[: int(share * len(order))]
        refused = f"{100 * refused_at(verdicts.coverage, far, 1 - share):.1f}" if share < 1 else "0"
        yield [f"{100 * share:.0f}", f"{100 * right[kept].mean():.1f}", refused]


def policy_table(bench: Bench, base: str = "smollm2-135m", most: int = 60) -> Iterator[Row]:
    """Close decisions at 10 examples a route: who is first by the fitted scores, by the base model's letters, by both.

    A card is the route's name and two of its examples.
    """
    from expert_kit.adapters import load_base
    from expert_kit.base_models import BaseStore
    from expert_kit.inference import BaseRanker
    from expert_kit.registry import bases_dir

    entry = BaseStore(bases_dir()).get(base)
    ranker = BaseRanker(load_base(entry.folder, entry.record, dtype="float32"))
    yield ["close prompts", "first by the fit", "by the base alone", "by both", "passes a prompt", "seconds a prompt"]
    task = clinc(bench.data, 10, 0, 0, test_file=bench.clinc_test)
    fitted = bench.fit(_name("CLINC150", 10), task)
    examples = {name: [text for text, label in task.train if label == name][:2] for name in fitted.corpus.names}
    cards = {digest: "; ".join(examples[name]) for digest, name in _experts(fitted)}
    candidates = [Candidate(digest, name, (cards[digest],), cards[digest]) for digest, name in _experts(fitted)]
    router = EmbeddingRouter(candidates, bench.encoder, bench.cache)
    asking = RoutingPolicy(router, RoutingConfig(policy="base", policy_seconds=60, top_k=1), fitted=fitted, ranker=ranker)
    counts, passes, seconds, asked = np.zeros(3, np.int64), 0, 0.0, 0
    for text, label in task.test:
        if asked == most:
            break
        decision = asking.decide(text)
        if decision.opinion is None:
            continue
        by_base = max(decision.opinion.shares, key=lambda pair: pair[1])[0]
        said = (decision.scores[0].name, by_base, decision.experts[0].name)
        counts += [name == label for name in said]
        asked, passes, seconds = asked + 1, passes + decision.opinion.passes, seconds + decision.opinion.seconds
    yield [str(asked), *(f"{100 * count / asked:.0f}" for count in counts), f"{passes / asked:.1f}", f"{seconds / asked:.1f}"]


TABLES: dict[str, tuple[str, Callable[[Any], Iterator[Row]]]] = {
    "examples": ("Accuracy against examples a route, one draw", examples_table),
    "ablation": ("What each part of a decision is worth on clean prompts", ablation_table),
    "typos": ("Accuracy against slips of the keyboard in a prompt (CLINC150)", typo_table),
    "policy": ("A second opinion of the base model, SmolLM2-135M in float32 (CLINC150, the first close prompts)", policy_table),
    "risk": ("Kept and right (CLINC150, 100 examples)", risk_table),
}


def markdown(title: str, rows: Sequence[Row]) -> str:
    """A table with its title."""
    head, *body = rows
    lines = [f"**{title}**", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in body)]
    return "\n".join(lines)


def _name(dataset: str, count: int | None) -> str:
    """As the cases call the same fits."""
    return "banking" if dataset == "BANKING77" and count is None else f"{'clinc' if dataset == 'CLINC150' else 'banking'}-{count}-0-0"


def _experts(fitted: Fitted) -> Iterator[tuple[Digest, str]]:
    return zip(fitted.corpus.digests, fitted.corpus.names, strict=True)


def _wanted(fitted: Fitted, rows: Rows) -> np.ndarray:
    numbers = {name: at for at, name in enumerate(fitted.corpus.names)}
    return np.array([numbers[label] for _, label in rows])
