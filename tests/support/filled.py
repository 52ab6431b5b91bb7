"""A registry of very many experts, made quickly: one is installed, the others are copies of its rows under other names."""

from __future__ import annotations

from dataclasses import replace

from expert_kit.names import ExpertRef, sha256_digest
from expert_kit.registry import InstalledExpert, Registry
from expert_kit.registry.history import make_current
from expert_kit.registry.rows import insert

TOPICS = ("sql", "calculus", "chemistry", "regex", "haiku", "invoices", "unit-conversion", "chess")


def fill(registry: Registry, model: InstalledExpert, count: int) -> None:
    """Add ``count`` experts of the namespaces ``bulk-0`` to ``bulk-9``; their files are those of ``model``."""
    with registry.database.writing() as connection:
        for number in range(count):
            topic = TOPICS[number % len(TOPICS)]
            expert = replace(
                model,
                ref=ExpertRef(f"bulk-{number % 10}", f"{topic}-{number}", "1.0.0"),
                identity=sha256_digest(f"expert {number}".encode()),
                summary=f"Answers questions about {topic}, number {number}, trained on {number % 97} thousand examples.",
                tags=tuple(sorted({topic, f"group-{number % 50}"})),
                capabilities=("json",) if number % 3 == 0 else (),
            )
            make_current(connection, expert.ref, insert(connection, expert), "install")
