"""Calls one function of a stranger's code in a process of its own, under limits, and returns what the calls gave.

How far the process is confined stands in ``sandbox_runner.py``; ``Outcome.confined`` tells what of it this system permitted. It is meant
for answers of a small model that may do harm by accident, and bears an attack as well as one process without a system call filter does.

Requirements: a POSIX system; on Linux also namespaces, where they are permitted.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expert_kit.errors import CheckUnavailableError

SECONDS = 2
"""Of CPU time for all calls together."""
PATIENCE = 20.0
"""Seconds by the clock, start of Python included; a busy machine needs more of them than of CPU time."""
MEMORY = 512 * 2**20
"""Bytes of address space."""
MAX_OUTPUT = 2**20
"""Bytes of all results together."""
_RUNNER = Path(__file__).with_name("sandbox_runner.py")


@dataclass(frozen=True)
class Result:
    """What one call gave: a value, or why there is none."""

    value: Any
    error: str
    """Empty if there is a value."""


@dataclass(frozen=True)
class Outcome:
    """All calls; fewer results than calls if the process was ended."""

    results: tuple[Result, ...]
    error: str
    """Why there are no results; empty if there are."""
    confined: frozenset[str]
    """What the kernel took from the process: ``network``, ``files``, ``user``."""


def run_calls(source: str, function: str, calls: Sequence[str], *, modules: Sequence[str] = ()) -> Outcome:
    """Define the function and call it.

    Args:
        source: code that defines ``function``; see ``python_source.py`` for what it may contain.
        function: its name.
        calls: for each call the tuple of its arguments, as a Python literal.
        modules: those that the source imports; keys of ``sandbox_runner.MODULES``.

    Raises:
        CheckUnavailableError: ``sandbox_unavailable``, the system cannot start or limit the process.
    """
    if os.name != "posix":
        raise CheckUnavailableError("answers are run on POSIX systems only", hint="use Linux or macOS", code="sandbox_unavailable")
    nonce = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="expert-kit-") as folder:
        job = {"source": source, "function": function, "calls": list(calls), "modules": list(modules), "nonce": nonce}
        text = json.dumps(job | {"folder": folder, "seconds": SECONDS, "memory": MEMORY}).encode()
        output, late = _run(text, folder)
    ready, _, rest = output.partition(b"\n")
    if not ready.startswith(nonce.encode()):
        message = "the process for answers did not start within its limits"
        raise CheckUnavailableError(message, hint="is there memory left? try again", code="sandbox_unavailable")
    confined = frozenset(ready.decode().split()[1:])
    line, ended, _ = rest.partition(b"\n")
    if not ended or not line.startswith(nonce.encode() + b" "):
        return Outcome((), "it took too long" if late else "its process was ended: too much time or memory", confined)
    found = json.loads(line[len(nonce) + 1 :])
    return Outcome(tuple(_result(one) for one in found), "", confined)


def _run(job: bytes, folder: str) -> tuple[bytes, bool]:
    """What the runner wrote, up to ``MAX_OUTPUT`` bytes, and whether it was ended for taking too long. Leaves no process."""
    command = [sys.executable, "-I", "-S", "-B", str(_RUNNER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder, env={}, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            try:
                process.stdin.write(job)
                process.stdin.close()
            except BrokenPipeError:
                pass
            return _read(process.stdout.fileno(), time.monotonic() + PATIENCE)
        finally:
            # The group, for whatever it may have started; it lives on until it is waited for, so the number is still its own.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                process.kill()


def _read(descriptor: int, deadline: float) -> tuple[bytes, bool]:
    output = b""
    while len(output) <= MAX_OUTPUT:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return output, True
        piece = os.read(descriptor, 65536)
        if not piece:
            return output, False
        output += piece
    return output[:MAX_OUTPUT], False


def _result(found: dict[str, Any]) -> Result:
    if "value" in found:
        return Result(_decoded(found["value"]), "")
    return Result(None, str(found["error"])[:100])


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((tag, inside),) = value.items()
    if tag in {"int", "float"}:
        return int(inside) if tag == "int" else float(inside)
    if tag == "dict":
        return {_decoded(key): _decoded(item) for key, item in inside}
    items = [_decoded(item) for item in inside]
    return items if tag == "list" else tuple(items) if tag == "tuple" else frozenset(items)


def same(value: Any, expected: Any) -> bool:
    """Whether two results are equal: numbers up to rounding, truth values are no numbers, a list is no tuple."""
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    if isinstance(value, int | float) and isinstance(expected, int | float):
        return _close(value, expected)
    if isinstance(expected, set | frozenset):
        return isinstance(value, set | frozenset) and value == expected
    if type(value) is not type(expected):
        return False
    if isinstance(expected, dict):
        return value.keys() == expected.keys() and all(same(value[key], expected[key]) for key in expected)
    if isinstance(expected, list | tuple):
        return len(value) == len(expected) and all(same(a, b) for a, b in zip(value, expected, strict=True))
    return bool(value == expected)


def _close(value: float, expected: float) -> bool:
    if isinstance(value, int) and isinstance(expected, int):
        return value == expected
    try:
        return math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(value) and math.isnan(expected))
    except OverflowError:
        return False
