r"""Text of a formula in one variable -> sympy expression, without ``eval``.

Reads what students and models write: 2xsin(3x), 3*x**2, 3x², (x + 1)(x - 2), e^{2x}, exp(2x), sin 3x, sin^2(x), \frac{1}{2}\cos(x).
Multiplication may be left out and binds like ``*``, from left to right: 1/2x is x/2, e^2x is x*e^2. A function without parentheses
takes the numbers and powers of the variable that follow it: sin 2x cos x is sin(2x)*cos(x).

Every limit is there so that building and evaluating the result stays cheap for hostile text too (9^9^9, e^e^x, ((x^64)^64)^64).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import mpmath
import sympy

from expert_kit.errors import DataError

MAX_CHARACTERS = 400
MAX_TOKENS = 250
MAX_DEPTH = 20
MAX_DIGITS = 12
MAX_EXPONENT = 64
MAX_DEGREE = 128
MAX_POWER_BITS = 512

FUNCTIONS: dict[str, Callable[[sympy.Expr], sympy.Expr]] = {
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "sec": sympy.sec,
    "csc": sympy.csc,
    "cot": sympy.cot,
    "exp": sympy.exp,
    "sqrt": sympy.sqrt,
    "log": sympy.log,
    "ln": sympy.log,
}

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ˣ", "0123456789-+x")
_MINUSES = dict.fromkeys("\u2212\u2013\u2014\u2010\u2011", "-")
_STARS = dict.fromkeys("\u00b7\u22c5\u00d7\u2217", "*")
_SYMBOLS = str.maketrans(_MINUSES | _STARS | {"\u00f7": "/", "\u221a": "sqrt", "\u00a0": " "})
_NOISE = re.compile(r"\\left|\\right|\\(?:quad|qquad|displaystyle)|\\[,;:! ]|[$&`]|\\[()\[\]]|\\(?:mathrm|operatorname|text)(?=\{)")
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|(\*\*|[-+*/^(){}\[\]])|([A-Za-z]))")
_NAMES = re.compile(r"arc|sinh|cosh|tanh|" + "|".join(sorted(FUNCTIONS, key=len, reverse=True)) + "|frac", re.IGNORECASE)
_CLOSERS = {"(": ")", "{": "}", "[": "]"}


def parse(text: str, variable: str) -> sympy.Expr:
    """Read a formula in which only ``variable`` (one letter) and the constant e may occur.

    Raises:
        DataError: code ``expression_invalid``; the message says what could not be read, or which limit was passed.
    """
    if len(text) > MAX_CHARACTERS:
        raise _refuse(f"longer than {MAX_CHARACTERS} characters")
    tokens = _tokens(plain(text))
    if len(tokens) > MAX_TOKENS:
        raise _refuse(f"more than {MAX_TOKENS} tokens")
    return _Parser(tokens, variable).whole()


def plain(text: str) -> str:
    """The formula with LaTeX and unicode spelled in ASCII, as far as this parser has a spelling."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ˣ]+", lambda match: f"^({match[0].translate(_SUPERSCRIPTS)})", text)
    text = _NOISE.sub(" ", text.translate(_SYMBOLS))
    text = re.sub(r"\\(?:cdot|times|ast)\b", "*", text)
    return re.sub(r"\\([dt]?)(frac|[a-z]+)", lambda match: match[2] if match[2] == "frac" else match[1] + match[2], text).strip()


def _refuse(why: str) -> DataError:
    return DataError(f"not a formula this checker reads: {why}", code="expression_invalid")


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(text):
        start = at + len(text[at:]) - len(text[at:].lstrip())
        name = _NAMES.match(text, start)
        match = name or _TOKEN.match(text, at)
        if match is None:
            raise _refuse(f"unexpected {text[at:].strip()[:1]!r}")
        tokens.append(match[0].strip().lower() if name else match[0].strip())
        at = match.end()
    return tokens


def _is_number(piece: str) -> bool:
    return piece[:1].isdigit() or piece[:1] == "."


def _degree(expression: sympy.Expr) -> float:
    """An upper bound of the size of the exponents in an expression; a variable has 1."""
    if isinstance(expression, sympy.Pow) and expression.exp.is_Rational:
        return _degree(expression.base) * max(1.0, abs(float(expression.exp)))
    if isinstance(expression, sympy.Mul):
        return sum(_degree(factor) for factor in expression.args)
    return max([1.0 if expression.is_Symbol else 0.0, *(_degree(part) for part in expression.args)])


class _Parser:
    """Recursive descent: sum -> product -> signed -> power -> primary."""

    def __init__(self, tokens: Sequence[str], variable: str) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.variable = variable
        self.symbol = sympy.Symbol(variable)

    def whole(self) -> sympy.Expr:
        result = self.sum()
        if self.at < len(self.tokens):
            raise _refuse(f"unexpected {self.peek()!r}")
        if result.has(sympy.zoo, sympy.nan, sympy.oo):
            raise _refuse("division by zero")
        # Of an imaginary number sympy makes others, such as sinh.
        if any(part.func not in _VALUES for part in result.atoms(sympy.Function)):
            raise _refuse("a function of an imaginary number")
        return result

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        piece = self.peek()
        self.at += 1
        return piece

    def sum(self) -> sympy.Expr:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refuse(f"nested more than {MAX_DEPTH} deep")
        parts = [self.product()]
        while self.peek() in ("+", "-"):
            sign = -1 if self.take() == "-" else 1
            parts.append(sign * self.product())
        self.depth -= 1
        return sympy.Add(*parts)

    def product(self) -> sympy.Expr:
        result = self.signed()
        while True:
            piece = self.peek()
            if piece == "*":
                self.take()
                result = result * self.signed()
            elif piece == "/":
                self.take()
                result = result / self.signed()
            elif piece in ("", "+", "-", "^", "**", ")", "}", "]"):
                break
            elif _is_number(piece) and _is_number(self.tokens[self.at - 1]):
                raise _refuse("two numbers side by side")
            else:
                result = result * self.power()
        if _degree(result) > MAX_DEGREE:
            raise _refuse(f"degree above {MAX_DEGREE}")
        return result

    def signed(self) -> sympy.Expr:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        return sign * self.power()

    def power(self) -> sympy.Expr:
        base = self.primary()
        return self.raised(base, self.exponent()) if self.peek() in ("^", "**") else base

    def exponent(self) -> sympy.Expr:
        """What follows ``^``; towers associate to the right."""
        self.take()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refuse(f"nested more than {MAX_DEPTH} deep")
        result = self.signed()
        self.depth -= 1
        return result

    def raised(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        if base == sympy.E:
            return self.applied("exp", exponent)
        if not exponent.is_Rational or abs(exponent.p) > MAX_EXPONENT or exponent.q > MAX_EXPONENT:
            raise _refuse(f"an exponent that is no number up to {MAX_EXPONENT}")
        if base.is_Rational and abs(exponent) * max(abs(base.p), base.q).bit_length() > MAX_POWER_BITS:
            raise _refuse("a number too large")
        result = base**exponent
        if _degree(result) > MAX_DEGREE:
            raise _refuse(f"degree above {MAX_DEGREE}")
        return result

    def primary(self) -> sympy.Expr:
        piece = self.take()
        if piece in _CLOSERS:
            inner = self.sum()
            if self.take() != _CLOSERS[piece]:
                raise _refuse(f"{piece!r} is never closed")
            return inner
        if piece == "frac":
            return self.primary() / self.primary()
        if piece in FUNCTIONS:
            return self.call(piece)
        if _is_number(piece):
            if len(piece) > MAX_DIGITS:
                raise _refuse("a number too large")
            return sympy.Rational(piece)
        if piece == self.variable:
            return self.symbol
        if piece == "e":
            return sympy.E
        raise _refuse(f"unexpected {piece!r}" if piece else "it ends too early")

    def call(self, name: str) -> sympy.Expr:
        """The function's name is taken; sin^2(x) is read as sin(x)^2."""
        exponent = self.exponent() if self.peek() in ("^", "**") else None
        if exponent == -1:
            raise _refuse("an inverse function")
        argument = self.primary() if self.peek() in _CLOSERS else self.bare_argument()
        result = self.applied(name, argument)
        return result if exponent is None else self.raised(result, exponent)

    def bare_argument(self) -> sympy.Expr:
        """The 3x of sin 3x: a sign, then numbers and powers of the variable."""
        sign = -1 if self.peek() == "-" else 1
        if sign < 0:
            self.take()
        if not (_is_number(self.peek()) or self.peek() == self.variable):
            raise _refuse("a function without an argument")
        result = self.power()
        while self.peek() == self.variable:
            result = result * self.power()
        return sign * result

    def applied(self, name: str, argument: sympy.Expr) -> sympy.Expr:
        if argument.has(sympy.exp):
            raise _refuse("an exponential inside another function")
        return FUNCTIONS[name](argument)


# ── equality ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

_DIGITS = 600
_MP = mpmath.MPContext()
_MP.dps = _DIGITS
_POINTS = [sympy.Rational(p, q) for p, q in ((37, 89), (101, 113), (173, 101), (-53, 97), (-131, 109), (-199, 83))]
_VALUES = {sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan", sympy.sec: "sec", sympy.csc: "csc", sympy.cot: "cot"}
_VALUES |= {sympy.exp: "exp", sympy.log: "ln"}


def same(first: sympy.Expr, second: sympy.Expr) -> bool:
    """Whether two parsed expressions in one variable are the same function.

    Structure decides if it can. Otherwise six rational points, negative ones too, at 600 digits: under the limits of ``parse`` two
    functions that differ do so by more than rounding at a point that nobody chose to make them agree.
    """
    if first == second:
        return True
    compared = 0
    for point in _POINTS:
        try:
            a, b = _value(first, point), _value(second, point)
        except (ZeroDivisionError, ValueError):
            continue
        compared += 1
        if abs(a - b) > _MP.mpf(10) ** (100 - _DIGITS) * (abs(a) + abs(b)):
            return False
    return compared >= 4


def _value(expression: sympy.Expr, point: sympy.Rational) -> mpmath.mpc:
    """The expression at a point; complex where a logarithm or a root is."""
    if expression.is_Symbol:
        return _value(point, point)
    if expression.is_Rational:
        return _MP.mpc(expression.p) / expression.q
    constants = {sympy.E: _MP.e, sympy.pi: _MP.pi, sympy.I: _MP.j}
    if expression in constants:
        return _MP.mpc(constants[expression])
    parts = [_value(part, point) for part in expression.args]
    if expression.is_Add:
        return _MP.fsum(parts)
    if expression.is_Mul:
        return _MP.fprod(parts)
    if expression.is_Pow:
        return _MP.power(*parts)
    return getattr(_MP, _VALUES[expression.func])(*parts)
