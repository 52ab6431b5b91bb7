"""What packages say about each other, lock files and databases of others: an answer or a code, never an endless search."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from expert_kit.errors import ExpertKitError, UnknownNameError
from expert_kit.names import ExpertRef
from expert_kit.registry import Query, Registry
from expert_kit.registry.candidates import Candidate
from expert_kit.registry.lock import lock, read_lock
from expert_kit.registry.pool import Here, Wanted
from expert_kit.registry.ranges import VersionRange
from expert_kit.registry.resolve import resolve
from tests.hostile.conftest import Gate
from tests.hostile.watch import seconds_allowed
from tests.support.builders import tiny_base
from tests.support.candidates import candidate

DEEP = 60.0
"""Seconds of the processor after which a search must have given up; it does so within three on an idle machine."""


def outcome(offered: list[Candidate], wanted: str = "x/a", **here: Any) -> str | list[str]:
    """The code of the refusal, or what is to be installed."""
    started = time.process_time()
    try:
        plan = resolve([Wanted(wanted)], offered, Here("0.1.0", [tiny_base()], **here))
    except ExpertKitError as error:
        return error.code
    finally:
        assert time.process_time() - started < DEEP
    return sorted(str(step.candidate.ref) for step in plan.steps)


def pigeons(holes: int) -> list[Candidate]:
    """One more expert than there are versions, each two of which exclude the same version: no answer, and no short proof."""
    names = [f"x/p{number}" for number in range(holes + 1)]
    versions = [f"{number}.0.0" for number in range(holes)]
    birds = [
        candidate(f"{name}@{version}", conflicts={other: version for other in names if other != name})
        for name in names
        for version in versions
    ]
    return [candidate("x/a@1.0.0", dict.fromkeys(names, "*")), *birds]


GRAPHS: list[tuple[str, list[Candidate], dict[str, Any], str | list[str]]] = [
    ("a cycle", [candidate("x/a@1.0.0", {"x/b": "*"}), candidate("x/b@1.0.0", {"x/a": "*"})], {}, ["x/a@1.0.0", "x/b@1.0.0"]),
    ("itself", [candidate("x/a@1.0.0", {"x/a": "^1"})], {}, ["x/a@1.0.0"]),
    ("another version of itself", [candidate("x/a@1.0.0", {"x/a": "^2"})], {}, "resolution_impossible"),
    ("itself excluded", [candidate("x/a@1.0.0", conflicts={"x/a": "*"})], {}, "resolution_impossible"),
    (
        "a cycle that excludes itself",
        [candidate("x/a@1.0.0", {"x/b": "*"}), candidate("x/b@1.0.0", conflicts={"x/a": "*"})],
        {},
        "resolution_impossible",
    ),
    ("only withdrawn", [candidate("x/a@1.0.0")], {"yanked": {ExpertRef.parse("x/a@1.0.0"): "bad"}}, "resolution_yanked"),
    ("nothing of that name", [candidate("x/b@1.0.0")], {}, "resolution_not_found"),
    ("a lower version than before", [candidate("x/a@1.0.0")], {"highest": {"x/a": "2.0.0"}}, "resolution_impossible"),
    ("a newer expert-kit", [candidate("x/a@1.0.0", {"expert-kit": ">=99"})], {}, "resolution_tool"),
    ("what only exists as a wish", [candidate("x/a@1.0.0", {"x/none": "*"})], {}, "resolution_not_found"),
]  # fmt: skip


@pytest.mark.parametrize(("offered", "here", "wanted"), [case[1:] for case in GRAPHS], ids=[case[0] for case in GRAPHS])
def test_a_hostile_graph_has_an_answer_or_a_code(offered: list[Candidate], here: dict[str, Any], wanted: str | list[str]) -> None:
    assert outcome(offered, **here) == wanted


def test_a_puzzle_without_an_answer_comes_to_an_end() -> None:
    assert outcome(pigeons(5)) in {"resolution_impossible", "resolution_too_deep"}


@pytest.mark.parametrize(
    "text", ["", "(a+)+$", "^" * 128, "1.0.0 " * 20, ">=1 <1 " * 18, "x" * 128, "1 || " * 25, "\x1b[2J", "1.0.0-" + "a." * 50]
)
def test_a_hostile_range_is_read_in_no_time(text: str) -> None:
    started = time.process_time()
    with contextlib.suppress(UnknownNameError):
        assert isinstance(VersionRange.parse(text).matches("1.0.0"), bool)
    assert time.process_time() - started < 0.1 * seconds_allowed()


Edit = Callable[[dict[str, Any]], object]
LOCKS: dict[str, Edit | bytes] = {
    "another schema": lambda content: content.update(schema="expert-lock/2"),
    "a field more": lambda content: content.update(more=1),
    "an entry field more": lambda content: content["experts"][0].update(more=1),
    "a name outside": lambda content: content["experts"][0].update(name="../x"),
    "a version that is none": lambda content: content["experts"][0].update(version="1.0"),
    "an identity that is none": lambda content: content["experts"][0].update(identity="sha256:"),
    "twice the same": lambda content: content["experts"].append(content["experts"][0]),
    "a text for a flag": lambda content: content["experts"][0].update(yanked="no"),
    "not an object": b"[]\n",
    "deep": b"[" * 100_000,
    "no JSON": b"\x80\x04}.",
    "UTF-16": "{}".encode("utf-16"),
    "digits": b'{"experts":[],"schema":' + b"9" * 5000 + b"}\n",
    "spaces": b'{"experts": [], "schema": "expert-lock/1"}\n',
    "empty": b"",
}


@pytest.mark.parametrize("damage", LOCKS.values(), ids=LOCKS)
def test_a_hostile_lock_file_is_refused(gate: Gate, tmp_path: Path, damage: Edit | bytes) -> None:
    content, path = json.loads(lock(gate.registry)), tmp_path / "expert.lock"
    path.write_bytes(rfc8785.dumps(content) + b"\n")
    assert [entry.name for entry in read_lock(path)] == ["acme/installed"]
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        damage(content)
        path.write_bytes(rfc8785.dumps(content) + b"\n")
    with pytest.raises(ExpertKitError) as caught:
        read_lock(path)
    assert caught.value.code == "lock_invalid"


@pytest.mark.parametrize(
    "use", [Registry.list, lambda registry: registry.find(Query("sql")), lambda registry: registry.get("acme/installed")]
)
def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path, use: Callable[[Registry], object]) -> None:
    registry = Registry(tmp_path)
    connection = sqlite3.connect(tmp_path / "registry.sqlite")
    connection.execute("CREATE TABLE future (x)")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (tmp_path / "registry.sqlite").read_bytes()
    with pytest.raises(ExpertKitError) as caught:
        use(registry)
    assert caught.value.code == "registry_schema_newer"
    assert (tmp_path / "registry.sqlite").read_bytes() == before


@pytest.mark.parametrize("data", [b"not a database" * 100, b"SQLite format 3\0" + bytes(1000), bytes(4096)])
def test_a_file_that_is_no_database_is_an_error_of_the_registry(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "registry.sqlite").write_bytes(data)
    with pytest.raises(ExpertKitError) as caught:
        Registry(tmp_path).list()
    assert caught.value.code == "registry_corrupt"


@pytest.mark.parametrize(
    "text", ['" OR 1=1 --', "'; DROP TABLE expert; --", "NEAR(a b)", "summary:x", "*", "\x00", "\ud800", "a" * 100_000, '"' * 999]
)
def test_no_search_text_is_more_than_words(gate: Gate, text: str) -> None:
    assert gate.registry.find(Query(text)) == []
    assert gate.registry.find(Query(namespace=text, tags=(text,), license=text, base=text, capabilities=(text,))) == []
    assert [one.name for one in gate.registry.find(Query("tiny"))] == ["acme/installed"]
