from __future__ import annotations

import time

import pytest

from expert_kit.errors import DataError
from expert_kit.evaluation.derivative import check
from expert_kit.evaluation.expression import parse, same

QUADRATIC = {"id": "q", "expression": "3*x**2 + 2*x - 5", "variable": "x"}
PRODUCT = {"id": "p", "expression": "x**2*sin(3*x)", "variable": "x"}
GROWTH = {"id": "e", "expression": "5*exp(2*t)", "variable": "t"}


@pytest.mark.parametrize(
    "answer",
    [
        "6x + 2",
        "6x+2.",
        "2 + 6*x",
        " 2(3x + 1) ",
        "$6x + 2$",
        "\\(6x + 2\\)",
        "**6x + 2**",
        "f'(x) = 6x + 2",
        "f\u2032(x)=6x+2",
        "f^{\\prime}(x) = 6x + 2",
        "y' = 6x + 2",
        "dy/dx = 6x + 2",
        "\\frac{dy}{dx} = 6x + 2",
        "\\frac{d}{dx}(3x^2 + 2x - 5) = 6x + 2",
        "d/dx (3x^2 + 2x - 5) = 6x + 2",
        "= 6x + 2",
        "The derivative is 6x + 2.",
        "The derivative of f(x) = 3x^2 + 2x - 5 is 6x + 2.",
        "The derivative of the function f(x) = 3x^2 + 2x - 5 is f'(x) = 6x + 2.",
        "The derivative of 3x\u00b2 + 2x \u2212 5 with respect to x is 6x + 2, by the power rule.",
        "Using the power rule, d/dx(3x^2) = 6x and d/dx(2x) = 2.\n\nSo f'(x) = 6x + 2",
        "We differentiate term by term:\n\n1. 3x^2 becomes 6x\n2. 2x becomes 2\n3. -5 becomes 0\n\nThe derivative is:\n\n6x + 2",
        "f(x) = 3x^2 + 2x - 5\nf'(x) = 3*2x + 2*1 - 0 = 6x + 2",
        "6x + 2 is the derivative.",
        "The slope of the curve is 6x + 2.",
        "v(x) = 6x + 2",
        "The velocity is v(x) = 6x + 2 metres per second.",
        "f'(x) = 6x + 2, where u' = 6x",
        "f'(x) = 6x + 2. Here the derivative of 3x^2 is 6x and the derivative of 2x is 2.",
        "$$\nf'(x) = \\boxed{6x + 2}\n$$",
        "To find it:\n\\[ f'(x) = 2 \\cdot 3x^{2-1} + 2 = 6x + 2 \\]",
        "\\begin{align*}\nf'(x) &= 2(3x) + 2 \\\\\n&= 6x + 2\n\\end{align*}",
    ],
)
def test_right_derivative_is_accepted_however_it_is_presented(answer):
    verdict = check(answer, QUADRATIC)
    assert verdict.ok, verdict
    assert verdict.reason == ""


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "6x",
        "6x - 2",
        "6x + 2y",
        "6x + 2 y",
        "6x + 2 + C",
        "6t + 2",
        "6x + 2 or 6x",
        "6x +",
        "3x^2 + 2x - 5",
        "x^3 + x^2 - 5x",
        "I am sorry, I cannot differentiate.",
        "f'(x) = 6x + 2\n\nSo the final answer is 8.",
        "The derivative of 3x^2 is 6x. The derivative of 2x is 2.",
        "f'(x) = 6x + 2 = 8x",
        "f'(x) = 6x + 2.0001",
        "__import__('os').system('true')",
    ],
)
def test_anything_else_is_wrong_and_says_why(answer):
    verdict = check(answer, QUADRATIC)
    assert not verdict.ok
    assert verdict.reason


@pytest.mark.parametrize(
    "answer",
    [
        "2x*sin(3x) + 3x^2*cos(3x)",
        "2xsin(3x)+3x^2cos(3x)",
        "2x sin 3x + 3x^2 cos 3x",
        "x(2\\sin(3x) + 3x\\cos(3x))",
        "2x\u00b7sin(3x) + 3x\u00b2\u00b7cos(3x)",
        "3*x**2*cos(3*x) + 2*x*sin(3*x)",
        "u = x^2, v = sin(3x), u' = 2x, v' = 3cos(3x). Then f'(x) = u'v + uv' = 2x sin(3x) + 3x^2 cos(3x)",
    ],
)
def test_products_are_read_with_multiplication_left_out(answer):
    assert check(answer, PRODUCT).ok


@pytest.mark.parametrize("answer", ["10e^(2t)", "10e^{2t}", "10*exp(2t)", "10 \\cdot e^{2t}", "s'(t) = 10e^(2t)", "v(t) = 10 e^(2*t)"])
def test_exponentials_are_read_in_every_common_spelling(answer):
    assert check(answer, GROWTH).ok


def test_reckless_exponent_is_read_by_the_rules_of_precedence():
    assert not check("10e^2t", GROWTH).ok


@pytest.mark.parametrize(
    ("text", "equal"),
    [
        ("1/2x", "x/2"),
        ("-x^2", "-(x^2)"),
        ("2^3^2", "512"),
        ("sin^2(x) + cos^2(x)", "1"),
        ("sin 2x cos x", "sin(2x)*cos(x)"),
        ("2sin(x)cos(x)", "sin(2x)"),
        ("\\frac{1}{2}x", "0.5x"),
        ("x^{-1}", "1/x"),
        ("x\u207b\u00b9", "1/x"),
        ("sqrt(x)", "x^(1/2)"),
        ("ln(x^2)", "log(x^2)"),
        ("xe^x", "e^x*x"),
        ("(x+1)(x-2)", "x^2 - x - 2"),
        ("[x + 1]{x}", "x^2 + x"),
    ],
)
def test_formulas_mean_what_a_reader_expects(text, equal):
    assert same(parse(text, "x"), parse(equal, "x"))


@pytest.mark.parametrize(("text", "other"), [("sqrt(x^2)", "x"), ("sin(x)", "cos(x)"), ("x + 1/10^30", "x"), ("e^(3x)", "e^(3x) + 1/9^60")])
def test_close_is_not_the_same(text, other):
    assert not same(parse(text, "x"), parse(other, "x"))


@pytest.mark.parametrize(
    "text",
    [
        "9^9^9",
        "x^9^9",
        "e^e^x",
        "((x^64)^64)^64",
        "(((9^60)^60)^60)^60",
        "sin(e^(x^60))",
        "x^x",
        "2^x",
        "1/0",
        "1/(x - x)",
        "(" * 300,
        "(" * 100 + "x" + ")" * 100,
        "1" * 300,
        "x+" * 190 + "x",
        "--" * 150 + "x",
        "sin" * 100 + "x",
        "x'",
        "f(x)",
        "x = 2",
        "sin",
        "2 3",
        "x_1",
        "sinh(x)",
        "sin^-1(x)",
        "\\lambda",
        "tan(ln(-1)x)",
    ],
)
def test_hostile_or_foreign_text_is_refused_at_once(text):
    start = time.monotonic()
    with pytest.raises(DataError) as caught:
        parse(text, "x")
    assert caught.value.code == "expression_invalid"
    assert time.monotonic() - start < 3.0


def test_a_very_long_answer_is_judged_quickly():
    start = time.monotonic()
    assert not check("f'(x) = (6x + 2)^60 so = derivative of is : " * 2000, QUADRATIC).ok
    assert time.monotonic() - start < 15.0


@pytest.mark.parametrize("name", ["sin", "cos", "tan", "sec", "csc", "cot"])
def test_a_function_of_an_imaginary_number_is_a_wrong_answer_and_no_error(name):
    short = check(f"{name}(sqrt(-1)x)", QUADRATIC)
    assert not short.ok
    assert "imaginary" in short.reason
    assert not check(f"The derivative of 3x^2 + 2x - 5 is {name}(sqrt(-4)x) + 6x. So f'(x) = {name}(sqrt(-4)x) + 6x.", QUADRATIC).ok


def test_verdict_shows_what_was_judged_and_what_was_expected():
    verdict = check("The derivative is 7x + 2.", QUADRATIC)
    assert (verdict.ok, verdict.got, verdict.expected) == (False, "7x + 2", "6*x + 2")


def test_derivative_equal_to_the_function_is_not_taken_for_a_repeated_question():
    assert check("The derivative of e^x is e^x.", {"expression": "exp(x)", "variable": "x"}).ok


def test_chat_of_the_untrained_base_model_is_judged_by_the_formula_it_states():
    answer = (
        "The derivative of f(x) = 3x^2 + 2x - 5 is f'(x) = 3x^2 + 2x - 5. This is a fundamental concept in calculus.\n\n"
        "In this case, f(x) = 3x^2 + 2x - 5 is a quadratic"
    )
    verdict = check(answer, QUADRATIC)
    assert (verdict.ok, verdict.got) == (False, "3x^2 + 2x - 5")
    assert check(answer.replace("f'(x) = 3x^2 + 2x - 5", "f'(x) = 6x + 2"), QUADRATIC).ok
    assert check("To find it, use the power rule, which states a lot about many functions. That is all I know.", QUADRATIC).reason == (
        "no formula found in the answer"
    )


@pytest.mark.parametrize("row", [{}, {"expression": "x"}, {"expression": "x", "variable": "xx"}, {"expression": "x**", "variable": "x"}])
def test_unusable_row_is_an_error_and_not_a_wrong_answer(row):
    with pytest.raises(DataError):
        check("1", row)
