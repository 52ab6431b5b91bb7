"""Question and query builders: one function per intent, over one concrete schema.

A builder returns a ``Draft`` or raises ``Unfit`` when the schema has no column for it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import sql_phrasings as ph
from sql_asker import NUMBER_WORDS, Asker, Draft, Unfit, article, joined, plural, spaced
from sql_schemas import Column, Instance, literal


def select_columns(a: Asker) -> Draft:
    """Columns of all rows, or of some."""
    chosen, words, words_pl = a.columns()
    conds = a.conditions(0.75)
    return a.finish(
        "filter" if conds[0] else "select",
        a.fill(ph.frames("SELECT"), conds, C=words, Cs=words_pl),
        ", ".join(a.q(c) for c in chosen),
        conds[0],
    )


def select_all(a: Asker) -> Draft:
    """All columns."""
    conds = a.conditions(0.8)
    frames = ph.frames("SELECT_ALL")
    if not conds[0]:
        frames = ph.only(frames, lambda f: "column" in f or "field" in f or f == "Show all {P}{M}.")
    return a.finish("select_all", a.fill(frames, conds), "*" if not a.join else f"{a.table.name}.*", conds[0])


def which(a: Asker) -> Draft:
    """Which X do something: the naming column."""
    label = a.label()
    conds = a.conditions(1.0)
    return a.finish("filter", a.fill(ph.frames("WHICH"), conds), a.q(label), conds[0])


def count(a: Asker) -> Draft:
    """COUNT(*)."""
    conds = a.conditions(0.85)
    return a.finish("count", a.fill(ph.frames("COUNT"), conds), "COUNT(*)", conds[0])


def aggregate(a: Asker) -> Draft:
    """AVG, SUM, MIN, MAX or both extremes of one column."""
    roll = a.rng.choice(["AVG", "AVG", "SUM", "SUM", "MAX", "MIN", "MINMAX"])
    column = a.number(group="any" if roll in {"MAX", "MIN", "MINMAX"} else "")
    if roll == "SUM" and column.flavor in {"age", "rate", "score", "temp", "height", "speed"}:
        raise Unfit
    conds = a.conditions(0.6)
    name = a.q(column)
    frames = {
        "AVG": ph.frames("AVG"),
        "SUM": ph.frames("SUM"),
        "MAX": ph.frames("MAX"),
        "MIN": ph.frames("MIN"),
        "MINMAX": ph.frames("MINMAX"),
    }[roll]
    select = f"MIN({name}), MAX({name})" if roll == "MINMAX" else f"{roll}({name})"
    if column.name in conds[0] and a.rng.random() < 0.7:
        raise Unfit
    natural = ph.AGG_BY_FLAVOR.get(column.flavor, {}).get(roll)
    if roll == "SUM" and column.flavor == "price" and a.table.of("count"):
        natural = None  # "what do they cost together" would be price times pieces
    counted = a.word(column, counted=True)
    if natural and a.unique_in_group(column) and a.rng.random() < 0.45 and (column.flavor != "count" or counted.endswith("s")):
        question = a.fill(natural, conds, W=counted, a=article(a.table.singular))
        return a.finish("aggregate", question, select, conds[0])
    word = a.word(column, counted=roll == "SUM" and a.rng.random() < 0.4)
    return a.finish("aggregate", a.fill(frames, conds, W=word), select, conds[0])


def two_aggregates(a: Asker) -> Draft:
    """Two different aggregates in one row."""
    column = a.number()
    first, second = a.rng.sample(["AVG", "MIN", "MAX"] + (["SUM"] if column.flavor in {"count", "money", "price", "size"} else []), 2)
    conds = a.conditions(0.4)
    words = joined([a.rng.choice(ph.AGGREGATES[first]), a.rng.choice(ph.AGGREGATES[second])])
    frames: ph.Frames = (
        [
            "What are the {W} of {P}{M}?",
            "Show the {W} of all {P}{M}.",
            "{W} of the {P}{M}",
            "Give me {W} for {P}{M}.",
            "Find the {W} of the {P}{M}.",
            "I need the {W} of {P}{M}",
            "Compute {W} over all {P}{M}.",
            "Return the {W} for the {P}{M}",
            "get {W} of {P}{M}",
            "what is the {W} of {P}{M}",
        ],
        ["Report {W} of the {P}{M}.", "For the {P}{M}, what are the {W}?", "{P}{M}: {W}?"],
    )
    name = a.q(column)
    return a.finish("aggregate", a.fill(frames, conds, W=f"{words} {a.word(column)}"), f"{first}({name}), {second}({name})", conds[0])


def distinct(a: Asker) -> Draft:
    """SELECT DISTINCT."""
    column = a.category()
    conds = a.conditions(0.4, two=0)
    if column.name in conds[0]:
        raise Unfit
    word = a.word(column)
    return a.finish("distinct", a.fill(ph.frames("DISTINCT"), conds, W=word, Ws=plural(word)), f"DISTINCT {a.q(column)}", conds[0])


def count_distinct(a: Asker) -> Draft:
    """COUNT(DISTINCT)."""
    column = a.category()
    conds = a.conditions(0.35, two=0)
    if column.name in conds[0]:
        raise Unfit
    word = a.word(column)
    return a.finish(
        "count_distinct", a.fill(ph.frames("COUNT_DISTINCT"), conds, W=word, Ws=plural(word)), f"COUNT(DISTINCT {a.q(column)})", conds[0]
    )


def order(a: Asker) -> Draft:
    """ORDER BY over all or some rows."""
    chosen, words, words_pl = a.columns(a.rng.choice([1, 1, 2]))
    keys = a.table.numbers + a.table.of("date") + ([a.label()] if a.table.label and a.rng.random() < 0.5 else [])
    keys = [k for k in keys if not k.nullable]
    if not keys:
        raise Unfit
    key = a.rng.choice(keys)
    desc = a.rng.random() < 0.55
    conds = a.conditions(0.4, two=0.1)
    tail = f"ORDER BY {a.q(key)} {'DESC' if desc else 'ASC'}"
    select = ", ".join(a.q(c) for c in chosen)
    top, bottom = a.superlative(key, high=desc), a.superlative(key, high=not desc)
    if top and bottom and a.rng.random() < 0.35:
        return a.finish("order", a.fill(ph.frames("ORDER_ADJ"), conds, C=words, Cs=words_pl, hi=top, lo=bottom), select, conds[0], tail)
    style = "text_" if key.flavor in {"label", "person"} else "time_" if key.flavor in {"year", "date"} else ""
    direction = a.pick(ph.DIRECTIONS[style + ("desc" if desc else "asc")])
    return a.finish("order", a.fill(ph.frames("ORDER"), conds, C=words, Cs=words_pl, W=a.word(key), dir=direction), select, conds[0], tail)


def _extreme_key(a: Asker) -> tuple[Column, bool]:
    keys = [c for c in a.table.numbers + a.table.of("date") if not c.nullable]
    if not keys:
        raise Unfit
    return a.rng.choice(keys), a.rng.random() < 0.6


def top_n(a: Asker) -> Draft:
    """The n largest or smallest."""
    label = a.label()
    key, high = _extreme_key(a)
    n = a.rng.choice([2, 3, 3, 3, 4, 5, 5])
    shown = NUMBER_WORDS[n] if a.rng.random() < 0.4 else str(n)
    conds = a.conditions(0.35, two=0.15)
    word = a.superlative(key, high=high)
    if word and a.rng.random() < 0.65:
        question = a.fill(ph.frames("TOP_N"), conds, n=shown, hi=word)
    elif key.flavor in {"date", "year", "birth"}:
        raise Unfit
    else:
        question = a.fill(ph.frames("TOP_N_BY") if high else ph.frames("BOTTOM_N_BY"), conds, n=shown, W=a.word(key, counted=False))
    select = a.q(label)
    if a.rng.random() < 0.15:
        select += f", {a.q(key)}"
        question = question.rstrip(".?") + a.rng.choice(
            [f", with their {a.word(key)}", f" and their {a.word(key)}"] if a.side == 0 else [f", plus the {a.word(key)}"]
        )
    return a.finish("top_n", question, select, conds[0], f"ORDER BY {a.q(key)} {'DESC' if high else 'ASC'} LIMIT {n}")


def superlative(a: Asker) -> Draft:
    """The single largest or smallest."""
    label = a.label()
    key, high = _extreme_key(a)
    conds = a.conditions(0.35, two=0.15)
    word = a.superlative(key, high=high)
    if key.name in conds[0]:
        raise Unfit
    natural = ph.SUPER_BY_FLAVOR.get(key.flavor, {}).get("hi" if high else "lo")
    counted = a.word(key, counted=True)
    if natural and a.unique_in_group(key) and a.rng.random() < 0.35 and (key.flavor != "count" or counted.endswith("s")):
        question = a.fill(natural, conds, W=counted)
        return a.finish("superlative", question, a.q(label), conds[0], f"ORDER BY {a.q(key)} {'DESC' if high else 'ASC'} LIMIT 1")
    select = a.q(label)
    if word and a.rng.random() < 0.25:
        others = [c for c in a.table.columns if c.flavor not in {"label", "person", "fk", "bool"}]
        second = key if a.rng.random() < 0.6 else a.rng.choice(others)
        select = f"{select}, {a.q(second)}"
        question = a.fill(ph.frames("SUPER_TWO"), conds, hi=word, C=f"{a.rng.choice(label.words)} and {a.word(second)}")
    elif word and a.rng.random() < 0.12:
        others = [c for c in a.table.columns if c.flavor not in {"label", "person", "fk", "bool"} and c is not key]
        if not others:
            raise Unfit
        column = a.rng.choice(others)
        select = a.q(column)
        frames: ph.Frames = (
            [
                "What is the {W} of the {hi} {S}{M}?",
                "{W} of the {hi} {S}{M}",
                "Find the {W} of the {hi} {S}{M}.",
                "Which {W} does the {hi} {S}{M} have?",
                "Show the {W} of the {hi} {S}{M}",
                "Give me the {W} of the {hi} {S}{M}.",
                "what {W} does the {hi} {S}{M} have",
                "Return the {W} for the {hi} {S}{M}.",
            ],
            ["For the {hi} {S}{M}, what is the {W}?", "Print the {W} that the {hi} {S}{M} has."],
        )
        question = a.fill(frames, conds, hi=word, W=a.word(column))
    elif word and a.rng.random() < 0.7:
        question = a.fill(ph.frames("SUPER"), conds, hi=word)
    elif key.flavor in {"date", "year", "birth"}:
        raise Unfit
    else:
        frames = ph.frames("SUPER_HI") if high else ph.frames("SUPER_LO")
        if key.flavor != "count":
            frames = ph.only(frames, lambda f: "most {W}" not in f and "least {W}" not in f)
        question = a.fill(frames, conds, W=a.word(key, counted=False))
    return a.finish("superlative", question, select, conds[0], f"ORDER BY {a.q(key)} {'DESC' if high else 'ASC'} LIMIT 1")


def _group(a: Asker) -> tuple[str, str, str]:
    """What to group by: its column reference, words and plural words. In joins it is the parent's name."""
    if a.join:
        parent = a.parent
        found = [c for c in parent.of("cat") if not c.nullable]
        if found and a.rng.random() < 0.3:
            column = a.rng.choice(found)
            word = a.word(column)
            word = word if parent.singular in word else f"{parent.singular} {word}"
            return a.q(column, parent), word, plural(word)
        return a.q(a.label(parent), parent), parent.singular, a.rng.choice(parent.plurals)
    column = a.category()
    word = a.word(column)
    return a.q(column), word, plural(word)


def _group_conditions(a: Asker, name: str, chance: float) -> tuple[str, str, str, str | None]:
    if a.rng.random() >= chance:
        return "", "", "", None
    found = a.condition()
    if name in found.sql:
        raise Unfit
    return found.sql, found.pre, f" {found.post}" if found.post else "", None


def group_count(a: Asker) -> Draft:
    """COUNT(*) per group."""
    name, word, words = _group(a)
    conds = _group_conditions(a, name, 0.2)
    question, tail = a.fill(ph.frames("GROUP_COUNT"), conds, W=word, Ws=words), f"GROUP BY {name}"
    if a.rng.random() < 0.15:
        desc = a.rng.random() < 0.7
        tail += f" ORDER BY COUNT(*) {'DESC' if desc else 'ASC'}"
        extra = (
            [[", most first", ", largest count first", ", sorted by the count descending"], [", starting with the biggest count"]]
            if desc
            else [[", fewest first", ", smallest count first", ", sorted by the count ascending"], [", starting with the smallest count"]]
        )
        question = question.rstrip(".?") + a.rng.choice(extra[a.side])
    return a.finish("group_count", question, f"{name}, COUNT(*)", conds[0], tail)


def group_aggregate(a: Asker) -> Draft:
    """AVG, SUM, MIN or MAX per group."""
    name, word, words = _group(a)
    agg = a.rng.choice(["AVG", "AVG", "SUM", "MAX", "MIN"])
    column = a.number()
    if agg == "SUM" and column.flavor in {"age", "rate", "score", "temp", "height", "speed"}:
        agg = "AVG"
    conds = _group_conditions(a, name, 0.15)
    frames = ph.frames("GROUP_AGG")
    if conds[0]:
        frames = ph.only(frames, lambda f: "{M}" in f)
    question = a.fill(frames, conds, W=word, Ws=words, X=a.word(column), agg=a.rng.choice(ph.AGGREGATES[agg]))
    tail = f"GROUP BY {name}"
    if a.rng.random() < 0.12:
        desc = a.rng.random() < 0.7
        tail += f" ORDER BY {agg}({a.q(column)}) {'DESC' if desc else 'ASC'}"
        extra = (
            [[", highest first", ", from highest to lowest"], [", starting with the highest"]]
            if desc
            else [[", lowest first", ", from lowest to highest"], [", starting with the lowest"]]
        )
        question = question.rstrip(".?") + a.rng.choice(extra[a.side])
    return a.finish("group_aggregate", question, f"{name}, {agg}({a.q(column)})", conds[0], tail)


def group_top(a: Asker) -> Draft:
    """The group with the most rows, or the highest aggregate."""
    name, word, words = _group(a)
    if a.rng.random() < 0.55:
        if a.join:
            frames = ph.only(ph.frames("GROUP_TOP"), lambda f: any(w in f for w in ("{W} has", "{W} with", "{W} that", "{W} having")))
        else:
            frames = ph.frames("GROUP_TOP")
        if a.rng.random() < 0.2:
            fewest: ph.Frames = (
                [
                    "Which {W} has the fewest {P}?",
                    "{W} with the fewest {P}",
                    "Find the {W} with the smallest number of {P}.",
                    "Which {W} has the least {P}?",
                    "Show the {W} that has the fewest {P}.",
                ],
                ["Name the {W} having the smallest number of {P}.", "lowest number of {P}: which {W}?"],
            )
            return a.finish("group_top", a.fill(fewest, W=word, Ws=words), name, "", f"GROUP BY {name} ORDER BY COUNT(*) ASC LIMIT 1")
        return a.finish("group_top", a.fill(frames, W=word, Ws=words), name, "", f"GROUP BY {name} ORDER BY COUNT(*) DESC LIMIT 1")
    agg = a.rng.choice(["AVG", "AVG", "SUM"])
    column = a.number()
    if agg == "SUM" and column.flavor in {"age", "rate", "score", "temp", "height", "speed"}:
        agg = "AVG"
    high = a.rng.random() < 0.65
    question = a.fill(
        ph.frames("GROUP_TOP_AGG"),
        W=word,
        Ws=words,
        X=a.word(column),
        agg=a.rng.choice(["average", "average", "mean"] if agg == "AVG" else ["total"]),
        dir="highest" if high else "lowest",
    )
    return a.finish("group_top", question, name, "", f"GROUP BY {name} ORDER BY {agg}({a.q(column)}) {'DESC' if high else 'ASC'} LIMIT 1")


def having(a: Asker) -> Draft:
    """Groups filtered by their size or by an aggregate."""
    name, word, words = _group(a)
    tail = f"GROUP BY {name} HAVING "
    if a.rng.random() < 0.6:
        op = a.rng.choice([">", ">", ">", ">=", ">=", "<", "<=", "="])
        n = a.rng.choice([1, 2, 2, 3, 3, 4]) if op not in {"<", "="} else a.rng.choice([2, 3, 4])
        shown = NUMBER_WORDS.get(n, "one") if a.rng.random() < 0.3 else str(n)
        compare = a.pick(ph.COMPARISONS[op])
        question = a.fill(ph.frames("HAVING"), W=word, Ws=words, cmp=compare, n=shown)
        if n == 1:
            question = question.replace(f"{shown} {a.noun}", f"{shown} {a.table.singular}")
        return a.finish("having", question, name, "", tail + f"COUNT(*) {op} {n}")
    column = a.number()
    values = sorted(v for v in a.values(column) if isinstance(v, int | float))
    agg, op = a.rng.choice(["AVG", "AVG", "SUM", "MAX", "MIN"]), a.rng.choice([">", ">", "<"])
    if agg == "SUM" and column.flavor in {"age", "rate", "score", "temp", "height", "speed"}:
        agg = "AVG"
    value = values[len(values) // 2 + a.rng.choice([-1, 0, 1])]
    value = value * 2 if agg == "SUM" else value
    value = round(value, 1) if isinstance(value, float) else value
    words_agg = {"AVG": ["average"], "SUM": ["overall", "total"], "MAX": ["maximum"], "MIN": ["minimum"]}[agg]
    compare = a.rng.choice(
        {
            ">": ["above", "over", "greater than", "of more than", "higher than"],
            "<": ["below", "under", "less than", "of less than", "lower than"],
        }[op]
    )
    question = a.fill(
        ph.frames("HAVING_AGG"), W=word, Ws=words, X=a.word(column), agg=a.rng.choice(words_agg), cmp=compare, n=a.mark(value, column)
    )
    question = (
        re.sub(r"\ban (?=total|max|min)", "a ", question).replace("is of ", "is ").replace("lie of", "lie at").replace("out of", "out at")
    )
    return a.finish("having", question, name, "", tail + f"{agg}({a.q(column)}) {op} {literal(value)}")


def above_average(a: Asker) -> Draft:
    """Rows above or below the average of all."""
    column = a.number()
    high = a.rng.random() < 0.7
    side = (
        a.rng.choice(["above", "above", "over"] if high else ["below", "below", "under"]) if a.side == 0 else ("above" if high else "below")
    )
    word = a.word(column)
    name, counting = column.name, a.rng.random() < 0.25
    where = f"{name} {'>' if high else '<'} (SELECT AVG({name}) FROM {a.table.name})"
    if not counting:
        label = a.label()
        question = a.fill(ph.frames("ABOVE_AVG"), W=word, a=article(word), side=side)
        adjectives = {
            "price": ("more expensive", "cheaper"),
            "age": ("older", "younger"),
            "weight": ("heavier", "lighter"),
            "length": ("longer", "shorter"),
            "height": ("taller", "shorter"),
            "speed": ("faster", "slower"),
        }
        if column.flavor in adjectives and a.unique_in_group(column) and a.rng.random() < 0.4:
            adjective = adjectives[column.flavor][0 if high else 1]
            frames: ph.Frames = (
                [
                    "Which {P} are {adj} than average?",
                    "Which {P} are {adj} than the average {S}?",
                    "{P} {adj} than average",
                    "List the {Ls} of {P} that are {adj} than average.",
                    "Find {P} which are {adj} than the average.",
                    "what {P} are {adj} than the average {S}",
                ],
                ["Name the {P} being {adj} than the average one.", "{adj} than average: which {P}?"],
            )
            question = a.fill(frames, adj=adjective)
        return a.finish("above_average", question, label.name, where)
    return a.finish("above_average", a.fill(ph.frames("COUNT_ABOVE_AVG"), W=word, a=article(word), side=side), "COUNT(*)", where)


def lookup(a: Asker) -> Draft:
    """A fact about one named row."""
    label = a.label()
    others = [c for c in a.table.columns if c.flavor not in {"label", "person", "fk", "bool"}]
    value = a.rng.choice(a.values(label))
    if not others:
        raise Unfit
    column = a.rng.choice(others)
    where, select = f"{label.name} = {literal(value)}", column.name
    marked = a.mark(value, label)
    by_flavor = ph.LOOKUP_BY_FLAVOR.get(column.flavor)
    if by_flavor and not column.participle:
        by_flavor = ph.only(by_flavor, lambda f: "{ed}" not in f)
    if len(others) > 1 and a.rng.random() < 0.2:
        second = a.rng.choice([c for c in others if c is not column])
        words = f"{a.word(column)} and {a.word(second)}"
        frames = ph.only(ph.frames("LOOKUP"), lambda f: "does {v}" not in f)
        return a.finish(
            "lookup",
            a.fill(frames, W=words, v=marked).replace("What is the", "What are the").replace("what is the", "what are the"),
            f"{select}, {second.name}",
            where,
        )
    if by_flavor and a.unique_in_group(column) and a.rng.random() < 0.6 and all(by_flavor):
        plain = a.word(column, counted=True)
        if column.flavor != "count" or plain.endswith("s"):
            question = a.pick(by_flavor).format(v=marked, W=plain, ed=a.rng.choice(column.participle or ("",)))
            return a.finish("lookup", question, select, where)
    return a.finish("lookup", a.fill(ph.frames("LOOKUP"), W=a.word(column), v=marked), select, where)


# --- two tables ------------------------------------------------------------------------------------------------------------------


def group_two(a: Asker) -> Draft:
    """Count and an aggregate, or two aggregates, per group."""
    name, word, words = _group(a)
    column = a.number()
    first, second = a.rng.sample(["COUNT", "COUNT", "AVG", "MIN", "MAX"], 2)
    if first == second:
        second = "AVG"
    shown = {c: "COUNT(*)" if c == "COUNT" else f"{c}({a.q(column)})" for c in (first, second)}
    spoken = [f"number of {a.noun}" if c == "COUNT" else f"{a.rng.choice(ph.AGGREGATES[c])} {a.word(column)}" for c in (first, second)]
    question = a.fill(ph.frames("GROUP_TWO"), W=word, Ws=words, X=joined(spoken))
    return a.finish("group_two", question, f"{name}, {shown[first]}, {shown[second]}", "", f"GROUP BY {name}")


def group_top_n(a: Asker) -> Draft:
    """The n groups with most rows or the highest aggregate."""
    name, word, words = _group(a)
    n = a.rng.choice([2, 2, 3, 3])
    shown = NUMBER_WORDS[n] if a.rng.random() < 0.4 else str(n)
    measure, spoken = "COUNT(*)", f"number of {a.noun}"
    if a.rng.random() < 0.5:
        column = a.number()
        measure, spoken = f"AVG({a.q(column)})", f"average {a.word(column)}"
        if column.flavor in {"money", "count", "price"} and a.rng.random() < 0.5:
            measure, spoken = f"SUM({a.q(column)})", f"total {a.word(column)}"
    return a.finish(
        "group_top",
        a.fill(ph.frames("GROUP_TOP_N"), W=word, Ws=words, X=spoken, n=shown),
        name,
        "",
        f"GROUP BY {name} ORDER BY {measure} DESC LIMIT {n}",
    )


def second_place(a: Asker) -> Draft:
    """The second or third in an order."""
    label = a.label()
    key, high = _extreme_key(a)
    skip = a.rng.choice([1, 1, 2])
    word = a.superlative(key, high=high)
    if not word or (" " in word and word != "most expensive"):
        raise Unfit
    place = {1: "second", 2: "third"}[skip]
    conds = a.conditions(0.15, two=0)
    return a.finish(
        "nth",
        a.fill(ph.frames("SUPER"), conds, hi=f"{place} {word}"),
        a.q(label),
        conds[0],
        f"ORDER BY {a.q(key)} {'DESC' if high else 'ASC'} LIMIT 1 OFFSET {skip}",
    )


def product_sum(a: Asker) -> Draft:
    """The sum of a product of two columns."""
    prices, counts = a.table.of("price"), a.table.of("count")
    if not prices or not counts:
        raise Unfit
    price, number = a.rng.choice(prices), a.rng.choice(counts)
    conds = a.conditions(0.3, two=0)
    question = a.fill(ph.frames("PRODUCT_SUM"), conds, W=a.word(price), X=a.word(number, counted=True))
    return a.finish("expression", question, f"SUM({a.q(price)} * {a.q(number)})", conds[0])


def _joined(builder: Callable[[Asker], Draft]) -> Callable[[Asker], Draft]:
    def build(a: Asker) -> Draft:
        a.use_child(join=True)
        return builder(a)

    return build


def join_list(a: Asker) -> Draft:
    """Each row with its parent's name, or another parent column."""
    a.use_child(join=True)
    label, target = a.label(), a.label(a.parent)
    others = [c for c in a.parent.columns if c.flavor not in {"label", "person", "bool", "fk"}]
    if others and a.rng.random() < 0.35:
        target = a.rng.choice(others)
    conds: tuple[str, str, str, str | None] = ("", "", "", None)
    if a.rng.random() < 0.35:
        found = a.condition()
        conds = (found.sql, found.pre, f" {found.post}" if found.post else "", None)
    word = a.word(target)
    frames = ph.frames("JOIN_LIST")
    if conds[0]:
        frames = ph.only(frames, lambda f: "{M}" in f)
    question = a.fill(frames, conds, PL=word, PLs=plural(word) if not word.startswith("number of") else word)
    return a.finish("join_list", question, f"{a.q(label)}, {a.q(target, a.parent)}", conds[0])


def join_left_count(a: Asker) -> Draft:
    """Rows per parent, with a zero for parents that have none."""
    a.use_child(join=True)
    parent, child, link = a.parent, a.table, a.instance.link
    if link is None or not child.pk:
        raise Unfit
    question, name = a.fill(ph.frames("LEFT_COUNT")), a.q(a.label(parent), parent)
    source = f"{parent.name} LEFT JOIN {child.name} ON {child.name}.{link.name} = {parent.name}.{parent.pk}"
    counted = a.q(child.pk, child)
    return Draft(question, spaced(f"SELECT {name}, COUNT({counted}) FROM {source} GROUP BY {name}"), "left_count", source)


def join_lookup(a: Asker) -> Draft:
    """The parent of one named row, or a fact about that parent."""
    a.use_child(join=True)
    label, parent = a.label(), a.parent
    value = a.rng.choice(a.values(label))
    target = a.label(parent)
    others = [c for c in parent.columns if c.flavor not in {"label", "person", "bool", "fk"}]
    marked = a.mark(value, label)
    if others and a.rng.random() < 0.45:
        target = a.rng.choice(others)
        frames: ph.Frames = (
            [
                "What is the {W} of the {PS} of {v}?",
                "{W} of {v}'s {PS}",
                "Find the {W} of the {PS} that {v} belongs to.",
                "Which {W} does the {PS} of {v} have?",
                "Show the {PS} {W} for {v}.",
                "What is the {PS}'s {W} for the {S} {v}?",
                "what {W} has the {PS} of {v}",
                "Give me the {W} of the {PS} for {v}.",
            ],
            ["For {v}, what {W} does the {PS} have?", "Look at the {PS} of {v}: what is its {W}?"],
        )
        question = a.fill(frames, W=a.word(target), v=marked)
    else:
        frames = (
            [
                "Which {PS} does {v} belong to?",
                "What is the {PL} of the {PS} of {v}?",
                "{PS} of {v}",
                "Find the {PS} of {v}.",
                "What is {v}'s {PS}?",
                "Show the {PS} {PL} for {v}.",
                "Which is the {PS} of {v}?",
                "Return the {PL} of {v}'s {PS}",
                "which {PS} is {v} linked to",
                "Tell me the {PS} of the {S} {v}.",
            ],
            ["To which {PS} is {v} assigned?", "Name the {PS} that goes with {v}."],
        )
        question = a.fill(frames, v=marked)
    return a.finish("join_lookup", question, a.q(target, parent), f"{a.q(label)} = {literal(value)}")


def join_super(a: Asker) -> Draft:
    """The parent of the largest or smallest row."""
    a.use_child(join=True)
    key, high = _extreme_key(a)
    word, parent = a.superlative(key, high=high), a.parent
    if not word:
        word = f"{'highest' if high else 'lowest'}-{a.word(key).replace(' ', '-')}"
        raise Unfit
    frames: ph.Frames = (
        [
            "Which {PS} has the {hi} {S}?",
            "What is the {PL} of the {PS} with the {hi} {S}?",
            "{PS} of the {hi} {S}",
            "Find the {PS} of the {hi} {S}.",
            "Which {PS} does the {hi} {S} belong to?",
            "Show the {PL} of the {PS} that has the {hi} {S}.",
            "what {PS} has the {hi} {S}",
            "To which {PS} does the {hi} {S} belong?",
        ],
        ["The {hi} {S} goes with which {PS}?", "Name the {PS} having the {hi} {S}."],
    )
    return a.finish(
        "join_super", a.fill(frames, hi=word), a.q(a.label(parent), parent), "", f"ORDER BY {a.q(key)} {'DESC' if high else 'ASC'} LIMIT 1"
    )


def no_match(a: Asker) -> Draft:
    """Parents without children."""
    a.use_child(join=False)
    parent, link = a.parent, a.instance.link
    if link is None:
        raise Unfit
    where = f"{parent.pk} NOT IN (SELECT {link.name} FROM {a.table.name})"
    counting = a.rng.random() < 0.25
    question = a.fill(ph.frames("COUNT_NO_MATCH") if counting else ph.frames("NO_MATCH"))
    label = a.label(parent)
    a.table = parent
    return a.finish("no_match", question, "COUNT(*)" if counting else label.name, where)


def with_match(a: Asker) -> Draft:
    """Distinct parents that have children, maybe of some kind."""
    a.use_child(join=True)
    conds: tuple[str, str, str, str | None] = ("", "", "", None)
    if a.rng.random() < 0.8:
        found = a.condition()
        conds = (found.sql, found.pre, f" {found.post}" if found.post else "", None)
    return a.finish("join_distinct", a.fill(ph.frames("WITH_MATCH"), conds), f"DISTINCT {a.q(a.label(a.parent), a.parent)}", conds[0])


SINGLE: list[tuple[Callable[[Asker], Draft], float]] = [
    (select_columns, 14),
    (select_all, 4),
    (which, 11),
    (count, 10),
    (aggregate, 11),
    (two_aggregates, 2),
    (distinct, 4),
    (count_distinct, 4),
    (order, 8),
    (top_n, 8),
    (superlative, 10),
    (group_count, 8),
    (group_aggregate, 7),
    (group_top, 6),
    (having, 6),
    (above_average, 4),
    (lookup, 9),
    (group_two, 3),
    (group_top_n, 2),
    (second_place, 4),
    (product_sum, 4),
]
DOUBLE: list[tuple[Callable[[Asker], Draft], float]] = [
    (_joined(select_columns), 9),
    (_joined(which), 7),
    (_joined(count), 8),
    (_joined(aggregate), 6),
    (_joined(order), 3),
    (_joined(top_n), 2),
    (_joined(superlative), 4),
    (_joined(group_count), 9),
    (_joined(group_aggregate), 8),
    (_joined(group_top), 8),
    (_joined(having), 6),
    (join_list, 6),
    (join_lookup, 6),
    (join_super, 3),
    (no_match, 9),
    (with_match, 4),
    (join_left_count, 3),
    (_joined(group_two), 3),
    (_joined(group_top_n), 3),
]


def ask(instance: Instance, rng: random.Random, *, held: bool) -> Draft:
    """One question for this schema.

    Raises:
        Unfit: the drawn intent does not fit; draw again.

    """
    asker = Asker(instance, rng, held=held)
    intents = DOUBLE if instance.parent and rng.random() < 0.75 else SINGLE
    builder = rng.choices([b for b, _ in intents], [w for _, w in intents])[0]
    return builder(asker)
