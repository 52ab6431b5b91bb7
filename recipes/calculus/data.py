"""Write the data of the calculus recipe: prompts that ask for a derivative, and the derivative.

    python recipes/calculus/data.py --out recipes/calculus/data --seed 0

The answers come from exact integer arithmetic on terms, never from a model. The splits are apart by source: a function belongs to one
split only (the variable's name, the order of terms and, beyond linear functions, an added constant make no difference), and each split has
its own phrasings. One answer style: terms in the order of the question, ``u'v`` before ``uv'``, "2x*sin(3x)", "3e^(3x)"; products stay as
the product rule leaves them, "4(2x + 5) + 2(4x - 5)": a small model gets the rule right and the sums in its head wrong.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from expert_kit.recipe_data import run_data_script

sys.path.insert(0, str(Path(__file__).resolve().parent))

from phrasings import SPLITS, Phrasings  # the recipe's folder is not a package

Atom = tuple[Any, ...]
"""("pow", n) | ("sin", k) | ("cos", k) | ("exp", k) | ("lin", a, b), which are x^n, sin(kx), cos(kx), e^(kx), ax + b."""

MINUS = "\u2212"
SIZES = {"train": 16_000, "validation": 200, "test": 400}


@dataclass(frozen=True)
class Term:
    """An integer times a product of atoms; no atoms means a constant."""

    coef: int
    atoms: tuple[Atom, ...] = ()


# ── calculus ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def derivative_of_atom(atom: Atom) -> Term:
    """Chain rule for one atom; all inner functions are k*x."""
    match atom:
        case ("pow", n):
            return Term(n, (("pow", n - 1),) if n > 1 else ())
        case ("sin", k):
            return Term(k, (("cos", k),))
        case ("cos", k):
            return Term(-k, (("sin", k),))
        case ("exp", k):
            return Term(k, (atom,))
        case ("lin", a, _):
            return Term(a)
    raise ValueError(atom)


def collected(terms: Iterable[Term]) -> list[Term]:
    """Like terms added up, in the order of their first appearance."""
    result: dict[tuple[Atom, ...], int] = {}
    for term in terms:
        result[term.atoms] = result.get(term.atoms, 0) + term.coef
    return [Term(coef, atoms) for atoms, coef in result.items() if coef]


def derivative(terms: Sequence[Term]) -> list[Term]:
    """Sum rule and product rule, in the order of the input, nothing multiplied out."""
    result = []
    for term in terms:
        for i, atom in enumerate(term.atoms):
            inner = derivative_of_atom(atom)
            result.append(Term(term.coef * inner.coef, term.atoms[:i] + inner.atoms + term.atoms[i + 1 :]))
    return result


def split_key(terms: Sequence[Term]) -> str:
    """The same for functions that differ in order or, from degree two on, by an added constant only."""
    bare = {("pow", 1)}
    varying = list(terms) if all(set(term.atoms) <= bare for term in terms) else [term for term in terms if term.atoms]
    return repr(sorted((term.coef, term.atoms) for term in varying))


def split_of(key: str) -> str:
    """Where a function belongs, decided by its key alone; the README's example is kept for the test."""
    if key == split_key([Term(3, (("pow", 2),)), Term(2, (("pow", 1),))]):
        return "test"
    bucket = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 100
    return "test" if bucket < 6 else "validation" if bucket < 9 else "train"


# ── notation ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Notation:
    """How a function is written down."""

    power: str = "^"
    """One of ``^``, ``**``, ``unicode``, ``braces``, ``words``."""
    times: str = ""
    """Between a number and what follows."""
    factor_times: str = "*"
    """Between other factors."""
    exp: str = "e^("
    """One of ``e^(``, ``exp(``, ``e^{``, ``e**(``, ``e^`` (reckless, as in e^2x), ``words``."""
    call: str = "sin(x)"
    """One of ``sin(x)``, ``sin x``, ``sine of x``."""
    minus: str = "-"
    space: str = " "
    backslash: str = ""
    dollars: bool = False
    ordinal: str = "to the fourth"
    """In words: ``to the fourth``, ``to the 4th`` or ``to the power of 4``."""


GOLD = Notation()
CODE = Notation(power="**", times="*", exp="exp(")
WORDS = {2: "squared", 3: "cubed"}
ORDINALS = {4: "fourth", 5: "fifth", 6: "sixth"}


def write_power(v: str, n: int, how: Notation) -> str:
    """``v`` to the n-th, n at least 1."""
    if n == 1:
        return v
    if how.power == "words":
        return f"{v} {WORDS[n]}" if n in WORDS else f"{v} " + how.ordinal.replace("fourth", ORDINALS[n]).replace("4", str(n))
    if how.power == "unicode":
        return v + "⁰¹²³⁴⁵⁶"[n]
    if how.power == "braces":
        return f"{v}^{{{n}}}"
    return f"{v}{how.power}{n}"


def write_multiple(k: int, v: str, how: Notation) -> str:
    """``kv`` as it stands inside a function call."""
    sign = how.minus if k < 0 else ""
    star = "*" if how.times == "*" else ""
    return sign + (v if abs(k) == 1 else f"{abs(k)}{star}{v}")


def write_exp(k: int, v: str, how: Notation) -> str:
    """The exponential of kv."""
    inner = write_multiple(k, v, how)
    match how.exp:
        case "exp(":
            return f"exp({inner})"
        case "words":
            return f"e to the {inner}"
        case "e^{":
            return f"e^{{{inner}}}" if k != 1 else f"e^{v}"
        case "e^":
            return f"e^{inner}"
        case "e**(":
            return f"e**({inner})" if k != 1 else f"e**{v}"
    return f"e^({inner})" if k != 1 else f"e^{v}"


def write_atom(atom: Atom, v: str, how: Notation) -> str:
    """One factor."""
    match atom:
        case ("pow", n):
            return write_power(v, n, how)
        case ("exp", k):
            return write_exp(k, v, how)
        case ("lin", a, b):
            return f"({write_sum([Term(a, (('pow', 1),)), Term(b)], v, replace(how, power='^') if how.power == 'words' else how)})"
        case (("sin" | "cos") as name, k):
            inner = write_multiple(k, v, how)
            if how.call == "sine of x":
                return f"{'sine' if name == 'sin' else 'cosine'} of {inner}"
            return how.backslash + (f"{name} {inner}" if how.call == "sin x" else f"{name}({inner})")
    raise ValueError(atom)


def write_term(term: Term, v: str, how: Notation) -> str:
    """A term without its sign."""
    size = abs(term.coef)
    factors = [write_atom(atom, v, how) for atom in term.atoms]
    if not factors:
        return str(size)
    number = "" if size == 1 else str(size) + how.times
    return number + how.factor_times.join(factors)


def write_sum(terms: Sequence[Term], v: str, how: Notation) -> str:
    """All terms, in the given order."""
    if not terms:
        return "0"
    plus, minus = (" plus ", " minus ") if how.power == "words" else (f"{how.space}+{how.space}", f"{how.space}{how.minus}{how.space}")
    text = (how.minus if terms[0].coef < 0 else "") + write_term(terms[0], v, how)
    for term in terms[1:]:
        text += (minus if term.coef < 0 else plus) + write_term(term, v, how)
    return text


def pick(rng: random.Random, **weights: float) -> str:
    """A key, by weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


def parenthesised(how: Notation) -> Notation:
    """The notation without e^2x, where what follows would make it ambiguous."""
    return replace(how, exp="e^(" if how.exp == "e^" else how.exp)


def choose_notation(rng: random.Random) -> Notation:
    """A student's way of writing; most write 3x^2 + 2x - 5."""
    base = Notation(
        exp=rng.choices(["e^(", "exp(", "e^{", "e^"], [70, 14, 9, 7])[0],
        call=rng.choices(["sin(x)", "sin x"], [78, 22])[0],
        factor_times=rng.choices(["*", " ", "", " * ", "\u00b7", "\u00d7"], [36, 24, 24, 8, 5, 3])[0],
        minus=rng.choices(["-", MINUS, "\u2013"], [93, 5, 2])[0],
        space=rng.choices([" ", ""], [76, 24])[0],
    )
    match pick(rng, plain=60, star=8, python=8, unicode=9, spaced=3, latex=7, words=5):
        case "star":
            return replace(parenthesised(base), times="*", factor_times=rng.choice(["*", " * "]), call="sin(x)")
        case "python":
            exp = rng.choice(["exp(", "e**("])
            return replace(base, power="**", times="*", factor_times="*", call="sin(x)", exp=exp, minus="-")
        case "unicode":
            return replace(base, power="unicode", minus=rng.choice(["-", MINUS]))
        case "spaced":
            return replace(base, times=" ", factor_times=" ")
        case "latex":
            power, times = rng.choice(["^", "braces"]), rng.choice([" ", " ", r" \cdot "])
            back, dollars = rng.choice(["\\", "\\", ""]), rng.random() < 0.85
            return replace(base, power=power, exp="e^{", factor_times=times, backslash=back, dollars=dollars, minus="-", space=" ")
        case "words":
            times = rng.choice(["", "", " ", " times "])
            call = rng.choice(["sin(x)", "sin x", "sine of x"])
            ordinal = rng.choice(["to the fourth", "to the 4th", "to the power of 4"])
            plain = replace(base, minus="-", space=" ", exp="words", call=call)
            return replace(plain, power="words", times=times, factor_times=" times ", ordinal=ordinal)
    return base


# ── functions ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def coefficient(rng: random.Random, top: int = 20) -> int:
    """A coefficient as in a textbook: small ones often, up to ``top`` at times."""
    roll = rng.random()
    if roll < 0.17:
        return 1
    return rng.randint(2, min(9, top)) if roll < 0.75 else rng.randint(2, top)


def signed(rng: random.Random, value: int, negative: float) -> int:
    """``value`` or, with that chance, its negative."""
    return -value if rng.random() < negative else value


def power_term(rng: random.Random, n: int, negative: float = 0.45) -> Term:
    """The term c x^n, or a constant for n = 0."""
    return Term(signed(rng, coefficient(rng), negative), (("pow", n),) if n else ())


def small(rng: random.Random, top: int) -> int:
    """A factor inside a function call; 1 about a third of the time."""
    return 1 if rng.random() < 0.3 else rng.randint(2, top)


def wave(rng: random.Random) -> Atom:
    """sin(kx) or cos(kx)."""
    return (rng.choice(["sin", "cos"]), small(rng, 9))


def growth(rng: random.Random) -> Atom:
    """e^(kx)."""
    return ("exp", signed(rng, small(rng, 8), 0.18))


def linear(rng: random.Random, top: int) -> Atom:
    """The factor ax + b, both not 0."""
    return ("lin", signed(rng, rng.choice([1, 1, *range(2, top + 1)]), 0.08), signed(rng, rng.randint(1, top + 1), 0.45))


def polynomial(rng: random.Random) -> list[Term]:
    """Two to five terms, degree two to six, natural order."""
    degree = rng.choices([2, 3, 4, 5, 6], [34, 28, 18, 11, 9])[0]
    count = min(degree + 1, rng.choices([2, 3, 4, 5], [26, 40, 22, 12])[0])
    lower = sorted(rng.sample(range(degree), count - 1), reverse=True)
    return [power_term(rng, degree, 0.12), *(power_term(rng, n) for n in lower)]


def mixed_sum(rng: random.Random) -> list[Term]:
    """Waves, growth and at most two powers, two to four terms."""
    atoms: list[Atom] = [wave(rng) if rng.random() < 0.65 else growth(rng) for _ in range(rng.choices([1, 2, 3], [45, 45, 10])[0])]
    atoms = list(dict.fromkeys(atoms))
    powers = rng.sample(range(7), 2 if len(atoms) == 1 and rng.random() < 0.4 else 1) if len(atoms) == 1 or rng.random() < 0.4 else []
    terms = [power_term(rng, n) for n in sorted(powers, reverse=True)]
    terms += [Term(signed(rng, coefficient(rng, 12), 0.4), (atom,)) for atom in atoms]
    if rng.random() < 0.5:
        rng.shuffle(terms)
    return terms


def product(rng: random.Random, *atoms: Atom) -> list[Term]:
    """One product, half of them without a number in front."""
    return [Term(signed(rng, 1 if rng.random() < 0.6 else rng.randint(2, 8), 0.1), atoms)]


def power_atom(rng: random.Random) -> Atom:
    """x^n as a factor; low powers are the common ones."""
    return ("pow", rng.choices([1, 2, 3, 4, 5], [34, 30, 18, 11, 7])[0])


def product_sum(rng: random.Random) -> list[Term]:
    """A product plus one simple term."""
    other = power_term(rng, rng.randint(0, 4)) if rng.random() < 0.7 else Term(signed(rng, coefficient(rng, 9), 0.4), (wave(rng),))
    return [*product(rng, power_atom(rng), wave(rng) if rng.random() < 0.6 else growth(rng)), other]


KINDS: dict[str, tuple[float, Callable[[random.Random], list[Term]]]] = {
    "constant": (1.2, lambda rng: [Term(signed(rng, rng.randint(1, 120), 0.25))]),
    "linear": (4, lambda rng: [power_term(rng, 1, 0.2), *([power_term(rng, 0)] if rng.random() < 0.75 else [])]),
    "monomial": (6, lambda rng: [power_term(rng, rng.randint(2, 6), 0.15)]),
    "polynomial": (40, polynomial),
    "trig": (6, lambda rng: [Term(signed(rng, coefficient(rng, 12), 0.15), (wave(rng),))]),
    "exponential": (4.5, lambda rng: [Term(signed(rng, coefficient(rng, 12), 0.15), (growth(rng),))]),
    "mixed_sum": (14, mixed_sum),
    "power_times_trig": (8, lambda rng: product(rng, power_atom(rng), wave(rng))),
    "power_times_exp": (6, lambda rng: product(rng, power_atom(rng), growth(rng))),
    "power_times_linear": (1.5, lambda rng: product(rng, ("pow", rng.choice([1, 1, 1, 2, 2, 3])), linear(rng, 7))),
    "linear_times_linear": (3.5, lambda rng: [Term(1, (linear(rng, 5), linear(rng, 5)))]),
    "linear_times_function": (3, lambda rng: [Term(1, (linear(rng, 7), wave(rng) if rng.random() < 0.6 else growth(rng)))]),
    "exp_times_trig": (3, lambda rng: product(rng, growth(rng), wave(rng))),
    "product_sum": (2.5, product_sum),
}
"""Kind -> (share of the rows, generator)."""


# ── prompts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

VARIABLES = "x" * 62 + "t" * 12 + "u" * 4 + "z" * 4 + "q" * 2 + "s" * 3 + "n" * 3 + "w" * 4 + "r" * 3 + "p" + "a" + "y"
LETTERS = "f" * 55 + "g" * 18 + "h" * 12 + "p" * 4 + "k" * 2 + "F" * 2 + "r" * 2 + "P" * 2 + "w"


@dataclass(frozen=True)
class Question:
    """A prompt and what it asks for."""

    prompt: str
    terms: tuple[Term, ...]
    """In the order shown."""
    variable: str
    phrasing: str
    """The prompt with its placeholders."""


def phrase_for(rng: random.Random, phrasings: Phrasings) -> tuple[str, str | None]:
    """A phrasing with its placeholders, and the variable it insists on."""
    match pick(rng, framed=42, sentence=50, application=8):
        case "framed":
            core = rng.choice(phrasings.verb_phrases)
            frame = rng.choice(phrasings.frames)
            return frame.replace("{core}", core).replace("{Core}", core[0].upper() + core[1:]), None
        case "application":
            return rng.choice(phrasings.applications)
    return rng.choice(phrasings.sentences), None


def with_typo(rng: random.Random, phrase: str) -> str:
    """Two letters of one long word swapped; placeholders stay whole."""
    words = phrase.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if long:
        i = rng.choice(long)
        at = rng.randrange(1, len(words[i]) - 2)
        words[i] = words[i][:at] + words[i][at + 1] + words[i][at] + words[i][at + 2 :]
    return " ".join(words)


def roughen(rng: random.Random, phrase: str) -> str:
    """As people type: small letters at the start, a typo, no full stop."""
    if rng.random() < 0.15 and phrase[0] not in "{(":
        phrase = phrase[0].lower() + phrase[1:]
    if rng.random() < 0.04:
        phrase = with_typo(rng, phrase)
    return phrase.rstrip(".?") if rng.random() < 0.12 else phrase


def with_named_function(rng: random.Random, phrase: str, how: Notation) -> str:
    """``{E}`` spelled out, ``=`` spaced as the writer does, dollars around the formula."""
    name = pick(rng, function=62, y=18, bare=20)
    phrase = phrase.replace("{E}", {"function": "{F}({v}) = {e}", "y": "y = {e}", "bare": "{e}"}[name])
    if how.dollars:
        formulas = [formula for formula in ("{F}({v}) = {e}", "y = {e}", "{e}") if formula in phrase]
        return phrase.replace(formulas[0], f"${formulas[0]}$")
    return phrase.replace(" = {e}", "={e}") if how.space == "" and rng.random() < 0.6 else phrase


def written(rng: random.Random, terms: Sequence[Term], v: str, how: Notation) -> tuple[tuple[Term, ...], str]:
    """The terms in the order shown, and their text; the factors of a product are at times the other way round."""
    shown = tuple(rng.sample(terms, len(terms)) if rng.random() < 0.18 else terms)
    if all(len(term.atoms) < 2 for term in shown):
        return shown, write_sum(shown, v, how)
    how = parenthesised(how)  # x*e^2x would be anyone's guess
    factors = {atom[0] for term in shown if len(term.atoms) > 1 for atom in term.atoms}
    if "lin" in factors and how.power != "words" and rng.random() < 0.75:
        how = replace(how, factor_times="")
    if "exp" in factors and "lin" not in factors:
        how = replace(how, factor_times=how.factor_times or " ")
    if how.power == "words" or rng.random() > 0.12:
        return shown, write_sum(shown, v, how)
    how = replace(how, call="sin(x)", factor_times=how.factor_times or "*")  # sin 3x * x would be, too
    return shown, write_sum([replace(term, atoms=term.atoms[::-1]) for term in shown], v, how)


def ask(rng: random.Random, terms: Sequence[Term], phrasings: Phrasings) -> Question:
    """One question about the function, in one student's words and notation."""
    phrase, fixed = phrase_for(rng, phrasings)
    phrase, how = roughen(rng, phrase), choose_notation(rng)
    text = with_named_function(rng, phrase, how)
    v = fixed or rng.choice(VARIABLES)
    if v == "y" and any(mark in text for mark in ("y =", "y=", "y'", "dy", "y is", "y equals")):
        v = "x"
    letter = rng.choice([c for c in LETTERS if c != v])
    shown, expression = written(rng, terms, v, how)
    prompt = text.replace("{F}", letter).replace("{v}", v).replace("{e}", expression)
    return Question(prompt, shown, v, phrase)


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

CAPS = {"train": 25, "validation": 5, "test": 3}
"""How many rows may be about the same function."""


def quotas(count: int) -> dict[str, int]:
    """Rows per kind, by the shares of ``KINDS``; rounding goes to the polynomials."""
    total = sum(share for share, _ in KINDS.values())
    result = {kind: round(count * share / total) for kind, (share, _) in KINDS.items()}
    result["polynomial"] += count - sum(result.values())
    return result


def questions(split: str, count: int, seed: int) -> list[tuple[str, Question]]:
    """(kind, question) of one split, shuffled; no prompt twice."""
    rng = random.Random(f"{split}-{seed}")
    found: list[tuple[str, Question]] = []
    prompts: set[str] = set()
    uses: Counter[str] = Counter()
    for kind, quota in quotas(count).items():
        generate, done = KINDS[kind][1], 0
        while done < quota:
            terms = generate(rng)
            key = split_key(terms)
            if split_of(key) != split or uses[key] >= CAPS[split]:
                continue
            question = ask(rng, terms, SPLITS[split])
            if question.prompt not in prompts:
                prompts.add(question.prompt)
                uses[key] += 1
                done += 1
                found.append((kind, question))
    rng.shuffle(found)
    return found


def completion(question: Question) -> str:
    """The answer as the model is to write it."""
    return write_sum(collected(derivative(question.terms)), question.variable, GOLD)


def row(split: str, number: int, kind: str, question: Question) -> dict[str, str]:
    """The JSON row of a question."""
    return {
        "id": f"calculus-{split}-{number:05d}",
        "prompt": question.prompt,
        "completion": completion(question),
        "expression": write_sum(question.terms, question.variable, CODE),
        "variable": question.variable,
        "kind": kind,
    }


def rows(split: str, count: int, seed: int) -> list[dict[str, str]]:
    """All rows of a split."""
    return [row(split, number, kind, question) for number, (kind, question) in enumerate(questions(split, count, seed))]


if __name__ == "__main__":
    run_data_script(__doc__, SIZES, rows)
