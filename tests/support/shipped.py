"""The experts of this checkout, installed in a home through the command line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from filelock import FileLock

from expert_kit.bases import BaseRecord
from expert_kit.cli.main import main
from tests.support.builders import tiny_base

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("calculus", "cron", "dates", "json", "python", "shell", "spelling", "sql")


def command(*args: object, home: Path, stdin: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run ``expert-kit`` as a program."""
    environment = {**os.environ, "EXPERT_KIT_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-m", "expert_kit", *map(str, args)]
    return subprocess.run(words, input=stdin, capture_output=True, text=True, env=environment, cwd=cwd, timeout=280, check=False)


def must(*args: object, home: Path, stdin: str = "", cwd: Path = ROOT) -> str:
    """Run ``expert-kit``, fail with its words unless it succeeds, return its output."""
    done = command(*args, home=home, stdin=stdin, cwd=cwd)
    assert done.returncode == 0, f"{' '.join(map(str, args))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def must_here(*args: object, home: Path, stdin: str = "") -> str:
    """The same within this process, which has imported all that takes a program seconds to start."""
    out, err = io.StringIO(), io.StringIO()
    environment = mock.patch.dict(os.environ, {"EXPERT_KIT_HOME": str(home)})
    with environment, mock.patch("sys.stdin", io.StringIO(stdin)), redirect_stdout(out), redirect_stderr(err):
        code = main([str(arg) for arg in args])
    assert code == 0, f"{' '.join(map(str, args))}\n{out.getvalue()}\n{err.getvalue()}"
    return out.getvalue()


def install_shipped(home: Path, archives: Path) -> None:
    """Key, trust, package, sign, install, first use of the router."""
    must_here("keys", "new", "tester", home=home)
    must_here("keys", "trust", "tester", "--scope", "expert-kit/*", home=home)
    archives.mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        must_here("package", ROOT / "experts" / name, "--out", archives, home=home)
    for path in sorted(archives.glob("*.expert")):
        must_here("sign", path, "--key", "tester", home=home)
        must_here("install", path, home=home)
    # The router reads every expert's examples when it is first asked, and keeps what it found.
    must_here("route", "anything", home=home)


def shared_home(shared: Path, bases: Path) -> Path:
    """A home in ``shared`` with the real base and the shipped experts, which the first process that asks installs for all."""
    home = shared / "shipped"
    with FileLock(shared / "shipped.lock"):
        if not (home / "complete").is_file():
            home.mkdir()
            (home / "bases").symlink_to(bases)
            install_shipped(home, home / "archives")
            (home / "complete").touch()
    return home


def shipped_base() -> BaseRecord:
    """A record with the linear layers of the base model of the shipped experts, and made-up digests."""
    sizes = {
        "q": (576, 576),
        "k": (192, 576),
        "v": (192, 576),
        "o": (576, 576),
        "gate": (1536, 576),
        "up": (1536, 576),
        "down": (576, 1536),
    }
    paths = {name: f"{'self_attn' if len(name) == 1 else 'mlp'}.{name}_proj" for name in sizes}
    linears = sorted((f"model.layers.{layer}.{paths[name]}", *size) for layer in range(30) for name, size in sizes.items())
    return tiny_base("smollm2-135m", linears=tuple(linears), vocab_size=49152, hidden_size=576, layers=30)
