import re
import threading
from pathlib import Path

import pytest
import torch

from expert_kit.errors import ArchiveError, GrammarError, UsageError
from expert_kit.inference import ExpertEngine, SamplingOptions, constraint
from expert_kit.inference.constraint import GrammarCompiler
from expert_kit.inference.grammar import Grammar, prompt_names, read_grammar
from expert_kit.inference.sampling import Sampler
from tests.support.encoders import FakeEncoder
from tests.support.tiny_model import write_adapter

DIGITS = 'start: "n" D{3} | "none"\nD: "0".."9"\n'
PAIRS = 'start: ("ab" | "cd")+\n'
NAMES = 'start: "<" PROMPT_WORD ">"\n'
FORM = re.compile(r"n[0-9]{3}|none")


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny, encoder=FakeEncoder())


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"repetition_penalty": 1.5},
        {"no_repeat_ngram_size": 1},
        *({"temperature": 3.0, "seed": seed} for seed in range(8)),
        {"temperature": 1.0, "seed": 1, "top_k": 1, "top_p": 0.1, "min_p": 0.5},
    ],
)
def test_every_answer_follows_the_grammar(engine, options):
    answers = engine.generate(["one", "two", "three"], grammar=DIGITS, **options, experts=None, max_new_tokens=16)
    assert [bool(FORM.fullmatch(answer.text)) for answer in answers] == [True] * 3
    assert {answer.finish_reason for answer in answers} == {"stop"}
    assert {answer.grammar.origin for answer in answers} == {"text"}


def test_experts_change_what_is_said_and_not_the_form(engine, tmp_path, tiny_folder):
    adapter = write_adapter(tmp_path / "adapter", tiny_folder)
    answers = [engine.generate("hi", adapter, grammar=DIGITS, temperature=2.0, seed=seed, max_new_tokens=16).text for seed in range(6)]
    assert all(FORM.fullmatch(text) for text in answers)
    assert len(set(answers)) > 1


def test_the_answer_ends_where_nothing_more_can_come(engine):
    answer = engine.generate("hi", None, grammar='start: "exactly this"', max_new_tokens=16)
    assert (answer.text, answer.finish_reason, answer.usage.completion_tokens) == ("exactly this", "stop", 12)


def test_an_end_token_may_come_only_where_the_grammar_is_fulfilled(tiny):
    end = tiny.tokenizer.eos_token_id
    constraint = GrammarCompiler(tiny, [end]).constraint(Grammar("text", PAIRS), ask("hi"))
    seen = []
    for token in tiny.tokenizer("abcd", add_special_tokens=False).input_ids:
        seen.append((constraint.allows(end), bool(constraint.allowed(tiny.model.config.vocab_size)[end])))
        constraint.take(token)
    assert seen == [(False, False), (False, False), (True, True), (False, False)]
    assert constraint.allows(end)
    assert not constraint.is_complete


def test_asking_for_one_token_and_for_all_agree(tiny):
    constraint = GrammarCompiler(tiny, [2]).constraint(Grammar("text", DIGITS), ask("hi"))
    size = tiny.model.config.vocab_size
    for token in tiny.tokenizer("n12", add_special_tokens=False).input_ids:
        assert constraint.allowed(size).tolist() == [constraint.allows(one) for one in range(size)]
        constraint.take(token)


def test_an_answer_that_is_cut_off_says_so(engine):
    answer = engine.generate("hi", None, grammar='start: "abcdef"', max_new_tokens=3)
    assert (answer.text, answer.finish_reason) == ("abc", "length")
    assert answer.grammar is not None


def test_only_words_of_the_prompt_can_come(engine):
    prompts = ["the hives of a keeper_2", "other words"]
    for seed in range(4):
        answers = engine.generate(prompts, [None, None], grammar=NAMES, temperature=5.0, seed=seed, max_new_tokens=16)
        assert all(answer.text[1:-1] in prompt.split() for answer, prompt in zip(answers, prompts, strict=True))


def words_of(messages: list[dict[str, str]]) -> tuple[str, ...]:
    return prompt_names(messages).words


@pytest.mark.parametrize(
    ("prompt", "pairs"),
    [
        ("films(title, year)", "films.title films.year"),
        ("films: title, year", "films.title films.year"),
        ("films: title, maker_id (references makers), year", "films.title films.maker_id films.year"),
        ("- films: title , year;\nQuestion: which titles, please?", "films.title films.year"),
        ("CREATE TABLE films (\n  id INT,\n  `made by` INT,\n  cost DECIMAL(10, 2)\n)", "films.id films.cost"),
        ('a ("x" INT, [y] INT, b(p, q))', "b.p b.q a.x a.y a.b"),
        ('CREATE TABLE "films" (id INT, year INT);\nCREATE TABLE [makers](id INT, name TEXT)', "films.id films.year makers.id makers.name"),
        ("films with title and year (integer)", ""),
        ("(a, b) f(1, 2) f(a b c) f(, ,)", ""),
        ("f(a, b", ""),
        ("f)a, b(", ""),
        ("é(a, b) " + "w" * 65 + "(a, b)", ""),
    ],
)
def test_lists_of_a_prompt(prompt: str, pairs: str):
    assert " ".join(f"{head}.{item}" for head, item in prompt_names(ask(prompt)).pairs) == pairs


def test_lists_without_end_are_read_in_time():
    assert prompt_names(ask("f(" * 100_000 + "a, " * 100_000)).pairs == ()
    assert len(prompt_names(ask("f(" + ", ".join(f"w{n}" for n in range(5_000)) + ")")).pairs) == 512


@pytest.mark.parametrize(
    ("prompt", "numbers"),
    [
        ("1,877 bottles, 8.50 each, 007, B-12, 45kg and x3", "1877 8.50 8.5 7 12 45 3"),
        ("12.5. 3,14 1,2345 1.5.2", "12.5 3 14 1 2345 1.5"),
        ("0 00 0.5 1.00 ٣ " + "9" * 18, "0 0.5 1.00 1 " + "9" * 18),
        ("52.5200065912 " + "9" * 65, "52.5200065912"),
        ("none", ""),
        ("scores: 100,200,300 and 1,877", "100200300 100 200 300 1877"),
        ("a .5 share, 3.5 and x.7", "5 0.5 3.5 7"),
        ("101,002.50", "101002.50 101002.5 101 2.50"),
    ],
)
def test_numbers_of_a_prompt(prompt: str, numbers: str):
    assert " ".join(prompt_names(ask(prompt)).numbers) == numbers


def test_spans_and_numbers_of_a_prompt_and_no_others(engine):
    compiler = GrammarCompiler(engine.base, [engine.base.tokenizer.eos_token_id])

    def fits(prompt: str, start: str, answer: str) -> bool:
        constraint = compiler.constraint(Grammar("text", f"start: {start}\n"), ask(prompt))
        try:
            for token in engine.base.tokenizer(answer, add_special_tokens=False).input_ids:
                constraint.take(token)
        except GrammarError:
            return False
        return constraint.is_complete or constraint.allows(engine.base.tokenizer.eos_token_id)

    prompt = 'Note: "old Red-Valley farm" }\nsold 1,200 pens %x \\n \ud800'
    taken = ["old", "Red-Valley farm", "old Red-Valley", "}", "sold 1,200 pens %x", "Note:"]
    assert [span for span in taken if not fits(prompt, "PROMPT_SPAN", span)] == []
    left = ["", "ol", "Red farm", "Valley Red", " old", "old ", '"old', "}\nsold", "x \\n", "\\", "OLD", "new"]
    assert [span for span in left if fits(prompt, "PROMPT_SPAN", span)] == []
    assert [fits(prompt, "PROMPT_NUMBER", number) for number in ("1200", "1,200", "12", "200")] == [True, False, False, False]
    assert [fits("none", "PROMPT_NUMBER", number) for number in ("0", "12.5", "x", "01")] == [True, True, False, False]
    assert fits("日本 の", "PROMPT_SPAN", "日本 の")


def test_a_prompt_without_end_has_as_many_chunks_as_may_be():
    assert len(prompt_names(ask("a, " * 100_000)).chunks) == 4_096


def test_a_grammar_takes_heads_items_and_pairs_and_any_word_where_nothing_is_listed(engine):
    compiler = GrammarCompiler(engine.base, [engine.base.tokenizer.eos_token_id])
    grammar = Grammar("text", 'start: PROMPT_HEAD "/" PROMPT_ITEM "/" PROMPT_PAIR\n')

    def fits(prompt: str, answer: str) -> bool:
        constraint = compiler.constraint(grammar, ask(prompt))
        tokens = engine.base.tokenizer(answer, add_special_tokens=False).input_ids
        try:
            for token in tokens:
                constraint.take(token)
        except GrammarError:
            return False
        return constraint.is_complete or constraint.allows(engine.base.tokenizer.eos_token_id)

    listed = "f(a, b) g(c, d) and so on"
    assert fits(listed, "f/c/g.d")
    assert not fits(listed, "a/c/g.d")
    assert not fits(listed, "f/and/g.d")
    assert not fits(listed, "f/c/f.d")
    assert fits("no list here", "list/no/here.list")
    assert not fits("no list here", "list/no/here.lists")


def test_words_of_a_prompt():
    assert words_of(ask('a1 _b 2nd "c.d" café don\'t a1 x-y')) == ("a1", "_b", "c", "d", "don", "t", "x", "y")
    assert words_of(ask("w" * 65 + " short")) == ("short",)
    assert len(words_of(ask(" ".join(f"w{n}" for n in range(2_000))))) == 512
    talk = [{"role": "system", "content": "early"}, {"role": "assistant", "content": "made_up"}, *ask("late")]
    assert words_of(talk) == ("late", "early")


def test_rows_with_and_without_a_grammar_share_a_batch(engine):
    wanted = [DIGITS, None, PAIRS, NAMES]
    alone = [engine.generate("some words", None, grammar=one, max_new_tokens=6).text for one in wanted]
    streams = [engine.stream("some words", None, grammar=one, max_new_tokens=6) for one in wanted]
    texts = [""] * len(wanted)
    running = dict(enumerate(streams))
    while running:
        for at in list(running):
            event = next(running[at])
            texts[at] += event.text
            if event.result is not None:
                assert event.result.text == texts[at]
                assert (event.result.grammar is None) == (wanted[at] is None)
                del running[at]
    assert texts == alone
    assert engine.generate("some words", None, max_new_tokens=6).text == alone[1]


def test_threads_have_each_their_own_grammar(engine):
    wrong: list[str] = []

    def work(grammar: str, form: str) -> None:
        texts = [engine.generate("hi", None, grammar=grammar, temperature=2.0, max_new_tokens=6).text for _ in range(4)]
        wrong.extend(text for text in texts if not re.fullmatch(form, text))

    threads = [threading.Thread(target=work, args=pair) for pair in ((DIGITS, FORM.pattern), (PAIRS, "(ab|cd)+"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_cancelled_answer_leaves_nothing_behind(engine):
    stream = engine.stream("hi", None, grammar=PAIRS, max_new_tokens=50)
    assert next(stream).text in "abcd"
    stream.close()
    assert FORM.fullmatch(engine.generate("hi", None, grammar=DIGITS, max_new_tokens=16).text)


def test_a_seed_repeats_the_answer(engine):
    options = {"grammar": DIGITS, "temperature": 4.0, "seed": 11, "max_new_tokens": 16}
    first = engine.generate("hi", None, **options)
    assert engine.generate("hi", None, **options).text == first.text
    assert len({engine.generate("hi", None, **{**options, "seed": seed}).text for seed in range(6)}) > 1


def test_the_log_probability_is_that_of_the_model_without_the_grammar(engine):
    free = engine.generate("hi", None, max_new_tokens=1, logprobs=True, top_logprobs=1)
    held = engine.generate("hi", None, grammar='start: "z"', logprobs=True, top_logprobs=1, max_new_tokens=16)
    assert held.logprobs[0].token == "z"
    (held_top,), (free_top,) = held.logprobs[0].top, free.logprobs[0].top
    assert held_top[:2] == free_top[:2]
    assert held_top[2] == pytest.approx(free_top[2], abs=1e-4)


def test_the_grammar_decides_where_a_run_of_tokens_may_not_repeat():
    sampler = Sampler(SamplingOptions(no_repeat_ngram_size=1))
    allowed = torch.tensor([False, True, False])
    assert sampler.pick(torch.tensor([1]), torch.tensor([3.0, 1.0, 2.0]), allowed) == 1


def test_a_file_is_read_and_named(engine, tmp_path: Path):
    path = tmp_path / "digits.lark"
    path.write_text(DIGITS)
    answer = engine.generate("hi", None, grammar=path, max_new_tokens=16)
    assert FORM.fullmatch(answer.text)
    assert answer.to_json()["grammar"] == {"origin": str(path), "digest": Grammar("text", DIGITS).digest}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("start: nothing", "grammar_invalid", "unknown name"),
        ("no grammar at all", "grammar_invalid", "grammar of text"),
        ('a: "b"', "grammar_invalid", "no start rule"),
        ('start: PROMPT_WORD\nPROMPT_WORD: "x"', "grammar_invalid", "not to be defined"),
        ('start: <|im_end|> "a"', "grammar_invalid", "special token"),
        ('start: <[2]> "a"', "grammar_invalid", "special token"),
        ('start: "a" <[*]> // "', "grammar_invalid", "special token"),
        ('{"grammars": []}', "grammar_invalid", "grammar of text"),
        ("start: " + "(" * 20_000 + '"a"' + ")" * 20_000, "grammar_invalid", "nested"),
        ('start: "a"{1000000}', "grammar_invalid", "Too many items"),
        ("start: \x00", "grammar_invalid", "printable"),
        ('start: "\ud800"', "grammar_invalid", "UTF-8"),
        (f'start: "a"\n//{"x" * (1 << 16)}', "grammar_too_large", "larger than"),
        ("start: PROMPT_WORD", "grammar_no_words", "has none"),
        ("start: PROMPT_PAIR", "grammar_no_words", "has none"),
        ('start: PROMPT_SPAN\nPROMPT_SPAN: "x"', "grammar_invalid", "not to be defined"),
        ('start: prompt_near\nprompt_near_200: "x"', "grammar_invalid", "not to be defined"),
        ('start: "x"\nPROMPT_LETTER: "x"', "grammar_invalid", "not to be defined"),
        ('start: PROMPT_ITEM\nPROMPT_ITEM: "x"', "grammar_invalid", "not to be defined"),
    ],
)
def test_a_bad_grammar_is_a_typed_error(engine, text, code, said):
    with pytest.raises(GrammarError, match=said) as caught:
        engine.generate("1 2 3 ?", None, grammar=text, max_new_tokens=16)
    assert caught.value.code == code


def test_a_prompt_that_cannot_be_followed_is_an_error_or_a_warning(tiny):
    compiler = GrammarCompiler(tiny, [2])
    near, prompt = Grammar("acme/spelling", "start: prompt_near"), ask("word " * 101)
    with pytest.raises(GrammarError, match="cannot follow") as caught:
        compiler.constraint(near, prompt)
    assert caught.value.code == "grammar_prompt_not_followed"
    hold = compiler.hold("expert", near, prompt)
    assert hold.constraint is None
    assert "cannot follow" in hold.warnings[0]
    assert compiler.hold("expert", near, [*prompt, *ask("only teh last message counts")]).warnings == ()


def test_an_experts_grammar_that_fails_within_an_answer_is_given_up_and_a_warning_says_so(tiny):
    # Ever more ways to read what was said: too many for the limits of a token after some of them.
    ambiguous = Grammar("acme/many", 'start: w*\nw: "a" | "aa" | w w\n')
    compiler = GrammarCompiler(tiny, [2])
    letter = tiny.tokenizer("a", add_special_tokens=False).input_ids[0]
    hold = compiler.hold("expert", ambiguous, ask("hi"))
    assert hold.constraint is not None
    for _ in range(5_000):
        hold.constraint.take(letter)
        if hold.constraint.given_up:
            break
    assert hold.in_force is None
    assert "acme/many was given up within the answer" in hold.said[0]
    assert hold.constraint.allows(letter)
    assert hold.constraint.allowed(tiny.model.config.vocab_size).all()
    assert not hold.constraint.is_complete
    strict = compiler.constraint(ambiguous, ask("hi"))

    def go_on() -> None:
        for _ in range(5_000):
            strict.take(letter)

    with pytest.raises(GrammarError) as caught:
        go_on()
    assert caught.value.code == "grammar_too_large"


def test_what_stands_in_literals_and_comments_is_text(engine):
    plain = '// unlike PROMPT_WORD and PROMPT_PAIR: these are letters\nstart: "PROMPT_WORD: <b> prompt_near"'
    assert engine.generate("?", None, grammar=plain, max_new_tokens=64).text == "PROMPT_WORD: <b> prompt_near"


def test_a_check_that_took_too_long_once_is_made_again(tiny, monkeypatch):
    calls = []

    def slow_once(text: str) -> str:
        calls.append(text)
        if len(calls) == 1:
            raise ArchiveError("took too long", code="parser_stopped")
        return ""

    monkeypatch.setattr(constraint, "_problem", slow_once)
    compiler, grammar = GrammarCompiler(tiny, [2]), Grammar("acme/a", 'start: "slow once"')
    assert "more time or memory" in compiler.hold("expert", grammar, ask("hi")).warnings[0]
    assert compiler.hold("expert", grammar, ask("hi")).warnings == ()


def test_a_check_that_cannot_start_is_a_typed_error(tiny, monkeypatch):
    def no_process(text: str) -> str:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(constraint, "_problem", no_process)
    with pytest.raises(GrammarError, match="temporarily unavailable") as caught:
        GrammarCompiler(tiny, [2]).constraint(Grammar("text", 'start: "x y"'), ask("hi"))
    assert caught.value.code == "grammar_unavailable"


def test_a_grammar_that_would_crash_the_parser_does_so_elsewhere(engine):
    # A chain of terminals deeper than the stack: llguidance 1.9 ends the process that compiles it.
    chain = "".join(f'R{n}:R{n + 1}"a"\n' for n in range(4_000)) + 'R4000:"x"\nstart:R0\n'
    with pytest.raises(GrammarError) as caught:
        engine.generate("hi", None, grammar=chain, max_new_tokens=16)
    assert caught.value.code == "grammar_too_large"
    assert FORM.fullmatch(engine.generate("hi", None, grammar=DIGITS, max_new_tokens=16).text)


def test_files_that_cannot_be_read_are_typed_errors(tmp_path: Path):
    with pytest.raises(UsageError) as caught:
        read_grammar(tmp_path / "gone.lark")
    assert caught.value.code == "grammar_file"
    (tmp_path / "binary.lark").write_bytes(b'start: "\xff"')
    with pytest.raises(GrammarError, match="not UTF-8"):
        read_grammar(tmp_path / "binary.lark")
    with pytest.raises(UsageError, match="grammar=3"):
        SamplingOptions(grammar=3)  # type: ignore[arg-type]


def test_the_experts_grammar_holds_unless_the_caller_gives_another(tiny):
    compiler = GrammarCompiler(tiny, [2])
    digits = Grammar("acme/digits", DIGITS)
    assert compiler.hold("expert", digits, ask("hi")).used.origin == "acme/digits"
    assert compiler.hold("expert", None, ask("hi")).constraint is None
    assert compiler.hold(None, digits, ask("hi")).constraint is None
    assert compiler.hold(PAIRS, digits, ask("hi")).used.origin == "text"
    broken = compiler.hold("expert", Grammar("acme/broken", "start: nothing"), ask("hi"))
    assert broken.constraint is None
    assert "acme/broken" in broken.warnings[0]


def test_a_grammar_is_compiled_once_and_one_with_words_once_for_its_words(tiny):
    compiler = GrammarCompiler(tiny, [2])
    for text in ("a b", "b a", "c"):
        for source in (DIGITS, NAMES):
            compiler.constraint(Grammar("text", source), ask(text))
    assert len(compiler._compiled) == 3
