"""``expert-kit generate``: one prompt, one answer."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expert_kit.cli.engine import note_answer, open_engine
from expert_kit.cli.options import Base, Choice, Device, Dtype, Experts, Json, Policy, Prompt, Quantization, read_choices, read_prompt
from expert_kit.cli.output import emit, emit_json, emit_piece
from expert_kit.cli.quiet import quiet_libraries
from expert_kit.errors import UsageError

if TYPE_CHECKING:
    from expert_kit.inference import ExpertEngine, GenerationResult

MaxNewTokens = Annotated[int, typer.Option(help="Most tokens of an answer.")]
Temperature = Annotated[float, typer.Option(help="0 always takes the likeliest token.")]
TopK = Annotated[int, typer.Option(help="Keep the k likeliest tokens; 0 keeps all.")]
TopP = Annotated[float, typer.Option(help="Keep the smallest set of tokens with this probability.")]
MinP = Annotated[float, typer.Option(help="Drop tokens below this share of the likeliest one's probability.")]
RepetitionPenalty = Annotated[float, typer.Option(help="Above 1 makes tokens that were seen less likely.")]
NoRepeatNgramSize = Annotated[int, typer.Option(help="No run of so many tokens occurs twice; 0 allows all.")]
Seed = Annotated[int | None, typer.Option(help="Makes a sampled answer repeatable.", show_default=False)]
Stop = Annotated[list[str] | None, typer.Option(help="End the answer before this text; may repeat.", show_default=False)]
Logprobs = Annotated[bool, typer.Option("--logprobs", help="With --json: how likely the model thought each token.")]
TopLogprobs = Annotated[int, typer.Option(help="With --logprobs: also the likeliest tokens at each place, up to 20.")]
Grammar = Annotated[Path | None, typer.Option("--grammar", help="Hold the answer to the grammar in this .lark file.", show_default=False)]
NoGrammar = Annotated[bool, typer.Option("--no-grammar", help="Answer freely, also where the expert carries a grammar.")]
ByTask = Annotated[
    bool, typer.Option("--by-task", help="Take length, temperature and top-p, where not given, from the expert or the kind of task.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Fail with exit code 11 if the router finds no expert.")]


def generate(
    context: typer.Context,
    prompt: Prompt = None,
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
    stop: Stop = None,
    logprobs: Logprobs = False,
    top_logprobs: TopLogprobs = 0,
    grammar: Grammar = None,
    no_grammar: NoGrammar = False,
    by_task: ByTask = False,
    strict: Strict = False,
    policy: Policy = "none",
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantization: Quantization = "none",
    json: Json = False,
) -> None:
    """Answer one prompt. The answer streams to stdout, who gave it goes to stderr."""
    if logprobs and not json:
        raise UsageError("--logprobs needs --json", hint="add --json; a text on a terminal has no room for them")
    if grammar is not None and no_grammar:
        raise UsageError("--grammar and --no-grammar exclude each other", hint="leave out one of them")
    text, experts = read_prompt(prompt), read_choices(expert)
    sampling: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "no_repeat_ngram_size": no_repeat_ngram_size,
        "seed": seed,
        "stop": tuple(stop or ()),
        "logprobs": logprobs,
        "top_logprobs": top_logprobs,
        "grammar": grammar or (None if no_grammar else "expert"),
        "by_task": left_to_task(context) if by_task else (),
    }
    check_request(experts, sampling)
    with open_engine(base, device=device, dtype=dtype, quantization=quantization, policy=policy) as engine:
        if json:
            emit_json(engine.generate(text, experts, strict=strict, **sampling).to_json())
            return
        result = stream_answer(engine, text, experts, strict=strict, **sampling)
    note_answer(result)


def left_to_task(context: typer.Context) -> tuple[str, ...]:
    """Options that ``--by-task`` decides: those that the command line does not give."""
    sources = {name: context.get_parameter_source(name) for name in ("max_new_tokens", "temperature", "top_p")}
    return tuple(name for name, source in sources.items() if source is not None and source.name == "DEFAULT")


def check_request(experts: Choice, sampling: dict[str, Any]) -> None:
    """Refuse bad words before the base model is loaded."""
    quiet_libraries()
    from expert_kit.inference import SamplingOptions, parse_selection
    from expert_kit.inference.grammar import read_grammar

    parse_selection(experts)
    SamplingOptions(**sampling)
    if isinstance(sampling.get("grammar"), Path):
        read_grammar(sampling["grammar"])


def stream_answer(engine: ExpertEngine, prompt: Any, experts: Choice, **options: Any) -> GenerationResult:
    """Write an answer to stdout as it comes."""
    with closing(engine.stream(prompt, experts, **options)) as events:
        for event in events:
            if event.result is not None:
                emit("")
                return event.result
            emit_piece(event.text)
    raise AssertionError("a stream ends with its result")
