from __future__ import annotations

import io

import pytest

from expert_kit.cli.progress import ProgressLine, duration, megabytes


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_off_a_terminal_there_are_plain_lines_now_and_then(monkeypatch):
    stream, clock = io.StringIO(), Clock()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressLine(unit=megabytes, clock=clock) as line:
        for second in range(0, 40, 5):
            clock.now = second
            line.update("download", second * 1_000_000, 40_000_000)
        line.update("download", 40_000_000, 40_000_000)
    assert stream.getvalue().splitlines() == [
        "download  0.0 MB/40.0 MB (0 %)",
        "download  15.0 MB/40.0 MB (37 %)  25 s left",
        "download  30.0 MB/40.0 MB (75 %)  10 s left",
        "download  40.0 MB/40.0 MB (100 %)",
    ]


def test_a_terminal_gets_one_line_that_is_cleared_at_the_end(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressLine() as line:
        line.update("one", 1, 2, "loss 0.5")
        line.update("two", 0, 0)
    text = stream.getvalue()
    assert "\n" not in text
    assert "\rone  1/2 (50 %)  loss 0.5" in text
    assert text.endswith(" \r")


def test_what_was_done_before_a_task_went_on_says_nothing_about_its_pace(monkeypatch):
    stream, clock = io.StringIO(), Clock()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressLine(clock=clock) as line:
        line.update("training", 100, 200)
        clock.now = 20
        line.update("training", 120, 200)
    assert stream.getvalue().splitlines() == ["training  100/200 (50 %)", "training  120/200 (60 %)  80 s left"]


def test_a_new_task_is_shown_at_once(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressLine(clock=Clock()) as line:
        line.update("one", 0, 0)
        line.update("one", 3, 0)
        line.update("two", 0, 0)
    assert stream.getvalue() == "one\ntwo\n"


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (99, "99 s"), (150, "2 min"), (3900, "65 min"), (7500, "2 h 05 min")])
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text
