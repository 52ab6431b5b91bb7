from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

SHORT = ("--base", "tiny-llama", "--max-new-tokens", "5", "--dtype", "float32")


def test_piped_lines_are_answered_without_decoration(run, model_here):
    done = run("chat", "-e", "base", *SHORT, stdin="hi\n\n/reset\nhi\n")
    alone = run("generate", "hi", "-e", "base", *SHORT).out
    assert (done.code, done.out) == (0, alone * 2)
    assert done.err.count("[tiny-llama; ") == 2


def test_the_conversation_is_remembered(run, model_here):
    done = run("chat", "-e", "base", *SHORT, stdin="hi\nhi\n")
    first = run("generate", "hi", "-e", "base", *SHORT).out
    assert done.out.startswith(first)
    assert done.out != first * 2


def test_commands_list_choose_and_explain(run, two_experts):
    lines = ["/experts", "/expert expert-kit/sql", "hi", "/route calculus question number 1", "/help", "/quit", "never"]
    done = run("chat", *SHORT, stdin="\n".join(lines))
    assert done.code == 0
    assert done.out.startswith("expert-kit/calculus@1.0.0  A tiny expert.\nexpert-kit/sql@1.0.0  A tiny expert.\n")
    assert "[expert-kit/sql@1.0.0; " in done.err
    assert "expert-kit/calculus: coverage" in done.out
    assert "/reset" in done.err
    assert done.err.count("; 5 tokens") == 1


def test_a_mistake_does_not_end_the_chat_but_a_script_learns_of_it(run, model_here):
    done = run("chat", "-e", "base", *SHORT, stdin="/expert acme/gone\n/nonsense\nhi\n")
    assert done.code == 3
    assert "error[expert_not_found]" in done.err
    assert "error[chat_command_unknown]" in done.err
    assert done.out == run("generate", "hi", "-e", "base", *SHORT).out


@pytest.mark.slow
def test_an_interrupt_stops_the_answer_and_not_the_chat(real_home: Path):
    """At a terminal: Ctrl-C in the middle of an answer, another question, then Ctrl-D."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "expert_kit", "chat", "-e", "base", "--max-new-tokens", "200"],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, preexec_fn=_take_terminal,
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(terminal)
    screen = Screen(controller)
    try:
        screen.wait_for("> ")
        os.write(controller, b"Write a long story about a dragon.\n")
        screen.wait_for(" the ")
        os.write(controller, b"\x03")
        assert "tokens]" not in screen.wait_for("[stopped]")
        screen.wait_for("> ")
        os.write(controller, b"/expert base\n")
        screen.wait_for("from now on: base")
        # Ctrl-D is a key only once the prompt has taken over the terminal.
        screen.wait_for("> ")
        os.write(controller, b"\x04")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        os.close(controller)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Screen:
    """What a terminal has shown and nobody has looked at yet."""

    def __init__(self, controller: int) -> None:
        self.controller, self.unseen = controller, ""

    def wait_for(self, wanted: str, seconds: float = 120) -> str:
        """Everything up to and with the wanted text."""
        deadline = time.monotonic() + seconds
        while wanted not in self.unseen:
            assert time.monotonic() < deadline, self.unseen
            if select.select([self.controller], [], [], 0.5)[0]:
                self.unseen += os.read(self.controller, 4096).decode(errors="replace")
        seen, _, self.unseen = self.unseen.partition(wanted)
        return seen + wanted
