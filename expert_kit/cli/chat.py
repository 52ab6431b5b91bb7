"""``expert-kit chat``: a conversation; the router is asked anew for every message."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import typer

from expert_kit.cli.engine import note_answer, open_engine
from expert_kit.cli.exits import OK, exit_code
from expert_kit.cli.generate import (
    ByTask,
    MaxNewTokens,
    MinP,
    NoRepeatNgramSize,
    RepetitionPenalty,
    Seed,
    Temperature,
    TopK,
    TopP,
    check_request,
    left_to_task,
)
from expert_kit.cli.options import Base, Choice, Device, Dtype, Experts, Quantization, read_choice, read_choices
from expert_kit.cli.output import emit, emit_piece, note, show_error
from expert_kit.errors import ExpertKitError, UsageError
from expert_kit.names import ExpertRef, printable

if TYPE_CHECKING:
    from expert_kit.inference import ExpertEngine

_HELP: Final = """\
/experts       list the installed experts
/expert NAME   use this expert from now on; also auto, base, mix:ns/a@0.6+ns/b@0.4 or an adapter folder
/route TEXT    show which experts the router would choose, and why
/reset         forget the conversation
/help          show this
/quit          leave, as Ctrl-D does; Ctrl-C stops an answer"""


def chat(
    context: typer.Context,
    expert: Experts = None,
    base: Base = "smollm2-135m",
    max_new_tokens: MaxNewTokens = 256,
    temperature: Temperature = 0.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    no_repeat_ngram_size: NoRepeatNgramSize = 0,
    seed: Seed = None,
    by_task: ByTask = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantization: Quantization = "none",
) -> None:
    """Talk to the base model and its experts. /help lists what can be typed."""
    experts = read_choices(expert)
    sampling: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "no_repeat_ngram_size": no_repeat_ngram_size,
        "seed": seed,
        "by_task": left_to_task(context) if by_task else (),
    }
    check_request(experts, sampling)
    with open_engine(base, device=device, dtype=dtype, quantization=quantization) as engine:
        conversation = Conversation(engine, experts, sampling)
        conversation.run(_reader())
    # A script that pipes its questions in wants to know; at a terminal the errors have been read.
    if conversation.status and not sys.stdin.isatty():
        raise typer.Exit(conversation.status)


class Conversation:
    """Messages so far, and the choice of experts for the next ones."""

    def __init__(self, engine: ExpertEngine, experts: Choice, sampling: dict[str, Any]) -> None:
        self.engine, self.experts, self.sampling = engine, experts, sampling
        self.messages: list[dict[str, str]] = []
        self.status = OK
        self._commands: dict[str, Callable[[str], None]] = {
            "/experts": self._list,
            "/expert": self._choose,
            "/route": self._route,
            "/reset": lambda _: self.messages.clear(),
            "/help": lambda _: note(_HELP),
        }

    def run(self, read: Callable[[], str | None]) -> None:
        """Take lines until there are none, or ``/quit``."""
        while (line := read()) is not None:
            text = line.strip()
            if text == "/quit":
                return
            try:
                if text:
                    self.take(text)
            except ExpertKitError as error:
                self.status = self.status or exit_code(error)
                show_error(error, as_json=False)

    def take(self, text: str) -> None:
        """Carry out one line: a command or a message."""
        if not text.startswith("/"):
            self._answer(text)
            return
        word, _, rest = text.partition(" ")
        if word not in self._commands:
            raise UsageError(f"there is no {word}", hint="/help", code="chat_command_unknown")
        self._commands[word](rest.strip())

    def _answer(self, text: str) -> None:
        asked = [*self.messages, {"role": "user", "content": text}]
        pieces: list[str] = []
        stream = self.engine.stream(asked, self.experts, **self.sampling)
        result = None
        try:
            for event in stream:
                pieces.append(event.text)
                emit_piece(event.text)
                result = event.result
        except KeyboardInterrupt:
            note("\n[stopped]")
        finally:
            stream.close()
        self.messages = [*asked, {"role": "assistant", "content": "".join(pieces)}]
        if result is not None:
            emit("")
            note_answer(result)

    def _list(self, _: str) -> None:
        experts = self.engine.registry.list() if self.engine.registry else []
        for expert in experts:
            emit(f"{expert.ref}  {printable(expert.summary)}")
        if not experts:
            note("no experts are installed")

    def _choose(self, name: str) -> None:
        from expert_kit.inference import parse_selection

        if not name:
            raise UsageError("/expert needs a name", hint="/experts lists them; also: auto, base", code="chat_expert_missing")
        choice = read_choice(name)
        for member, _ in parse_selection(choice).members:
            if isinstance(member, ExpertRef) and self.engine.registry is not None:
                self.engine.registry.get(member)
        self.experts = choice
        note(f"from now on: {printable(name)}")

    def _route(self, text: str) -> None:
        from expert_kit.routing import explain

        emit(explain(self.engine.explain(text)))


def _reader() -> Callable[[], str | None]:
    """How lines are read: with editing and a prompt at a terminal, bare from a pipe."""
    if not sys.stdin.isatty():
        return lambda: sys.stdin.readline() or None
    if sys.stdout.isatty():
        _enable_editing()
    note("/help shows what can be typed, /quit leaves")
    return _ask


def _ask() -> str | None:
    try:
        if sys.stdout.isatty():
            return input("> ")
        sys.stderr.write("> ")
        sys.stderr.flush()
        return sys.stdin.readline() or None
    except EOFError:
        note("")
        return None
    except KeyboardInterrupt:
        note("\n/quit or Ctrl-D leaves")
        return ""


def _enable_editing() -> None:
    try:
        import readline  # noqa: F401 - input() uses it once it is there
    except ImportError:
        return
