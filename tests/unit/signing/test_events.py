from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from expert_kit.errors import SignatureError
from expert_kit.signing.events import EventLog

NOW = datetime(2026, 1, 31, tzinfo=UTC)
IDENTITY = "sha256:" + "a" * 64


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    """Three events, a day apart."""
    events = EventLog(tmp_path)
    for day in range(3):
        events.append(NOW + timedelta(days=day), "installed", identity=IDENTITY, name=f"acme/e{day}")
    return events


def lines(log: EventLog) -> list[bytes]:
    return log.path.read_bytes().splitlines(keepends=True)


def test_events_are_read_in_order_and_the_chain_holds(log: EventLog) -> None:
    assert [row["name"] for row in log.rows()] == ["acme/e0", "acme/e1", "acme/e2"]
    assert log.problem() is None
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_a_missing_log_is_an_empty_one(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    assert (list(log.rows()), log.problem(), log.first_seen(IDENTITY)) == ([], None, None)


def test_first_seen_is_the_first_time(log: EventLog) -> None:
    assert log.first_seen(IDENTITY) == NOW
    assert log.first_seen("sha256:" + "b" * 64) is None


@pytest.mark.parametrize("change", ["edit", "swap", "cut", "drop", "restore", "garbage", "no object", "no head", "bad head", "bad time"])
def test_a_changed_log_is_noticed_and_says_nothing_about_the_past(log: EventLog, change: str) -> None:
    head, rows = log.path.with_name("events.head"), lines(log)
    row = json.loads(rows[0])
    if change == "edit":
        rows[2] = rows[2].replace(b"acme/e2", b"acme/ex")
    elif change == "swap":
        rows[0], rows[1] = rows[1], rows[0]
    elif change == "cut":
        rows = rows[:2]
    elif change == "drop":
        rows = rows[1:]
    elif change == "restore":
        rows = []
    elif change == "garbage":
        rows[1] = b"garbage\n"
    elif change == "no object":
        rows[1] = b"[]\n"
    elif change == "no head":
        head.unlink()
    elif change == "bad head":
        head.write_text("three\n")
    elif change == "bad time":
        rows = [json.dumps({**row, "time": "yesterday"}).encode() + b"\n"]
    log.path.write_bytes(b"".join(rows))
    assert log.problem()
    assert log.first_seen(IDENTITY) is None


def test_a_line_that_is_no_event_is_a_value_error(log: EventLog) -> None:
    log.path.write_bytes(b"[]\n")
    with pytest.raises(ValueError, match="no event"):
        list(log.rows())


def test_a_damaged_head_stops_writing(log: EventLog) -> None:
    log.path.with_name("events.head").write_text("three\n")
    with pytest.raises(SignatureError) as caught:
        log.append(NOW, "installed")
    assert caught.value.code == "trust_invalid"


def test_a_crash_between_the_two_files_is_mended_by_the_next_event(log: EventLog) -> None:
    head = log.path.with_name("events.head")
    before = head.read_bytes()
    log.append(NOW, "key_trusted", key="k")
    head.write_bytes(before)
    assert log.problem() is None
    log.append(NOW, "key_untrusted", key="k")
    assert log.problem() is None
    assert [row["event"] for row in log.rows()][3:] == ["key_trusted", "key_untrusted"]


def test_half_a_line_is_dropped_by_the_next_event(log: EventLog) -> None:
    log.path.write_bytes(log.path.read_bytes() + b'{"n":4,"ti')
    assert log.problem() is None
    log.append(NOW, "key_trusted", key="k")
    assert log.problem() is None
    assert len(list(log.rows())) == 4


def test_what_was_added_by_hand_is_left_for_people(log: EventLog) -> None:
    log.path.write_bytes(log.path.read_bytes() + b"{}\n{}\n")
    log.append(NOW, "key_trusted", key="k")
    assert log.problem()


def test_a_log_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(SignatureError) as caught:
        EventLog(tmp_path).append(NOW, "installed")
    assert caught.value.code == "trust_unwritable"


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from expert_kit.signing.dates import utc_now\n"
        "from expert_kit.signing.events import EventLog\n"
        "for n in range(10): EventLog(Path(sys.argv[1])).append(utc_now(), 'installed', name=sys.argv[2])"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in ("one", "two")]
    assert [process.wait(timeout=200) for process in processes] == [0, 0]
    log = EventLog(tmp_path)
    assert (log.problem(), len(list(log.rows()))) == (None, 20)
