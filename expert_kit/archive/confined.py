"""Runs a parser of hostile bytes in a process of its own, with limits of time, memory and output.

The process is a fresh interpreter without site-packages, so a parser may import only
the standard library and the rooms ``errors`` and ``names``. Limits are those of POSIX; where the platform lacks one, the
limits of time and output, which this process keeps itself, and the parser's own counts remain.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO

from expert_kit.errors import ArchiveError

_ROOT = Path(__file__).resolve().parents[2]
_BOOT = """
import json, runpy, sys
script, root, limits = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.argv = [script, *sys.argv[4:]]
sys.path.append(root)
try:
    import resource
except ImportError:
    resource = None
for name, most in limits.items() if resource else ():
    try:
        resource.setrlimit(getattr(resource, name), (most, most))
    except (AttributeError, OSError, ValueError):
        pass
runpy.run_path(script, run_name="__main__")
"""


@dataclass(frozen=True)
class Limits:
    """What a confined process may use."""

    seconds: int
    """Of the clock, and of the processor."""
    output: int
    """Bytes."""
    memory: int = 256 << 20
    """Bytes of address space."""


def run_confined(script: Path, source: IO[bytes] | FileIO, limits: Limits, *arguments: str) -> bytes:
    """Run a parser on an open file and return what it wrote to its stdout.

    Args:
        script: a Python file that reads stdin from where ``source`` stands and exits with 0.
        source: a file with a descriptor, at the position from which to read.
        limits: beyond them the process is ended.
        arguments: for the script.

    Raises:
        ArchiveError: ``parser_stopped``, the process ended otherwise than by itself and with 0.
    """
    # Nothing may be written to a file, and no process started.
    caps = {"RLIMIT_CPU": limits.seconds, "RLIMIT_AS": limits.memory, "RLIMIT_FSIZE": 0, "RLIMIT_NPROC": 0, "RLIMIT_CORE": 0}
    command = [sys.executable, "-I", "-S", "-c", _BOOT, str(script), str(_ROOT), json.dumps(caps), *arguments]
    with subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/") as process:
        timer = threading.Timer(limits.seconds, process.kill)
        timer.start()
        try:
            output = process.stdout.read(limits.output + 1) if process.stdout else b""
            if len(output) > limits.output:
                process.kill()
            process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    if process.returncode != 0:
        allowed = f"{limits.seconds} s, {limits.memory >> 20} MiB and {limits.output} bytes"
        raise ArchiveError(
            f"the {script.stem} process was ended before it was done; it is allowed {allowed}",
            hint="this input is not what it says; ask the publisher for a new one",
            code="parser_stopped",
        )
    return output
