"""The command line: the table of commands, and what becomes of an error."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from expert_kit import __version__
from expert_kit.cli.attest import attest
from expert_kit.cli.base import base
from expert_kit.cli.chat import chat
from expert_kit.cli.coercion import LeanCommand, LeanGroup
from expert_kit.cli.convert import convert
from expert_kit.cli.dataset import dataset
from expert_kit.cli.doctor import doctor
from expert_kit.cli.eval import evaluate
from expert_kit.cli.exits import BUG, INTERRUPTED, OK, OUTPUT_CLOSED, exit_code
from expert_kit.cli.export import export
from expert_kit.cli.gaps import gaps
from expert_kit.cli.gc import gc
from expert_kit.cli.generate import generate
from expert_kit.cli.info import info
from expert_kit.cli.install import install
from expert_kit.cli.keys import keys
from expert_kit.cli.list import list_experts
from expert_kit.cli.lock import lock
from expert_kit.cli.merge import merge
from expert_kit.cli.oms import oms
from expert_kit.cli.output import emit, is_debugging, note, set_up_streams, show_error
from expert_kit.cli.package import package
from expert_kit.cli.recipe import recipe
from expert_kit.cli.revoke import revoke
from expert_kit.cli.rollback import rollback
from expert_kit.cli.route import route
from expert_kit.cli.router import router
from expert_kit.cli.search import search
from expert_kit.cli.sign import sign
from expert_kit.cli.train import train
from expert_kit.cli.trust import trust
from expert_kit.cli.uninstall import uninstall
from expert_kit.cli.update import update
from expert_kit.cli.use import use
from expert_kit.cli.validate import validate
from expert_kit.cli.verify import verify
from expert_kit.cli.yank import yank
from expert_kit.errors import CapacityError, ExpertKitError, UsageError

COMMANDS: dict[str, tuple[Callable[..., None] | typer.Typer, str]] = {
    "base": (base, ""),
    "generate": (generate, 'Example: expert-kit generate "How many customers are from Oslo?" --expert expert-kit/sql'),
    "chat": (chat, "Example: expert-kit chat --expert auto"),
    "route": (route, 'Example: expert-kit route "Differentiate x**3" --explain'),
    "router": (router, ""),
    "gaps": (gaps, "Example: expert-kit gaps --on"),
    "list": (list_experts, "Example: expert-kit list --json"),
    "search": (search, 'Example: expert-kit search "sql queries" --tag sql'),
    "info": (info, "Example: expert-kit info expert-kit/sql"),
    "install": (install, "Example: expert-kit install expert-kit.sql-0.1.0.expert"),
    "update": (update, "Example: expert-kit update --index dist --dry-run"),
    "uninstall": (uninstall, "Example: expert-kit uninstall expert-kit/sql --yes"),
    "rollback": (rollback, "Example: expert-kit rollback expert-kit/sql"),
    "use": (use, "Example: expert-kit use expert-kit/sql@0.2.0"),
    "lock": (lock, "Example: expert-kit lock --out expert.lock"),
    "export": (export, "Example: expert-kit export expert-kit/sql plain/sql"),
    "doctor": (doctor, "Example: expert-kit doctor --repair"),
    "gc": (gc, "Example: expert-kit gc --dry-run"),
    "dataset": (dataset, ""),
    "recipe": (recipe, ""),
    "train": (train, "Example: expert-kit train recipes/sql --set num_train_epochs=2"),
    "eval": (evaluate, "Example: expert-kit eval runs/sql/adapter --recipe recipes/sql --limit 50"),
    "package": (package, "Example: expert-kit package experts/sql --out dist"),
    "convert": (
        convert,
        'Example: expert-kit convert peft/ --base smollm2-135m --name me/poems --version 0.1.0 --license MIT --summary "Writes poems."',
    ),
    "merge": (merge, "Example: expert-kit merge expert-kit/sql@0.6 expert-kit/calculus@0.4 --method svd --rank 8 --out merged"),
    "keys": (keys, ""),
    "trust": (trust, ""),
    "sign": (sign, "Example: expert-kit sign dist/expert-kit.sql-0.1.0.expert --key release"),
    "attest": (attest, "Example: expert-kit attest dist/acme.sql-1.0.0.expert --type eval --report report.json --key release"),
    "verify": (verify, "Example: expert-kit verify --all"),
    "revoke": (revoke, 'Example: expert-kit revoke acme.sql-1.0.0.expert --reason "answers with DROP TABLE" --key offline'),
    "yank": (yank, 'Example: expert-kit yank acme/sql@1.0.0 --reason "wrong dates before 1970"'),
    "oms": (oms, ""),
    "validate": (validate, "Example: expert-kit validate dist/expert-kit.sql-0.1.0.expert"),
}
"""Every command and the last line of its help; the order is that of ``--help``."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def _print_version(wanted: bool) -> None:
    if wanted:
        emit(f"expert-kit {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)] = False,
) -> None:
    """LoRA experts on one small base model: train, package, sign, install, route, generate.

    Data goes to stdout, everything else to stderr. EXPERT_KIT_HOME names the folder of all local files.
    """


def build_app(only: str | None = None) -> typer.Typer:
    """The Typer application with all commands, or with the one of that name: reading the parameters of all takes its time."""
    # Plain help: the same text in a terminal, in a pipe and in docs/cli.md.
    app = typer.Typer(name="expert-kit", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback(cls=LeanGroup)(_root)
    for name, (command, epilog) in COMMANDS.items() if only not in COMMANDS else [(only, COMMANDS[only])]:
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, epilog=epilog, cls=LeanCommand)(command)
    return app


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; the result is the exit code.

    Args:
        args: without the program's name; those of the process if not given.
    """
    words = list(sys.argv[1:] if args is None else args)
    options = words[: words.index("--")] if "--" in words else words
    as_json = "--json" in options
    set_up_streams()
    try:
        outcome: Any = build_app(words[0] if words else None)(words, prog_name="expert-kit", standalone_mode=False)
    except ExpertKitError as error:
        show_error(error, as_json=as_json)
        return exit_code(error)
    except typer.TyperException as error:
        return _usage(error, as_json=as_json)
    except (typer.Abort, KeyboardInterrupt):
        note("stopped")
        return INTERRUPTED
    except SystemExit as error:
        return _exit_of(error)
    except OSError as error:
        return _full(error, as_json=as_json) if error.errno in _FULL else _bug(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last place: a bug of ours, or what no room foresaw
        return _bug(error, as_json=as_json)
    return outcome if isinstance(outcome, int) else OK


def _usage(error: typer.TyperException, *, as_json: bool) -> int:
    context: Any = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        note(error.format_message())
        return error.exit_code
    param: Any = getattr(error, "param", None)
    command = context.command_path if context is not None else "expert-kit"
    wrong = UsageError(error.format_message(), hint=f"{command} --help")
    show_error(wrong, as_json=as_json, param=getattr(param, "name", None))
    return exit_code(wrong)


def _exit_of(error: SystemExit) -> int:
    # Typer turns a closed pipe into exit 1, which here means a bug.
    if isinstance(error.__context__, BrokenPipeError):
        return OUTPUT_CLOSED
    return error.code if isinstance(error.code, int) else OK if error.code is None else BUG


def _full(error: OSError, *, as_json: bool) -> int:
    # What could not be written is still in the buffer, and the interpreter tries again when it ends.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    hint = "free some space, or send the output somewhere else"
    full = CapacityError(f"cannot write the output: {error.strerror}", hint=hint, code="output_unwritable")
    show_error(full, as_json=as_json)
    return exit_code(full)


def _bug(error: Exception, *, as_json: bool) -> int:
    hint = "run it again with EXPERT_KIT_DEBUG=1 and report what it prints"
    wrapped = ExpertKitError(f"unexpected {type(error).__name__}: {error}", hint=hint)
    if is_debugging():
        note("".join(traceback.format_exception(error)).rstrip())
    show_error(wrapped, as_json=as_json)
    return BUG
