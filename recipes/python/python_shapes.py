"""What a function of the python recipe does with its items: docstrings, code and names.

In docstrings ``{NP}`` is "even numbers", ``{np}`` "even number", ``{a_np}`` the same with its article, ``{IS}`` "is even", ``{place}``
"in numbers"; ``{of}`` "the square of", ``{its}`` "its square", ``{item}`` "number". In code ``{P}`` is the condition, ``{Q}`` its opposite,
``{M}`` the change, ``{items}`` the source.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """One way to use items."""

    key: str
    names: str
    """``{c}`` is the condition's key, ``{m}`` the change's, ``{s}`` the source's."""
    train: str
    held: str
    code: str
    needs: str
    """``c``: a condition, ``m``: a change."""
    only: str = ""
    """Keys of the sources it fits; all if empty."""
    hint: str = ""
    """Type of the result."""


LISTS = "numbers strings text range digits values"

SHAPES = (
    Shape(
        "filter",
        "{c}_{s}|keep_{c}|only_{c}|get_{c}|filter_{c}",
        """Return the {NP} {place}.
        Return a list of the {NP} {place}.
        Return all {NP} {place}, in order.
        Keep only the {NP} {place}.""",
        """Pick out the {NP} {place} and return them as a list.
        Give back a list with just the {NP} {place}.""",
        "return [x for x in {items} if {P}]",
        "c",
        LISTS,
        "list",
    ),
    Shape(
        "remove",
        "remove_{c}|drop_{c}|without_{c}",
        """Remove the {NP} {place}; return the rest as a list.
        Return all {nouns} {place} but the {NP}.
        Return a list of the {nouns} {place} without the {NP}.""",
        """Leave out the {NP} {place} and return a list of what remains.""",
        "return [x for x in {items} if {Q}]",
        "c",
        LISTS,
        "list",
    ),
    Shape(
        "join",
        "keep_{c}|only_{c}|{c}_of",
        """Return a string of the {NP} {place}.
        Keep only the {NP} {place} and return them as a string.
        Return the {NP} {place} joined to a string.""",
        """Pick out the {NP} {place} and return them as one string.""",
        "return ''.join(x for x in {items} if {P})",
        "c",
        "chars",
        "str",
    ),
    Shape(
        "strip",
        "remove_{c}|drop_{c}|without_{c}",
        """Return {p} without its {NP}.
        Remove the {NP} from {p}.
        Delete all {NP} {place} and return the new string.""",
        """Leave out the {NP} {place} and return the string that remains.""",
        "return ''.join(x for x in {items} if {Q})",
        "c",
        "chars",
        "str",
    ),
    Shape(
        "mask",
        "mask_{c}|hide_{c}|replace_{c}",
        """Return {p} with each {np} replaced by '*'.
        Replace the {NP} {place} with '*'.""",
        """Put a '*' in the place of every {np} {place} and return the string.""",
        "return ''.join('*' if {P} else x for x in {items})",
        "c",
        "chars",
        "str",
    ),
    Shape(
        "count",
        "count_{c}|number_of_{c}|num_{c}",
        """Return the number of {NP} {place}.
        Return how many {NP} there are {place}.
        Count the {NP} {place}.""",
        """How many {NP} are {place}?
        Tell the quantity of {NP} {place}.""",
        "return sum(1 for x in {items} if {P})",
        "c",
        "",
        "int",
    ),
    Shape(
        "total",
        "sum_{c}|total_{c}|add_{c}",
        """Return the sum of the {NP} {place}.
        Add up the {NP} {place}.
        Return the total of all {NP} {place}.""",
        """Compute what the {NP} {place} add up to.""",
        "return sum(x for x in {items} if {P})",
        "c",
        "numbers range digits values",
        "int",
    ),
    Shape(
        "any",
        "has_{c}|any_{c}|contains_{c}",
        """Return True if any {item} {place} {IS}.
        Check whether there is {a_np} {place}.
        Return whether at least one {item} {place} {IS}.""",
        """Tell whether {a_np} can be found {place}.""",
        "return any({P} for x in {items})",
        "c",
        "",
        "bool",
    ),
    Shape(
        "all",
        "all_{c}|only_{c}|are_all_{c}",
        """Return True if all {nouns} {place} {ARE}.
        Check whether every {item} {place} {IS}.
        Return True if each {item} {place} {IS}, and False otherwise.""",
        """Tell whether all of the {nouns} {place} {ARE}.""",
        "return all({P} for x in {items})",
        "c",
        "",
        "bool",
    ),
    Shape(
        "none",
        "no_{c}|none_{c}|lacks_{c}",
        """Return True if no {item} {place} {IS}.
        Check that there are no {NP} {place}.""",
        """Tell whether not a single {item} {place} {IS}.""",
        "return not any({P} for x in {items})",
        "c",
        "",
        "bool",
    ),
    Shape(
        "first",
        "first_{c}|find_{c}",
        """Return the first {np} {place}, or None if there is none.
        Find the first {np} {place}; return None if there is no such {item}.""",
        """Return whichever {np} {place} comes first, None without one.""",
        "return next((x for x in {items} if {P}), None)",
        "c",
        "numbers strings text chars",
    ),
    Shape(
        "last",
        "last_{c}|final_{c}",
        """Return the last {np} {place}, or None if there is none.
        Find the last {np} {place}; return None if there is no such {item}.""",
        """Return whichever {np} {place} comes last, None without one.""",
        "return next((x for x in reversed({items}) if {P}), None)",
        "c",
        "numbers strings",
    ),
    Shape(
        "largest",
        "largest_{c}|max_{c}|biggest_{c}",
        """Return the largest {np} {place}, or None if there is none.
        Return the maximum of the {NP} {place}, None if there are none.""",
        """Find the {np} {place} that is the biggest; None if no {item} fits.""",
        "return max((x for x in {items} if {P}), default=None)",
        "c",
        "numbers values",
    ),
    Shape(
        "smallest",
        "smallest_{c}|min_{c}|least_{c}",
        """Return the smallest {np} {place}, or None if there is none.
        Return the minimum of the {NP} {place}, None if there are none.""",
        """Find the {np} {place} that is the least; None if no {item} fits.""",
        "return min((x for x in {items} if {P}), default=None)",
        "c",
        "numbers values",
    ),
    Shape(
        "index",
        "index_of_{c}|find_{c}_index|position_of_{c}",
        """Return the index of the first {np} {place}, or -1 if there is none.
        Find the position of the first {np} {place}; return -1 if there is none.""",
        """Tell at which index the first {np} {place} stands, -1 without one.""",
        "for i, x in enumerate({items}):\n    if {P}:\n        return i\nreturn -1",
        "c",
        "numbers strings text chars",
        "int",
    ),
    Shape(
        "indices",
        "indices_of_{c}|{c}_indices|{c}_positions",
        """Return the indices of the {NP} {place}.
        Return a list of the positions of the {NP} {place}.""",
        """List at which indices there are {NP} {place}.""",
        "return [i for i, x in enumerate({items}) if {P}]",
        "c",
        "numbers strings text chars",
        "list",
    ),
    Shape(
        "partition",
        "split_{c}|partition_{c}|separate_{c}",
        """Split the {nouns} {place} into the {NP} and the rest; return two lists.
        Return a tuple of two lists: the {NP} {place}, and all others.""",
        """Separate the {NP} {place} from the others and return both lists.""",
        "return [x for x in {items} if {P}], [x for x in {items} if {Q}]",
        "c",
        "numbers strings",
        "tuple",
    ),
    Shape(
        "map",
        "{m}_all|{m}_each|map_{m}",
        """Return a list with {of} each {item} {place}.
        Return {of} every {item} {place}, as a list.
        Make a list of {of} each {item} {place}.""",
        """For every {item} {place}, compute {of} it, and return the list.""",
        "return [{M} for x in {items}]",
        "m",
        LISTS,
        "list",
    ),
    Shape(
        "map_if",
        "{m}_of_{c}|{m}_{c}",
        """Return a list with {of} each {np} {place}.
        Return {of} every {np} {place}, as a list.""",
        """Take the {NP} {place} and return a list with {of} each.""",
        "return [{M} for x in {items} if {P}]",
        "cm",
        "numbers strings text",
        "list",
    ),
    Shape(
        "sum_map",
        "sum_of_{m}|total_{m}",
        """Return the sum of {of} each {item} {place}.
        Add up {of} each {item} {place}.""",
        """Compute {of} every {item} {place} and return what they add up to.""",
        "return sum({M} for x in {items})",
        "m",
        "numbers strings text range digits values",
    ),
    Shape(
        "sum_map_if",
        "sum_of_{m}_{c}|total_{m}_{c}",
        """Return the sum of {of} each {np} {place}.
        Add up {of} every {np} {place}.""",
        """Take the {NP} {place} and return the total of {of} each.""",
        "return sum({M} for x in {items} if {P})",
        "cm",
        "numbers",
    ),
    Shape(
        "to_dict",
        "{m}_by_item|{m}_table|map_to_{m}",
        """Return a dict that maps each {item} {place} to {its}.
        Map every {item} {place} to {its} in a dictionary.""",
        """Build a dictionary whose keys are the {nouns} {place} and whose values are, for each, {its}.""",
        "return {{x: {M} for x in {items}}}",
        "m",
        "numbers strings text range",
        "dict",
    ),
    Shape(
        "sort_by",
        "sort_by_{m}|order_by_{m}",
        """Return the {nouns} {place} sorted by {its0}.
        Sort the {nouns} {place} by {its0}.""",
        """Put the {nouns} {place} in the order of {its0} and return the list.""",
        "return sorted({items}, key=lambda x: {M})",
        "m",
        "numbers strings text",
        "list",
    ),
    Shape(
        "sort_down",
        "sort_by_{m}_descending|by_{m}_reversed",
        """Return the {nouns} {place} sorted by {its0}, largest first.
        Sort the {nouns} {place} by {its0} in descending order.""",
        """Put the {nouns} {place} in descending order of {its0}.""",
        "return sorted({items}, key=lambda x: {M}, reverse=True)",
        "m",
        "numbers strings text",
        "list",
    ),
    Shape(
        "group_by",
        "group_by_{m}|by_{m}",
        """Group the {nouns} {place} by {its0}; return a dict of lists.
        Return a dictionary from {its0} to the list of {nouns} {place} that have it.""",
        """Sort the {nouns} {place} into lists by {its0} and return these in a dict.""",
        "groups = {{}}\nfor x in {items}:\n    groups.setdefault({M}, []).append(x)\nreturn groups",
        "m",
        "numbers strings text",
        "dict",
    ),
    Shape(
        "best_by",
        "max_by_{m}|top_by_{m}",
        """Return the {item} {place} with the largest {its0}, or None if there is none.
        Find the {item} {place} with the greatest {its0}; None if there are no {nouns}.""",
        """Which {item} {place} has the maximal {its0}? None without {nouns}.""",
        "return max({items}, key=lambda x: {M}, default=None)",
        "m",
        "numbers strings text",
    ),
    Shape(
        "entries",
        "{c}_entries|filter_{c}|keep_{c}",
        """Return a dict with the entries of {p} whose value {IS}.
        Keep only the items of the dict {p} whose value {IS}.""",
        """Give back the part of the dictionary {p} in which the value {IS}.""",
        "return {{k: x for k, x in {p}.items() if {P}}}",
        "c",
        "values",
        "dict",
    ),
    Shape(
        "keys",
        "keys_with_{c}|{c}_keys",
        """Return the keys of {p} whose value {IS}.
        Return a list of the keys in the dict {p} whose value {IS}.""",
        """List those keys of {p} for which the value {IS}.""",
        "return [k for k, x in {p}.items() if {P}]",
        "c",
        "values",
        "list",
    ),
    Shape(
        "map_values",
        "{m}_values|map_{m}",
        """Return a dict with the keys of {p} and {of} each value.
        Replace each value of the dict {p} by {its}; return a new dict.""",
        """Make a new dictionary from {p} that has {of} each value in its place.""",
        "return {{k: {M} for k, x in {p}.items()}}",
        "m",
        "values",
        "dict",
    ),
)
