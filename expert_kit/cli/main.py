"""The command line: the table of commands, and what becomes of an error."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from expert_kit import __version__
from expert_kit.cli.base import base
from expert_kit.cli.chat import chat
from expert_kit.cli.eval import evaluate
from expert_kit.cli.exits import BUG, INTERRUPTED, OK, OUTPUT_CLOSED, exit_code
from expert_kit.cli.generate import generate
from expert_kit.cli.info import info
from expert_kit.cli.install import install
from expert_kit.cli.keys import keys
from expert_kit.cli.list import list_experts
from expert_kit.cli.output import emit, is_debugging, note, set_up_streams, show_error
from expert_kit.cli.package import package
from expert_kit.cli.route import route
from expert_kit.cli.sign import sign
from expert_kit.cli.train import train
from expert_kit.cli.uninstall import uninstall
from expert_kit.cli.validate import validate
from expert_kit.errors import ExpertKitError, UsageError

COMMANDS: dict[str, tuple[Callable[..., None] | typer.Typer, str]] = {
    "base": (base, ""),
    "generate": (generate, 'Example: expert-kit generate "How many customers are from Oslo?" --expert expert-kit/sql'),
    "chat": (chat, "Example: expert-kit chat --expert auto"),
    "route": (route, 'Example: expert-kit route "Differentiate x**3" --explain'),
    "list": (list_experts, "Example: expert-kit list --json"),
    "info": (info, "Example: expert-kit info expert-kit/sql"),
    "install": (install, "Example: expert-kit install expert-kit.sql-0.1.0.expert"),
    "uninstall": (uninstall, "Example: expert-kit uninstall expert-kit/sql --yes"),
    "train": (train, "Example: expert-kit train recipes/sql --set num_train_epochs=2"),
    "eval": (evaluate, "Example: expert-kit eval runs/sql/adapter --recipe recipes/sql --limit 50"),
    "package": (package, "Example: expert-kit package experts/sql --out dist"),
    "keys": (keys, ""),
    "sign": (sign, "Example: expert-kit sign dist/expert-kit.sql-0.1.0.expert --key release"),
    "validate": (validate, "Example: expert-kit validate dist/expert-kit.sql-0.1.0.expert"),
}
"""Every command and the last line of its help; the order is that of ``--help``."""


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


def build_app() -> typer.Typer:
    """The Typer application with all commands."""
    # Plain help: the same text in a terminal, in a pipe and in docs/cli.md.
    app = typer.Typer(name="expert-kit", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(_root)
    for name, (command, epilog) in COMMANDS.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, epilog=epilog)(command)
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
        outcome: Any = build_app()(words, prog_name="expert-kit", standalone_mode=False)
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


def _bug(error: Exception, *, as_json: bool) -> int:
    hint = "run it again with EXPERT_KIT_DEBUG=1 and report what it prints"
    wrapped = ExpertKitError(f"unexpected {type(error).__name__}: {error}", hint=hint)
    if is_debugging():
        note("".join(traceback.format_exception(error)).rstrip())
    show_error(wrapped, as_json=as_json)
    return BUG
