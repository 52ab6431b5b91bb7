"""Made-up records of the further rows: two or three values of one kind, and only the words beside them tell which is whose."""

from __future__ import annotations

import random

from json_records import Entry, Field

ROLES = {
    "person": "sender recipient buyer seller teacher pupil author editor driver passenger keeper visitor doctor patient uncle nephew "
    "captain mate mayor deputy painter sitter witness suspect giver taker lender borrower tutor trainer rival partner guard "
    "prisoner founder heir soprano accompanist bowler batter bride groom north south east west home away upper lower outgoing "
    "incoming first second senior junior",
    "first": "winner runner_up caller callee writer reader cook taster older younger taller shorter goalkeeper striker tall_one "
    "short_one finder loser singer drummer baker customer cyclist walker outside inside day_shift night_shift morning evening "
    "odd even",
    "place": "origin target birthplace residence departure arrival capital harbour upstream downstream old_site new_site stopover "
    "terminus winter_home summer_home twin_town suburb market_town seat branch northern southern",
    "company": "supplier client manufacturer dealer insurer insured tenant_firm owner_firm publisher printer_firm parent subsidiary "
    "auditor audited contractor subcontractor brewer taproom importer exporter",
    "title": "original sequel opener encore a_side b_side novel film_version old_title new_title matinee late_show prologue finale",
    "int": "minimum maximum before after adults children wins losses stock sold ordered delivered left_count right_count doors "
    "windows odd_ones even_ones sheep goats forks knives",
    "code": "old_code new_code outer inner left_tag right_tag lid crate primary spare top_shelf bottom_shelf",
}
"""Roles that values of a kind may have; none of them is a key of the test's records."""

ARGUMENTS = {"int": "2 900", "code": "??-###"}

SAID = (
    "{v} ({r})",
    "{v} ({r})",
    "{v}, {r}",
    "{r}: {v}",
    "{r} {v}",
    "{v} as {r}",
    "the {r} is {v}",
    "{v} is the {r}",
    "{v} [{r}]",
    "{r} = {v}",
    "{v} - {r}",
    "{v} for {r}",
)
"""How a text says one value and its role."""
GLUE = (" and ", ", ", "; ", " against ", " / ", " with ", "\n", " - ", ", then ")
"""What stands between two of them."""
FRAMES = (
    "{}",
    "{}.",
    "{} today",
    "Noted: {}",
    "We have {}.",
    "It says {}.",
    "Entry of Monday: {}",
    "{}, that is all",
    "So far {}.",
    "List: {}",
)


def roles(rng: random.Random) -> Entry:
    """Fields of one kind with roles for names; the texts name the roles in orders and forms of their own."""
    kind = rng.choice(list(ROLES))
    keys = rng.sample(ROLES[kind].split(), rng.choice((2, 2, 2, 3)))
    fields = tuple(Field((key,), kind, ARGUMENTS.get(kind, "")) for key in keys)
    texts = []
    for _ in range(4):
        form, glue, frame = rng.choice(SAID), rng.choice(GLUE), rng.choice(FRAMES)
        while (", " in glue and ", {r}" in form) or (" - " in glue and " - " in form):
            glue = rng.choice(GLUE)
        said = [form.replace("{v}", "{" + key + "}").replace("{r}", key.replace("_", " ")) for key in rng.sample(keys, len(keys))]
        texts.append(frame.replace("{}", glue.join(said)))
    return Entry("roles", fields, tuple(texts))
