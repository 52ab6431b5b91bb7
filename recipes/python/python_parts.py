"""The parts that functions of the python recipe are composed of: conditions, changes, and where the items come from.

Code uses ``x`` for the item. Each part has words that training uses and words that only validation and test use.
"""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Condition:
    """What an item is asked for. ``{k}`` is a constant or a parameter."""

    key: str
    """Part of function names."""
    code: str
    opposite: str
    before: Pair
    """Words before the noun: "even numbers"; empty if ``after`` says it."""
    after: Pair
    """Words after the noun: "numbers greater than 3"."""
    constants: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    """Names of the parameter that may stand for the constant."""


@dataclass(frozen=True)
class Change:
    """What is made of an item."""

    key: str
    code: str
    of: Pair
    """Before "each number": "the square of"."""
    its: str
    """After "by" or "to": "its square"."""
    gives: str
    """Kind of the result: number or text."""


def _adjective(key: str, code: str, opposite: str, train: str, held: str) -> Condition:
    """Words with ``...`` stand around the noun: "...that are even" after it, "even" before it."""
    before = (
        tuple(word for word in train.split("/") if not word.startswith("...")),
        tuple(word for word in held.split("/") if not word.startswith("...")),
    )
    after = (
        tuple(word[3:] for word in train.split("/") if word.startswith("...")),
        tuple(word[3:] for word in held.split("/") if word.startswith("...")),
    )
    return Condition(key, code, opposite, before, after)


def _relation(key: str, code: str, opposite: str, train: str, held: str, constants: str, parameters: str) -> Condition:
    return Condition(
        key,
        code,
        opposite,
        ((), ()),
        (tuple(train.split("/")), tuple(held.split("/"))),
        tuple(constants.split()),
        tuple(parameters.split()),
    )


NUMBERS = (
    _adjective("even", "x % 2 == 0", "x % 2 != 0", "even/even/...that are even", "...divisible by two"),
    _adjective("odd", "x % 2 == 1", "x % 2 != 1", "odd/odd/...that are odd", "...that are not even"),
    _adjective("positive", "x > 0", "x <= 0", "positive/positive/...above zero", "...greater than 0"),
    _adjective("negative", "x < 0", "x >= 0", "negative/negative/...below zero", "...less than 0"),
    _adjective("nonzero", "x != 0", "x == 0", "non-zero/nonzero/...that are not zero", "...different from 0"),
    _adjective("zero", "x == 0", "x != 0", "zero/...equal to zero", "...that are 0"),
    _relation(
        "above",
        "x > {k}",
        "x <= {k}",
        "greater than {k}/above {k}/larger than {k}",
        "that exceed {k}/over {k}",
        "2 3 5 10",
        "limit threshold n",
    ),
    _relation("below", "x < {k}", "x >= {k}", "less than {k}/below {k}/smaller than {k}", "under {k}", "3 4 5 10", "limit threshold n"),
    _relation(
        "at_least",
        "x >= {k}",
        "x < {k}",
        "that are at least {k}/greater than or equal to {k}",
        "not below {k}",
        "2 5 10",
        "limit minimum n",
    ),
    _relation(
        "at_most", "x <= {k}", "x > {k}", "that are at most {k}/less than or equal to {k}", "not above {k}", "2 5 10", "limit maximum n"
    ),
    _relation(
        "multiples",
        "x % {k} == 0",
        "x % {k} != 0",
        "divisible by {k}/that are multiples of {k}",
        "that {k} divides",
        "3 4 5 7",
        "n k divisor",
    ),
    _relation("equal", "x == {k}", "x != {k}", "equal to {k}", "that are the same as {k}", "1 2 5", "value target n"),
    _relation(
        "ending_in",
        "x % 10 == {k}",
        "x % 10 != {k}",
        "that end in {k}/whose last digit is {k}",
        "with {k} as the last digit",
        "3 5 7",
        "digit",
    ),
)

STRINGS = (
    _relation(
        "longer",
        "len(x) > {k}",
        "len(x) <= {k}",
        "longer than {k}/with more than {k} characters",
        "of more than {k} letters",
        "2 3 4 5",
        "n length limit",
    ),
    _relation(
        "shorter",
        "len(x) < {k}",
        "len(x) >= {k}",
        "shorter than {k}/with fewer than {k} characters",
        "of fewer than {k} letters",
        "4 5 6",
        "n length limit",
    ),
    _relation(
        "of_length",
        "len(x) == {k}",
        "len(x) != {k}",
        "of length {k}/with exactly {k} characters",
        "that are {k} characters long",
        "3 4 5",
        "n length",
    ),
    _relation(
        "starting_with",
        "x.startswith({k})",
        "not x.startswith({k})",
        "that start with {k}/starting with {k}",
        "beginning with {k}",
        "'a' 's' 'b'",
        "prefix letter",
    ),
    _relation(
        "ending_with",
        "x.endswith({k})",
        "not x.endswith({k})",
        "that end with {k}/ending with {k}",
        "whose end is {k}",
        "'s' 'e' 'ing'",
        "suffix ending",
    ),
    _relation(
        "containing",
        "{k} in x",
        "{k} not in x",
        "that contain {k}/containing {k}/with {k} in them",
        "that have {k} in them",
        "'a' 'e' 'o'",
        "letter part",
    ),
    _adjective("uppercase", "x.isupper()", "not x.isupper()", "upper-case/uppercase/...in upper case", "...in capital letters"),
    _adjective("lowercase", "x.islower()", "not x.islower()", "lower-case/lowercase/...in lower case", "...in small letters"),
    _adjective("numeric", "x.isdigit()", "not x.isdigit()", "numeric/...made of digits only", "...that consist of digits"),
    _adjective("palindromes", "x == x[::-1]", "x != x[::-1]", "palindromic/...that are palindromes", "...that read the same backwards"),
    _adjective(
        "capitalized",
        "x[:1].isupper()",
        "not x[:1].isupper()",
        "capitalized/...that start with a capital letter",
        "...with a capital at the start",
    ),
    _adjective("even_length", "len(x) % 2 == 0", "len(x) % 2 != 0", "even-length/...of even length", "...with an even number of letters"),
)

CHARACTERS = (
    _adjective("vowels", "x.lower() in 'aeiou'", "x.lower() not in 'aeiou'", "vowel/...that are vowels", "...out of a, e, i, o, u"),
    _adjective("digits", "x.isdigit()", "not x.isdigit()", "digit/...that are digits", "...from 0 to 9"),
    _adjective("uppercase", "x.isupper()", "not x.isupper()", "upper-case/uppercase/...in upper case", "...that are capital letters"),
    _adjective("lowercase", "x.islower()", "not x.islower()", "lower-case/lowercase/...in lower case", "...that are small letters"),
    _adjective("letters", "x.isalpha()", "not x.isalpha()", "alphabetic/...that are letters", "...of the alphabet"),
    _adjective("spaces", "x.isspace()", "not x.isspace()", "whitespace/...that are spaces", "...that are blank"),
    _adjective(
        "alphanumeric", "x.isalnum()", "not x.isalnum()", "alphanumeric/...that are letters or digits", "...that are a letter or a digit"
    ),
    _relation("equal", "x == {k}", "x != {k}", "equal to {k}", "that are the same as {k}", "'a' 'e' '-'", "char letter"),
    _relation(
        "among", "x in {k}", "x not in {k}", "that are in {k}/found in {k}", "that occur in {k}", "'abc' 'xyz'", "chars letters allowed"
    ),
)


def _change(key: str, code: str, train: str, held: str, its: str, gives: str) -> Change:
    return Change(key, code, (tuple(train.split("/")), tuple(held.split("/"))), its, gives)


NUMBER_CHANGES = (
    _change("square", "x * x", "the square of", "the second power of", "its square", "number"),
    _change("cube", "x ** 3", "the cube of", "the third power of", "its cube", "number"),
    _change("double", "x * 2", "the double of/twice", "two times", "its double", "number"),
    _change("triple", "x * 3", "three times", "the triple of", "its triple", "number"),
    _change("half", "x / 2", "half of", "one half of", "its half", "number"),
    _change("negative", "-x", "the negative of", "minus", "its negative", "number"),
    _change("absolute", "abs(x)", "the absolute value of", "the value without its sign of", "its absolute value", "number"),
    _change("successor", "x + 1", "the successor of/one more than", "1 plus", "its successor", "number"),
    _change("predecessor", "x - 1", "the predecessor of/one less than", "the number before", "its predecessor", "number"),
    _change("text", "str(x)", "the string form of", "the text of", "its string form", "text"),
    _change("last_digit", "abs(x) % 10", "the last digit of", "the final digit of", "its last digit", "number"),
    _change("remainder", "x % 3", "the remainder by 3 of", "the rest after division by 3 of", "its remainder by 3", "number"),
    _change("float", "float(x)", "the float value of", "the floating-point form of", "its float value", "number"),
)
STRING_CHANGES = (
    _change("upper", "x.upper()", "the upper-case form of", "the form in capitals of", "its upper-case form", "text"),
    _change("lower", "x.lower()", "the lower-case form of", "the form in small letters of", "its lower-case form", "text"),
    _change("reverse", "x[::-1]", "the reverse of", "the characters backwards of", "its reverse", "text"),
    _change("length", "len(x)", "the length of", "the number of characters of", "its length", "number"),
    _change("first_char", "x[:1]", "the first character of", "the initial character of", "its first character", "text"),
    _change("last_char", "x[-1:]", "the last character of", "the final character of", "its last character", "text"),
    _change(
        "capitalized",
        "x.capitalize()",
        "the capitalized form of",
        "the form with a capital at the start of",
        "its capitalized form",
        "text",
    ),
    _change("stripped", "x.strip()", "the stripped form of", "the form without outer spaces of", "its stripped form", "text"),
    _change("doubled", "x * 2", "the twofold repetition of", "two copies in a row of", "its repetition", "text"),
    _change(
        "vowel_count",
        "sum(1 for ch in x if ch in 'aeiou')",
        "the number of vowels in",
        "the vowel count of",
        "its number of vowels",
        "number",
    ),
    _change(
        "swapped",
        "x.swapcase()",
        "the case-swapped form of",
        "the form with upper and lower case swapped of",
        "its case-swapped form",
        "text",
    ),
    _change("prefix", "x[:3]", "the first three characters of", "the opening 3 characters of", "its first three characters", "text"),
)


@dataclass(frozen=True)
class Source:
    """Where the items come from."""

    key: str
    noun: str
    """Of one item."""
    names: tuple[str, ...]
    """What the parameter may be called."""
    place: Pair
    """``{p}`` is the parameter."""
    items: str
    """Code for the items."""
    hint: str
    """Type of the parameter."""
    inputs: str
    """A key of ``python_inputs.KINDS``."""
    conditions: tuple[Condition, ...]
    changes: tuple[Change, ...] = ()
    joined: bool = False
    """Whether items chosen make a string again."""


SOURCES = (
    Source(
        "numbers",
        "number",
        ("numbers", "nums", "values", "xs", "lst"),
        (("in {p}", "in the list {p}", "of {p}"), ("within {p}", "found in {p}")),
        "{p}",
        "list",
        "ints",
        NUMBERS,
        NUMBER_CHANGES,
    ),
    Source(
        "strings",
        "string",
        ("words", "strings", "names", "items", "lines"),
        (("in {p}", "in the list {p}", "of {p}"), ("within {p}", "found in {p}")),
        "{p}",
        "list",
        "words",
        STRINGS,
        STRING_CHANGES,
    ),
    Source(
        "text",
        "word",
        ("text", "sentence", "s", "line"),
        (("in {p}", "of the string {p}", "in the text {p}"), ("within {p}", "found in {p}")),
        "{p}.split()",
        "str",
        "sentence",
        STRINGS,
        STRING_CHANGES,
    ),
    Source(
        "chars",
        "character",
        ("text", "s", "word", "string"),
        (("in {p}", "of the string {p}"), ("within {p}", "found in {p}")),
        "{p}",
        "str",
        "text",
        CHARACTERS,
        (),
        joined=True,
    ),
    Source(
        "range",
        "number",
        ("n", "limit", "stop"),
        (("from 1 to {p}", "between 1 and {p}, both included,"), ("starting at 1 and ending at {p}",)),
        "range(1, {p} + 1)",
        "int",
        "count",
        (NUMBERS[0], NUMBERS[1], *NUMBERS[6:8], NUMBERS[10], NUMBERS[12]),
        (*NUMBER_CHANGES[:4], NUMBER_CHANGES[9]),
    ),
    Source(
        "digits",
        "digit",
        ("n", "number"),
        (("of {p}", "in the number {p}"), ("within {p}",)),
        "map(int, str({p}))",
        "int",
        "natural",
        (*NUMBERS[:2], NUMBERS[4], *NUMBERS[6:9]),
        NUMBER_CHANGES[:3],
    ),
    Source(
        "values",
        "value",
        ("d", "data", "scores", "table", "prices"),
        (("in the dict {p}", "of the dictionary {p}"), ("within the dict {p}",)),
        "{p}.values()",
        "dict",
        "table",
        NUMBERS,
        NUMBER_CHANGES[:8],
    ),
)
