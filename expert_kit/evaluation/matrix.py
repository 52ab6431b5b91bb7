"""Every expert on every domain's tests: is each the best at home, and does the router find it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from expert_kit.evaluation.run import BASE, ROUTED, Score, wilson
from expert_kit.evaluation.table import table_row


@dataclass(frozen=True)
class DomainResult:
    """One test set of one expert's domain, answered by the base, by every expert and by whom the router picked."""

    expert: str
    """Whose domain it is."""
    suite: str
    scores: Mapping[str, Score]
    """By choice: ``base``, ``auto`` and the names of experts."""
    weights: str = ""
    """Digest of the expert's weights: a matrix is about these and no others of that name."""
    beside: Mapping[str, Score] = field(default_factory=dict)
    """By another expert: the expert's score with that one attached too, both at full weight."""

    @property
    def own(self) -> Score:
        """The expert at home."""
        return self.scores[self.expert]

    @property
    def best_sibling(self) -> tuple[str, Score] | None:
        """The best of the other experts; None if there is none."""
        others = [(name, score) for name, score in self.scores.items() if name not in (BASE, ROUTED, self.expert)]
        return max(others, key=lambda pair: pair[1].passed, default=None)

    @property
    def oracle(self) -> int:
        """Rows that the base or at least one expert gets right: what a perfect router could reach."""
        runs = [score.cases for name, score in self.scores.items() if name != ROUTED]
        return sum(any(case.ok for case in cases) for cases in zip(*runs, strict=True))

    @property
    def wins_at_home(self) -> bool:
        """No sibling, and not the base, gets as many rows right."""
        sibling = self.best_sibling
        best = max(self.scores[BASE].passed, sibling[1].passed if sibling else 0)
        return self.own.passed > best

    def to_json(self) -> dict[str, Any]:
        """Plain data: every share with its 95 % interval."""
        sibling, total = self.best_sibling, self.own.total
        found: dict[str, Any] = {"expert": self.expert, "weights_sha256": self.weights, "suite": self.suite, "n": total}
        found |= {"base": _share(self.scores[BASE]), "own": _share(self.own)}
        found |= {"best_sibling": {"expert": sibling[0], **_share(sibling[1])} if sibling else None}
        found |= {"routed": _share(self.scores[ROUTED]), "oracle": _interval(self.oracle, total), "wins_at_home": self.wins_at_home}
        found |= {"experts": {name: _share(score) for name, score in self.scores.items() if name not in (BASE, ROUTED)}}
        return found | ({"beside": {name: _beside(self.own, score) for name, score in self.beside.items()}} if self.beside else {})


def experts_of(results: Sequence[DomainResult]) -> list[str]:
    """Whose domains they are, each once, in their order."""
    return list(dict.fromkeys(result.expert for result in results))


def matrix_table(results: Sequence[DomainResult]) -> str:
    """Markdown: domains as rows; the base, each expert, the router and the oracle as columns, in percent."""
    experts = experts_of(results)
    head = ["domain", "suite", "n", "base", *experts, "routed", "oracle"]
    lines = [table_row(head), "|---|---|--:|" + "--:|" * (len(experts) + 3)]
    for result in results:
        shares = [result.scores[name].accuracy for name in (BASE, *experts, ROUTED)] + [result.oracle / result.own.total]
        cells = [f"{100 * share:.1f}" for share in shares]
        at_home = 1 + experts.index(result.expert)
        cells[at_home] = f"**{cells[at_home]}**"
        lines.append(table_row([result.expert, result.suite, str(result.own.total), *cells]))
    return "\n".join(lines)


def _share(score: Score) -> dict[str, Any]:
    return _interval(score.passed, score.total)


def _beside(alone: Score, mixed: Score) -> dict[str, Any]:
    pairs = [(one.ok, other.ok) for one, other in zip(alone.cases, mixed.cases, strict=True)]
    return {**_share(mixed), "lost": pairs.count((True, False)), "gained": pairs.count((False, True))}


def _interval(passed: int, total: int) -> dict[str, Any]:
    return {"accuracy": round(passed / total, 4), "interval": [round(bound, 4) for bound in wilson(passed, total)]}
