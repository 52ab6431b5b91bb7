"""From single answers, right or wrong, to the numbers and tables that are published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from expert_kit.evaluation import wilson

BASE, ROUTED = "base", "routed"
MAIN, HANDWRITTEN = "generated", "handwritten"
Rows = str
"""``1`` for a right answer and ``0`` for a wrong one, in the order of the test set."""


@dataclass(frozen=True)
class Domain:
    """One expert and its recipe's tests."""

    name: str
    """As in ``experts/NAME`` and ``recipes/NAME``."""
    expert: str
    """As it is installed."""
    runs: Mapping[str, Mapping[str, Rows]] = field(default_factory=dict)
    """Suite -> choice -> rows; choices are ``base``, ``routed`` and names of domains. Siblings may have fewer rows."""
    perplexity: Mapping[str, float] = field(default_factory=dict)
    """Of general text: ``base`` and ``expert``."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    """What it was measured with: digests of weights and grammar, by domain."""
    command: str = ""


def share(rows: Rows) -> dict[str, Any]:
    """Right answers of all, with the 95 % interval."""
    found, total = rows.count("1"), len(rows)
    return {"n": total, "accuracy": round(found / total, 4), "interval": [round(bound, 4) for bound in wilson(found, total)]}


def results_of(domain: Domain) -> dict[str, Any]:
    """The entry of ``results.json``: the generated tests, and under ``handwritten`` the same about the others."""
    suites = {suite: _suite(domain, runs) for suite, runs in domain.runs.items()}
    found: dict[str, Any] = {"suite": MAIN, **suites[MAIN], HANDWRITTEN: suites[HANDWRITTEN]["expert"] | suites[HANDWRITTEN]}
    found |= {suite: numbers for suite, numbers in suites.items() if suite not in (MAIN, HANDWRITTEN)}
    if domain.perplexity:
        base, own = domain.perplexity[BASE], domain.perplexity["expert"]
        found["general_text"] = {"perplexity_base": round(base, 4), "perplexity_expert": round(own, 4), "ratio": round(own / base, 4)}
    return found | {"adapters": dict(domain.adapters), "command": domain.command}


def _suite(domain: Domain, runs: Mapping[str, Rows]) -> dict[str, Any]:
    siblings = {name: rows for name, rows in runs.items() if name not in (BASE, ROUTED, domain.name)}
    found: dict[str, Any] = {"n": len(runs[domain.name]), "base": share(runs[BASE]), "expert": share(runs[domain.name])}
    if siblings:
        best = max(siblings, key=lambda name: siblings[name].count("1") / len(siblings[name]))
        found["best_sibling"] = {"expert": best, **share(siblings[best])}
    found["siblings"] = {name: share(rows)["accuracy"] for name, rows in siblings.items()}
    found["wins_at_home"] = all(_beats(runs[domain.name], rows) for rows in (runs[BASE], *siblings.values()))
    if ROUTED in runs:
        found["routed"] = share(runs[ROUTED])
        # Siblings may have been run on the first rows only; what the router reaches of the oracle is counted on the same rows.
        oracle = _oracle([rows for name, rows in runs.items() if name != ROUTED])
        found["oracle"] = share(oracle)
        routed = runs[ROUTED][: len(oracle)].count("1")
        found["routed_of_oracle"] = round(routed / oracle.count("1"), 4) if "1" in oracle else None
    return found


def _beats(rows: Rows, others: Rows) -> bool:
    """More right answers, on the rows that both have."""
    return rows[: len(others)].count("1") > others[: len(rows)].count("1")


def _oracle(runs: Sequence[Rows]) -> Rows:
    """Rows that the base or any expert gets right, over those that all have."""
    return "".join("1" if "1" in answers else "0" for answers in zip(*runs, strict=False))


def tables(results: Mapping[str, Mapping[str, Any]], adapters: Mapping[str, str]) -> str:
    """Markdown: a row a suite for each domain, then the matrix of all experts on all generated tests.

    Args:
        results: entries of ``results.json`` by domain.
        adapters: what the experts are now; a domain that was measured beside others is named below.
    """
    heads = ("n", "base", "expert", "routed", "best sibling", "oracle", "routed of oracle")
    lines = [f"| expert | suite | {' | '.join(heads)} |", "|---|---|" + "--:|" * len(heads)]
    for name, entry in results.items():
        for suite, found in _suites_of(entry):
            cells = [_percent(found[key]) if key in found else "" for key in ("base", "expert", "routed", "best_sibling", "oracle")]
            reached = found.get("routed_of_oracle")  # on the rows that the oracle has, which may be fewer
            cells.append("" if reached is None else f"{100 * reached:.0f} %")
            lines.append(f"| `{name}` | {suite} | {found['n']} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_general(results), *_matrix(results), *_earlier(results, adapters)])


def _suites_of(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield entry["suite"], entry
    yield from ((suite, found) for suite, found in entry.items() if isinstance(found, dict) and "wins_at_home" in found)


def _general(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    texts = {name: entry["general_text"] for name, entry in results.items() if "general_text" in entry}
    if not texts:
        return []
    base = next(text["perplexity_base"] for text in texts.values())
    shown = ", ".join(f"`{name}` {text['ratio']:.2f}" for name, text in texts.items())
    return [f"Perplexity of ordinary text, {base:.1f} for the base alone, is so many times as high with an expert: {shown}.", ""]


def _matrix(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = ["| tests | " + " | ".join(results) + " |", "|---|" + "--:|" * len(results)]
    for name, entry in results.items():
        shares = {**entry["siblings"], name: entry["expert"]["accuracy"]}
        cells = ["" if other not in shares else f"{100 * shares[other]:.1f}" for other in results]
        lines.append(
            f"| {name} | " + " | ".join(f"**{cell}**" if other == name else cell for other, cell in zip(results, cells, strict=True)) + " |"
        )
    return lines


def _earlier(results: Mapping[str, Mapping[str, Any]], adapters: Mapping[str, str]) -> list[str]:
    """Which experts have changed since others' tests were run with them."""
    beside: dict[tuple[str, ...], list[str]] = {}
    for name, entry in results.items():
        if others := tuple(f"`{other}`" for other, now in adapters.items() if entry["adapters"].get(other) != now):
            beside.setdefault(others, []).append(f"`{name}`")
    lines = [f"- the tests of {', '.join(names)}: of {', '.join(others)}." for others, names in beside.items()]
    return ["", "Run beside other versions than the shipped ones, or without them:", "", *lines] if lines else []


def _percent(found: Mapping[str, Any]) -> str:
    right = round(found["accuracy"] * found["n"])  # the share is rounded already
    return f"{100 * right / found['n']:.1f} %"


def eval_rows(domain: Domain, digests: Mapping[str, str], tokens: int) -> dict[str, Any]:
    """What ``experts/NAME/eval.yaml`` says: the full suites, and general text.

    Args:
        domain: with its runs.
        digests: of the suites' files, without prefix.
        tokens: of the general text.
    """
    rows: list[dict[str, Any]] = []
    for suite, runs in domain.runs.items():
        base, own = share(runs[BASE]), share(runs[domain.name])
        row = {"suite": suite, "metric": "accuracy", "n": own["n"], "base": base["accuracy"], "expert": own["accuracy"]}
        rows.append({**row, "interval": own["interval"], "data_sha256": digests[suite]})
    if domain.perplexity:
        row = {"suite": "general-text", "metric": "perplexity", "n": tokens}
        rows.append({**row, "base": round(domain.perplexity[BASE], 4), "expert": round(domain.perplexity["expert"], 4)})
    return {"results": rows}
