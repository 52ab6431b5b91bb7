"""Ways to ask: question frames per intent and modifiers per column flavor, each with a training and a held-out list.

Placeholders: {P} plural noun, {S} singular noun, {M} modifiers after the noun (with a leading space, or empty), {V} the same as a
predicate ("cost more than 5"), {C} column words, {Cs} the same in the plural, {W} one column's words, {Ws} its plural, {X} a
second column's words, {L} the word for the naming column, {n} a number, {hi} a superlative, {v} {u} values.
"""

from __future__ import annotations

import hashlib

Frames = tuple[list[str], list[str]]

SELECT: Frames = (
    [
        "List the {Cs} of all {P}{M}.",
        "What are the {Cs} of the {P}{M}?",
        "Give me the {C} of all {P}{M}.",
        "{Cs} of all {P}{M}",
        "Get the {C} for all {P}{M}",
        "Display the {C} for each of the {P}{M}.",
        "I need the {Cs} of the {P}{M}.",
        "Can you show me the {Cs} of {P}{M}?",
        "Find the {Cs} of {P}{M}.",
        "Return the {C} for {P}{M}",
        "show me {C} of {P}{M}",
        "Please list the {Cs} for {P}{M}.",
        "{C} of {P}{M}",
        "Show {Cs} for every one of the {P}{M}.",
        "Show the {Cs} of the {P}{M}.",
        "list {P}{M} with their {Cs}",
        "Output only the {C} of {P}{M}.",
    ],
    [
        "Could you print the {Cs} of all the {P}{M}?",
        "For the {P}{M}, what are the {Cs}?",
        "pull up the {C} of the {P}{M}",
        "I'd like to see the {Cs} of {P}{M}.",
    ],
)
SELECT_ALL: Frames = (
    [
        "Show all columns of the {P}{M}.",
        "Show everything about the {P}{M}.",
        "List all details of {P}{M}.",
        "Give me the full rows of {P}{M}",
        "all information on {P}{M}",
        "Get all data about {P}{M}.",
        "Return every column for {P}{M}.",
        "select all fields for {P}{M}",
        "What do we know about the {P}{M}? Show all columns.",
        "complete records of {P}{M}",
        "Show all {P}{M}, all columns.",
        "Show all {P}{M}.",
        "list all {P}{M}",
    ],
    [
        "Print the entire records of the {P}{M}.",
        "I want every field of the {P}{M}.",
        "whole rows for {P}{M} please",
    ],
)
WHICH: Frames = (
    [
        "Which {P} {V}?",
        "which {P} {V}",
        "What {P} {V}?",
        "Tell me which {P} {V}.",
        "I want to know which {P} {V}.",
        "Find the {P} that {V} and return their {Ls}.",
        "{Ls} of {P} that {V}",
        "List the {Ls} of the {P} that {V}.",
        "Show me which {P} {V}",
        "Which {P} {V}? Give the {L} only.",
        "what are the {Ls} of {P} that {V}?",
        "Get {Ls} of all {P} which {V}.",
    ],
    [
        "Do you know which {P} {V}?",
        "Which of the {P} {V}?",
        "Which ones among the {P} {V}? I only need the {L}.",
    ],
)
COUNT: Frames = (
    [
        "How many {P}{M} are there?",
        "How many {P} are there{M}?",
        "Count the {P}{M}.",
        "Number of {P}{M}",
        "What is the number of {P}{M}?",
        "how many {P} {V}",
        "How many {P} {V}?",
        "Count how many {P} {V}.",
        "What is the total number of {P}{M}?",
        "Give me the count of {P}{M}.",
        "how many {P}{M} do we have",
        "total count of {P}{M}",
        "Tell me how many {P} {V}.",
        "Find the number of {P}{M}.",
        "count all {P}{M}",
        "how many {P}{M}",
    ],
    [
        "What's the count of {P}{M}?",
        "How many {P}{M} exist?",
        "I wonder how many {P} {V}.",
        "nr of {P}{M}?",
    ],
)
AVG: Frames = (
    [
        "What is the average {W} of {P}{M}?",
        "What is the average {W} of all {P}{M}?",
        "Average {W} of the {P}{M}",
        "average {W} for {P}{M}",
        "mean {W} of {P}{M}",
        "Compute the average {W} of all {P}{M}.",
        "Find the average {W} across {P}{M}.",
        "How high is the average {W} of {P}{M}?",
        "avg {W} of {P}{M}",
        "what's the average {W} of the {P}{M}",
        "On average, what is the {W} of {P}{M}?",
        "Show the mean {W} for all {P}{M}.",
    ],
    [
        "What {W} do {P}{M} have on average?",
        "Calculate the mean {W} over the {P}{M}.",
        "Give the avg {W} among {P}{M}.",
    ],
)
SUM: Frames = (
    [
        "What is the total {W} of {P}{M}?",
        "What is the total {W} of all {P}{M}?",
        "Sum of {W} for {P}{M}",
        "sum up the {W} of all {P}{M}",
        "total {W} of the {P}{M}",
        "Add up the {W} of {P}{M}.",
        "Calculate the total {W} for all {P}{M}.",
        "What is the combined {W} of {P}{M}?",
        "What is the sum of the {W} of {P}{M}?",
        "Find the total {W} across {P}{M}.",
        "how much {W} in total for {P}{M}",
        "What is the {W} of all {P}{M} together?",
    ],
    [
        "What does the {W} of the {P}{M} add up to?",
        "Give me the overall {W} over all the {P}{M}.",
        "{W} summed over {P}{M}",
    ],
)
MAX: Frames = (
    [
        "What is the highest {W} of {P}{M}?",
        "What is the maximum {W} of all {P}{M}?",
        "highest {W} among {P}{M}",
        "max {W} of {P}{M}",
        "Find the largest {W} of the {P}{M}.",
        "Show the maximum {W} for {P}{M}.",
        "What is the top {W} among the {P}{M}?",
        "what's the biggest {W} of {P}{M}",
        "Give me the highest {W} across all {P}{M}.",
        "greatest {W} of {P}{M}",
        "What is the highest {W}{M}?",
    ],
    ["How high does the {W} of the {P}{M} get at most?", "Tell me the maximum {W} found among {P}{M}.", "peak {W} of {P}{M}?"],
)
MIN: Frames = (
    [
        "What is the lowest {W} of {P}{M}?",
        "What is the minimum {W} of all {P}{M}?",
        "lowest {W} among {P}{M}",
        "min {W} of {P}{M}",
        "Find the smallest {W} of the {P}{M}.",
        "Show the minimum {W} for {P}{M}.",
        "What is the smallest {W} among the {P}{M}?",
        "what's the lowest {W} of the {P}{M}",
        "Give me the lowest {W} across all {P}{M}.",
        "What is the lowest {W}{M}?",
    ],
    ["How low does the {W} of the {P}{M} get?", "Tell me the minimum {W} found among {P}{M}.", "bottom {W} of {P}{M}?"],
)
MINMAX: Frames = (
    [
        "What are the minimum and maximum {W} of {P}{M}?",
        "lowest and highest {W} of {P}{M}",
        "Show the smallest and the largest {W} of the {P}{M}.",
        "Give me min and max {W} for {P}{M}.",
        "Find the lowest and the highest {W} among {P}{M}.",
        "What is the lowest and the highest {W} of all {P}{M}?",
        "range of {W} for {P}{M}: minimum and maximum",
        "min {W} and max {W} of {P}{M}",
        "Return the minimum {W} and the maximum {W} of {P}{M}.",
        "Between which minimum and maximum does the {W} of {P}{M} lie?",
    ],
    [
        "From what minimum to what maximum does the {W} of {P}{M} range?",
        "Report min, then max {W} of {P}{M}.",
        "{P}{M}: smallest {W}, biggest {W}?",
    ],
)
DISTINCT: Frames = (
    [
        "List the distinct {Ws} of {P}{M}.",
        "What different {Ws} are there among {P}{M}?",
        "unique {Ws} of {P}{M}",
        "Show all different {Ws} of the {P}{M}.",
        "Show each {W} of {P}{M} without duplicates.",
        "Which different {Ws} do the {P}{M} have?",
        "List every {W} of {P}{M} only once.",
        "all distinct {Ws} for {P}{M}",
        "Give me the unique {Ws} of {P}{M}.",
        "What are the different {Ws} of {P}{M}?",
        "Find all unique {Ws} among {P}{M}.",
        "Which {Ws} occur among {P}{M}? No duplicates.",
    ],
    [
        "What {Ws} appear among the {P}{M}, each once?",
        "deduplicated list of {Ws} of {P}{M}",
        "Name the various {Ws} of {P}{M} without repeating any.",
    ],
)
COUNT_DISTINCT: Frames = (
    [
        "How many different {Ws} are there among {P}{M}?",
        "number of distinct {Ws} of {P}{M}",
        "How many unique {Ws} do the {P}{M} have?",
        "Count the distinct {Ws} of {P}{M}.",
        "how many different {Ws} do {P}{M} have",
        "What is the number of different {Ws} among the {P}{M}?",
        "Count the different {Ws} of {P}{M}.",
        "In how many different {Ws} do {P}{M} fall?",
        "count of unique {Ws} for {P}{M}",
        "Find how many distinct {Ws} there are for {P}{M}.",
    ],
    ["The {P}{M} cover how many different {Ws}?", "How many separate {Ws} occur for {P}{M}?", "tally of distinct {Ws} among {P}{M}"],
)
ORDER: Frames = (
    [
        "List the {Cs} of {P}{M} sorted by {W} {dir}.",
        "List the {Cs} of all {P}{M}, ordered by {W} {dir}.",
        "{Cs} of {P}{M} ordered by {W} {dir}",
        "Show the {C} of {P}{M}, sort by {W} {dir}",
        "Sort the {P}{M} by {W} {dir} and show the {C}.",
        "Give me the {Cs} of {P}{M} in order of {W}, {dir}.",
        "Order {P}{M} by {W} {dir} and return their {Cs}.",
        "What are the {Cs} of {P}{M}, sorted by {W} {dir}?",
        "Return the {Cs} of all {P}{M} by {W} {dir}.",
        "all {P}{M} by {W} {dir}, only {C}",
        "I want the {Cs} of {P}{M} sorted by {W}, {dir}.",
        "display {C} of {P}{M} with {W} {dir}",
    ],
    [
        "Rank the {P}{M} by {W} {dir} and print the {C}.",
        "Arrange {P}{M} by {W} {dir}; show {C}.",
        "For {P}{M}, give the {Cs} arranged by {W} {dir}.",
    ],
)
ORDER_ADJ: Frames = (
    [
        "List the {Cs} of {P}{M}, {hi} first.",
        "{Cs} of {P}{M}, {hi} first",
        "Show the {C} of all {P}{M} from {hi} to {lo}.",
        "Sort {P}{M} from {hi} to {lo} and show the {C}.",
        "Give me the {Cs} of the {P}{M}, starting with the {hi}.",
        "list {P}{M} from the {hi} to the {lo} with {C}",
        "What are the {Cs} of {P}{M}, {hi} ones first?",
        "Return {C} of {P}{M} with the {hi} first.",
        "Order {P}{M} from {hi} to {lo}, {C} only.",
        "show all {P}{M} by {C}, the {hi} at the top",
    ],
    [
        "Put the {hi} first and give the {Cs} of {P}{M}.",
        "Going from {hi} to {lo}, what are the {Cs} of the {P}{M}?",
        "{P}{M} {hi}-first, {C}",
    ],
)
TOP_N: Frames = (
    [
        "What are the {n} {hi} {P}{M}?",
        "Which are the {n} {hi} {P}{M}?",
        "List the {L} of the {n} {hi} {P}{M}.",
        "{n} {hi} {P}{M}",
        "Show the {n} {hi} {P}{M}.",
        "Give me the {Ls} of the {n} {hi} {P}{M}.",
        "Find the {n} {hi} {P}{M}.",
        "the {n} {hi} {P}{M}, {L} only",
        "Who or what are the {n} {hi} {P}{M}?",
        "Name of the {n} {hi} {P}{M}",
        "Return the {Ls} of the {n} {hi} {P}{M}",
        "show me the {n} {hi} {P}{M} please",
    ],
    ["Can you tell me the {n} {hi} {P}{M}?", "I need the {n} {hi} of the {P}{M}, just the {L}.", "Pick the {n} {hi} {P}{M} by {L}."],
)
TOP_N_BY: Frames = (
    [
        "Top {n} {P}{M} by {W}",
        "What are the top {n} {P}{M} by {W}?",
        "Which {n} {P}{M} have the highest {W}?",
        "List the {n} {P}{M} with the highest {W}.",
        "Show the {Ls} of the {n} {P}{M} with the highest {W}.",
        "the {n} {P}{M} with the largest {W}",
        "top {n} {P}{M} with the highest {W}, show {L}",
        "Give me the {n} {P}{M} that have the greatest {W}.",
        "Find the {Ls} of the top {n} {P}{M} in terms of {W}.",
        "Return the top {n} {P}{M} ranked by {W}.",
    ],
    ["Name the {n} {P}{M} leading in {W}.", "{P}{M}: best {n} by {W}?", "Which {n} of the {P}{M} come out on top for {W}?"],
)
BOTTOM_N_BY: Frames = (
    [
        "Bottom {n} {P}{M} by {W}",
        "Which {n} {P}{M} have the lowest {W}?",
        "List the {n} {P}{M} with the lowest {W}.",
        "Show the {Ls} of the {n} {P}{M} with the lowest {W}.",
        "the {n} {P}{M} with the smallest {W}",
        "{n} {P}{M} with the least {W}, show {L}",
        "Give me the {n} {P}{M} that have the smallest {W}.",
        "Find the {Ls} of the bottom {n} {P}{M} in terms of {W}.",
        "Return the {n} {P}{M} with the minimum {W}",
        "What are the {n} {P}{M} with the lowest {W}?",
    ],
    ["Name the {n} {P}{M} trailing in {W}.", "{P}{M}: last {n} by {W}?", "Which {n} of the {P}{M} end up lowest on {W}?"],
)
SUPER: Frames = (
    [
        "Which {S}{M} is the {hi}?",
        "What is the {hi} {S}{M}?",
        "{who} is the {hi} {S}{M}?",
        "{hi} {S}{M}",
        "Find the {L} of the {hi} {S}{M}.",
        "What is the {L} of the {hi} {S}{M}?",
        "the {hi} {S}{M}",
        "Show the {hi} {S}{M}, {L} only.",
        "Give me the {L} of the {hi} {S}{M}",
        "Of all {P}{M}, which one is the {hi}?",
        "which {S}{M} is {hi}",
        "Return the {L} of the {hi} {S}{M}.",
        "Tell me the {hi} {S}{M}.",
    ],
    ["Do you know the {hi} {S}{M}?", "Among the {P}{M}, which is the {hi}?", "I'm looking for the {hi} {S}{M} - {L} please."],
)
SUPER_HI: Frames = (
    [
        "Which {S}{M} has the highest {W}?",
        "{who} has the highest {W} among {P}{M}?",
        "Find the {S}{M} with the highest {W}.",
        "{L} of the {S}{M} with the highest {W}",
        "What is the {L} of the {S}{M} with the largest {W}?",
        "which {S}{M} has the greatest {W}",
        "Show the {L} of the {S}{M} that has the maximum {W}.",
        "Which {S}{M} has the most {W}?",
        "the {S}{M} with the biggest {W}",
        "Return the {L} of the {S}{M} with max {W}.",
        "What {S}{M} has the top {W}?",
    ],
    ["Whose {W} is the highest among {P}{M}?", "{L} of whichever {S}{M} has the top {W}", "Which {S}{M} leads in {W}?"],
)
SUPER_LO: Frames = (
    [
        "Which {S}{M} has the lowest {W}?",
        "{who} has the lowest {W} among {P}{M}?",
        "Find the {S}{M} with the lowest {W}.",
        "{L} of the {S}{M} with the lowest {W}",
        "What is the {L} of the {S}{M} with the smallest {W}?",
        "which {S}{M} has the least {W}",
        "Show the {L} of the {S}{M} that has the minimum {W}.",
        "Which {S}{M} has the smallest {W}?",
        "the {S}{M} with the smallest {W}",
        "Return the {L} of the {S}{M} with min {W}.",
    ],
    ["Whose {W} is the lowest among {P}{M}?", "{L} of whichever {S}{M} has the bottom {W}", "Which {S}{M} comes last in {W}?"],
)
SUPER_TWO: Frames = (
    [
        "What are the {C} of the {hi} {S}{M}?",
        "{C} of the {hi} {S}{M}",
        "Show {C} of the {hi} {S}{M}.",
        "Give me the {C} of the {hi} {S}{M}.",
        "Find the {hi} {S}{M} and show its {C}.",
        "Return the {C} of the {hi} {S}{M}.",
        "For the {hi} {S}{M}, show the {C}.",
        "Which {S}{M} is the {hi}? Show {C}.",
        "I need {C} for the {hi} {S}{M}",
        "list the {C} of the {hi} {S}{M}",
    ],
    ["Print {C} for the {hi} {S}{M}.", "The {hi} {S}{M}: what are its {C}?", "tell me {C} of whichever {S}{M} is {hi}"],
)
GROUP_COUNT: Frames = (
    [
        "How many {P}{M} are there per {W}?",
        "How many {P}{M} are there for each {W}?",
        "Number of {P}{M} for each {W}",
        "count {P}{M} by {W}",
        "For each {W}, how many {P}{M} are there?",
        "Show each {W} with its number of {P}{M}.",
        "Count the {P}{M} per {W}.",
        "number of {P}{M} per {W}",
        "List every {W} and how many {P}{M} it has.",
        "Group the {P}{M} by {W} and count them.",
        "How many {P}{M} does each {W} have?",
        "Give the {W} and the count of {P}{M}.",
        "how many {P}{M} in each {W}",
        "Show the count of {P}{M} grouped by {W}.",
        "{W} and number of {P}{M}",
    ],
    ["Break down the number of {P}{M} by {W}.", "Per {W}, give me the tally of {P}{M}.", "What's the {W}-wise count of {P}{M}?"],
)
GROUP_AGG: Frames = (
    [
        "What is the {agg} {X} per {W}?",
        "{agg} {X} of {P}{M} per {W}",
        "What is the {agg} {X} of {P}{M} for each {W}?",
        "For every {W}, show the {agg} {X} of {P}{M}.",
        "Show each {W} with its {agg} {X}.",
        "{agg} {X} by {W}",
        "List the {W} and the {agg} {X} of {P}{M}.",
        "Find the {agg} {X} of {P}{M} in each {W}.",
        "For each {W} compute the {agg} {X} of the {P}{M}",
        "{W} and {agg} {X} of {P}{M}",
        "Give me the {agg} {X} grouped by {W}.",
        "Show {agg} {X} for each {W}",
        "how does the {agg} {X} of {P}{M} look per {W}?",
    ],
    [
        "Break down the {agg} {X} of {P}{M} by {W}.",
        "Per {W}, what {agg} {X} do {P}{M} have?",
        "I'd like the {agg} {X} for every single {W}.",
    ],
)
GROUP_TOP: Frames = (
    [
        "Which {W} has the most {P}{M}?",
        "What is the most common {W} among {P}{M}?",
        "{W} with the most {P}{M}",
        "Which {W} has the highest number of {P}{M}?",
        "Find the {W} with the largest number of {P}{M}.",
        "most frequent {W} of {P}{M}",
        "which {W} occurs most often among {P}{M}",
        "Show the {W} that has the most {P}{M}.",
        "What {W} do most {P}{M} have?",
        "Return the {W} with the highest count of {P}{M}.",
    ],
    ["Name the {W} having the biggest number of {P}{M}.", "What {W} is seen most among {P}{M}?", "top {W} by number of {P}{M}"],
)
GROUP_TOP_AGG: Frames = (
    [
        "Which {W} has the {dir} {agg} {X}?",
        "{W} with the {dir} {agg} {X}",
        "Find the {W} with the {dir} {agg} {X} of {P}{M}.",
        "Which {W} has the {dir} {agg} {X} of {P}{M}?",
        "What {W} has the {dir} {agg} {X}?",
        "Show the {W} whose {P}{M} have the {dir} {agg} {X}.",
        "which {W} shows the {dir} {agg} {X}",
        "Return the {W} having the {dir} {agg} {X}",
        "For which {W} is the {agg} {X} of {P}{M} the {dir}?",
        "In which {W} is the {agg} {X} {dir}?",
    ],
    ["Name the {W} where {agg} {X} is {dir}.", "{agg} {X} is {dir} for which {W}?", "Which {W} comes out with the {dir} {agg} {X}?"],
)
HAVING: Frames = (
    [
        "Which {Ws} have {cmp} {n} {P}{M}?",
        "List the {Ws} with {cmp} {n} {P}{M}.",
        "{Ws} with {cmp} {n} {P}{M}",
        "Show the {Ws} that have {cmp} {n} {P}{M}.",
        "Find all {Ws} that have {cmp} {n} {P}{M}",
        "Which {W} has {cmp} {n} {P}{M}?",
        "Give me each {W} having {cmp} {n} {P}{M}.",
        "What {Ws} occur for {cmp} {n} {P}{M}?",
        "which {Ws} are shared by {cmp} {n} {P}{M}",
        "Return the {Ws} that appear for {cmp} {n} {P}{M}.",
    ],
    ["Name every {W} with {cmp} {n} {P}{M}.", "For which {Ws} do we have {cmp} {n} {P}{M}?", "{Ws} covering {cmp} {n} {P}{M}?"],
)
HAVING_AGG: Frames = (
    [
        "Which {Ws} have an {agg} {X} {cmp} {n}?",
        "List the {Ws} with an {agg} {X} {cmp} {n}.",
        "{Ws} where the {agg} {X} is {cmp} {n}",
        "Show the {Ws} whose {agg} {X} is {cmp} {n}.",
        "Find {Ws} with {agg} {X} {cmp} {n}",
        "For which {Ws} is the {agg} {X} {cmp} {n}?",
        "Which {W} has an {agg} {X} {cmp} {n}?",
        "Return all {Ws} having an {agg} {X} {cmp} {n}",
        "Give me the {Ws} where {agg} {X} is {cmp} {n}.",
        "what {Ws} have an {agg} {X} of {P} {cmp} {n}",
    ],
    [
        "Name every {W} whose {agg} {X} comes out {cmp} {n}.",
        "{agg} {X} {cmp} {n}: which {Ws}?",
        "In which {Ws} does the {agg} {X} lie {cmp} {n}?",
    ],
)
ABOVE_AVG: Frames = (
    [
        "Which {P} have {a} {W} {side} average?",
        "Which {P} have {a} {W} {side} the average {W}?",
        "List the {Ls} of {P} whose {W} is {side} the average.",
        "{P} with {a} {side}-average {W}",
        "Find the {P} with {a} {W} {side} the average of all {P}.",
        "Show the {L} of every {S} with {a} {W} {side} the overall average.",
        "What {P} have {a} {W} {side} the mean?",
        "{Ls} of {P} with {side} average {W}",
        "Give me the {P} whose {W} is {side} average.",
        "which {P} are {side} average in {W}",
    ],
    ["Name the {P} that lie {side} the average {W}.", "Whose {W} is {side} the mean of all {P}?", "{P} scoring {side} average on {W}?"],
)
COUNT_ABOVE_AVG: Frames = (
    [
        "How many {P} have {a} {W} {side} average?",
        "Count the {P} whose {W} is {side} the average.",
        "number of {P} with {a} {W} {side} average",
        "How many {P} have {a} {W} {side} the average {W}?",
        "Find the number of {P} with {side}-average {W}.",
        "how many {P} are {side} average in {W}",
        "Count how many {P} have {a} {W} {side} the mean.",
        "How many of the {P} have {a} {side}-average {W}?",
        "Tell me how many {P} are {side} the average {W}.",
        "What is the number of {P} with {a} {W} {side} the overall average?",
    ],
    ["How many {P} lie {side} the mean {W}?", "Tally the {P} whose {W} is {side} average.", "{P} {side} average {W}, how many?"],
)
LOOKUP: Frames = (
    [
        "What is the {W} of {v}?",
        "{W} of {v}",
        "what's the {W} of {v}",
        "Show the {W} of the {S} {v}.",
        "Find the {W} of {v}.",
        "What {W} does {v} have?",
        "Which {W} does {v} have?",
        "Give me the {W} for {v}.",
        "Return the {W} of the {S} called {v}",
        "Tell me the {W} of the {S} named {v}.",
        "What is the {W} of the {S} with {L} {v}?",
        "I need {v}'s {W}.",
        "What is {v}'s {W}?",
        "look up the {W} of {v}",
    ],
    ["Do you know the {W} of {v}?", "For {v}, what is the {W}?", "Check {v}'s {W} please."],
)
JOIN_LIST: Frames = (
    [
        "List each {S} with the {PL} of its {PS}.",
        "Show the {L} of each {S} and the {PL} of its {PS}.",
        "{L} of {P}{M} together with the {PS} {PL}",
        "For each {S}, show its {L} and the {PS} {PL}.",
        "Give me all {P}{M} with their {PS} {PL}.",
        "Show every {S} {L} along with the {PS} {PL}.",
        "What are the {Ls} of the {P}{M} and the {PLs} of their {PP}?",
        "list {P}{M} and their {PP} ({L} and {PS} {PL})",
        "Get the {L} of every {S} and the {PL} of the {PS} it belongs to.",
        "Return {S} {L} and {PS} {PL} for all {P}{M}.",
        "Show the {Ls} of {P}{M} and the {PL} of the {PS} of each.",
        "{L} and {PS} {PL} of all {P}{M}",
    ],
    [
        "Pair every {S} ({L}) with its {PS} ({PL}).",
        "Print the {Ls} of the {P}{M} next to their {PS} {PLs}.",
        "For all {P}{M}: {L}, then the {PS}'s {PL}",
    ],
)
LEFT_COUNT: Frames = (
    [
        "How many {P} does each {PS} have, including {PP} without {P}?",
        "Number of {P} per {PS}, also show {PP} with zero {P}",
        "For every {PS}, including those with no {P}, count the {P}.",
        "Count the {P} for each {PS}; include {PP} with none.",
        "Show each {PS} and its number of {P}, 0 if there are none.",
        "List all {PP} with their number of {P}, even if it is zero.",
        "how many {P} per {PS}, keep the {PP} that have none",
        "All {PP} and how many {P} they have (including zero)",
        "For all {PP}, also the ones without {P}, show the number of {P}.",
        "Give the count of {P} per {PS}, including {PP} that have no {P}.",
    ],
    [
        "Tally {P} for every {PS} and don't drop the ones with none.",
        "Per {PS}, how many {P}? A {PS} without any should appear with 0.",
        "{PP} and their {S} counts, zeros included",
    ],
)
GROUP_TWO: Frames = (
    [
        "For each {W}, show the {X}.",
        "Show the {X} per {W}.",
        "{X} for each {W}",
        "What are the {X} for every {W}?",
        "Give me the {X} by {W}.",
        "List each {W} with the {X}.",
        "{X} grouped by {W}",
        "Find the {X} per {W}.",
        "per {W} show {X}",
        "Return each {W} with its {X}.",
        "I need the {X} for each {W}.",
    ],
    ["Break the {X} down by {W}.", "Every {W}: {X}?", "Could you give {X} for every single {W}?"],
)
GROUP_TOP_N: Frames = (
    [
        "Which {n} {Ws} have the highest {X}?",
        "Top {n} {Ws} by {X}",
        "What are the {n} {Ws} with the highest {X}?",
        "Show the top {n} {Ws} by {X}.",
        "List the {n} {Ws} with the largest {X}.",
        "Find the {n} {Ws} that have the highest {X}.",
        "the {n} {Ws} with the highest {X}",
        "Give me the top {n} {Ws} in terms of {X}.",
        "Return the {n} {Ws} with the greatest {X}",
        "What are the top {n} {Ws} according to {X}?",
    ],
    ["Name the {n} {Ws} leading in {X}.", "{Ws}: best {n} by {X}?", "Which {n} of the {Ws} come out on top for {X}?"],
)
PRODUCT_SUM: Frames = (
    [
        "What is the total of {W} times {X} for all {P}{M}?",
        "Sum of {W} multiplied by {X} over all {P}{M}",
        "total value of the {P}{M} ({W} times {X})",
        "What is the total value of all {P}{M}, i.e. {W} x {X}?",
        "Calculate the sum of {W} * {X} for {P}{M}.",
        "Multiply {W} by {X} and add it up for all {P}{M}.",
        "Find the total of {W} times {X} across {P}{M}",
        "total {W} * {X} of {P}{M}",
        "How much is {W} times {X} summed over the {P}{M}?",
        "Add up {W} times {X} of all {P}{M}.",
    ],
    [
        "Take {W} times {X} for each of the {P}{M} and give the overall sum.",
        "{W} by {X}, multiplied and totalled over {P}{M}?",
        "I need the grand total of {W} x {X} across the {P}{M}.",
    ],
)
NO_MATCH: Frames = (
    [
        "Which {PP} have no {P}?",
        "List the {PP} without any {P}.",
        "{PP} without {P}",
        "Find the {PLs} of {PP} that have no {P}.",
        "Which {PP} do not have any {P}?",
        "Show {PP} that don't have {P}.",
        "{PLs} of {PP} with no {P}",
        "what {PP} have no {P} at all",
        "Return the {PL} of every {PS} that has no {S}.",
        "Are there {PP} without {P}? List their {PLs}.",
        "Give me all {PP} with zero {P}.",
    ],
    ["Name the {PP} lacking any {P}.", "For which {PP} is there not a single {S}?", "{PP} that never got any {P}"],
)
COUNT_NO_MATCH: Frames = (
    [
        "How many {PP} have no {P}?",
        "Count the {PP} without any {P}.",
        "number of {PP} without {P}",
        "How many {PP} do not have any {P}?",
        "how many {PP} are without {P}",
        "Find the number of {PP} that have no {P}.",
        "Count how many {PP} have zero {P}.",
        "Tell me how many {PP} don't have {P}.",
        "What is the number of {PP} with no {P}?",
        "How many of the {PP} have no {S}?",
    ],
    ["How many {PP} lack {P}?", "Tally the {PP} with not a single {S}.", "{PP} with no {P} at all: how many?"],
)
WITH_MATCH: Frames = (
    [
        "Which {PP} have at least one {S}{M}?",
        "List the {PLs} of {PP} that have {P}{M}, without duplicates.",
        "distinct {PLs} of {PP} with {P}{M}",
        "Which different {PP} have {P}{M}?",
        "Find the distinct {PLs} of {PP} having {P}{M}.",
        "Show every {PS} with at least one {S}{M}, each once.",
        "Return the {PL} of each {PS} that has at least one {S}{M}",
        "what {PP} have any {P}{M}? no duplicates",
        "Give me the {PP} with one or more {P}{M}, each only once.",
        "unique {PP} that have {P}{M}",
    ],
    [
        "Name each {PS} that has some {P}{M} (once each).",
        "For which {PP} are there {P}{M}? Don't repeat any.",
        "{PP} with any {P}{M}, deduplicated",
    ],
)

DIRECTIONS: dict[str, tuple[list[str], list[str]]] = {
    "asc": (
        [
            "in ascending order",
            "ascending",
            "from lowest to highest",
            "from low to high",
            "lowest first",
            "asc",
            "from smallest to largest",
            "increasing",
        ],
        ["upwards from the lowest", "in rising order"],
    ),
    "desc": (
        [
            "in descending order",
            "descending",
            "from highest to lowest",
            "highest first",
            "from high to low",
            "desc",
            "from largest to smallest",
            "largest first",
            "decreasing",
        ],
        ["downwards from the highest", "in falling order"],
    ),
    "text_asc": (["alphabetically", "in alphabetical order", "from A to Z", "ascending", "A-Z"], ["in ABC order", "by the alphabet"]),
    "text_desc": (["in reverse alphabetical order", "from Z to A", "descending", "Z-A"], ["backwards from Z", "in reverse ABC order"]),
    "time_asc": (["ascending", "oldest first", "from oldest to newest", "earliest first", "from earliest to latest"], ["chronologically"]),
    "time_desc": (
        ["descending", "newest first", "from newest to oldest", "latest first", "most recent first"],
        ["in reverse chronological order"],
    ),
}
AGGREGATES: dict[str, tuple[list[str], list[str]]] = {
    "AVG": (["average", "mean", "avg", "average"], ["average"]),
    "SUM": (["total", "combined", "summed", "total"], ["total"]),
    "MAX": (["maximum", "highest", "largest", "max"], ["maximum", "highest"]),
    "MIN": (["minimum", "lowest", "smallest", "min"], ["minimum", "lowest"]),
}
COMPARISONS: dict[str, tuple[list[str], list[str]]] = {
    ">": (["more than", "more than", "over"], ["in excess of", "upwards of more than"]),
    ">=": (["at least", "no fewer than", "no less than", "a minimum of"], ["not less than"]),
    "<": (["fewer than", "less than", "under"], ["not even"]),
    "<=": (["at most", "no more than", "a maximum of"], ["not more than"]),
    "=": (["exactly", "precisely"], ["just"]),
}

# Modifiers after the noun. {W} column words, {a} its article.
Mods = dict[str, tuple[list[str], list[str]]]
GENERIC: Mods = {
    ">": (
        [
            "with {a} {W} above {v}",
            "with {a} {W} over {v}",
            "with {W} greater than {v}",
            "whose {W} is more than {v}",
            "where {W} > {v}",
            "that have {a} {W} higher than {v}",
            "having {a} {W} larger than {v}",
            "with {a} {W} bigger than {v}",
            "whose {W} is over {v}",
            "whose {W} is above {v}",
            "where the {W} is greater than {v}",
            "with more than {v} {W}#",
            "with over {v} {W}#",
            "that have more than {v} {W}#",
            "with {W} above {v}",
        ],
        ["whose {W} exceeds {v}", "with {a} {W} of more than {v}", "with {a} {W} beyond {v}"],
    ),
    "<": (
        [
            "with {a} {W} below {v}",
            "with {a} {W} under {v}",
            "with {W} less than {v}",
            "whose {W} is less than {v}",
            "where {W} < {v}",
            "that have {a} {W} lower than {v}",
            "having {a} {W} smaller than {v}",
            "whose {W} is under {v}",
            "whose {W} is below {v}",
            "where the {W} is less than {v}",
            "with fewer than {v} {W}#",
            "with less than {v} {W}#",
            "that have fewer than {v} {W}#",
            "with {W} under {v}",
        ],
        ["whose {W} stays below {v}", "with {a} {W} of less than {v}", "whose {W} falls short of {v}"],
    ),
    ">=": (
        [
            "with {a} {W} of at least {v}",
            "with {W} at least {v}",
            "whose {W} is at least {v}",
            "where {W} >= {v}",
            "with {a} {W} of {v} or more",
            "that have {a} {W} of {v} or higher",
            "with {a} {W} no lower than {v}",
            "whose {W} is greater than or equal to {v}",
            "with at least {v} {W}#",
            "that have {v} or more {W}#",
            "whose {W} is not less than {v}",
        ],
        ["whose {W} reaches {v} or more", "with {a} {W} from {v} upwards", "whose {W} is {v} or above"],
    ),
    "<=": (
        [
            "with {a} {W} of at most {v}",
            "with {W} at most {v}",
            "whose {W} is at most {v}",
            "where {W} <= {v}",
            "with {a} {W} of {v} or less",
            "that have {a} {W} of {v} or lower",
            "with {a} {W} no higher than {v}",
            "whose {W} is less than or equal to {v}",
            "with at most {v} {W}#",
            "with no more than {v} {W}#",
            "whose {W} is not more than {v}",
        ],
        ["whose {W} does not exceed {v}", "with {a} {W} up to and including {v}", "whose {W} is {v} or below"],
    ),
    "=": (
        [
            "with {a} {W} of {v}",
            "with {W} {v}",
            "whose {W} is {v}",
            "where {W} = {v}",
            "that have {a} {W} of exactly {v}",
            "whose {W} equals {v}",
            "with exactly {v} {W}#",
            "having {W} {v}",
            "where the {W} is {v}",
        ],
        ["whose {W} is precisely {v}", "with {a} {W} equal to {v}", "whose {W} comes to {v}"],
    ),
    "between": (
        [
            "with {a} {W} between {v} and {u}",
            "whose {W} is between {v} and {u}",
            "with {W} from {v} to {u}",
            "where {W} is between {v} and {u}",
            "that have {a} {W} between {v} and {u}",
            "with {a} {W} in the range {v} to {u}",
            "with between {v} and {u} {W}#",
            "whose {W} lies between {v} and {u}",
            "having {W} between {v} and {u}",
            "with {W} {v}-{u}",
        ],
        ["whose {W} ranges from {v} to {u}", "with {a} {W} anywhere between {v} and {u}", "whose {W} is within {v} and {u}"],
    ),
    "cat=": (
        [
            "whose {W} is {v}",
            "with {W} {v}",
            "where {W} is {v}",
            "with the {W} {v}",
            "having {W} {v}",
            "where the {W} equals {v}",
            "that have the {W} {v}",
            "with {v} as {W}",
            "whose {W} equals {v}",
            "of {W} {v}",
            "where {W} = {v}",
        ],
        ["that have {v} as their {W}", "listed under {W} {v}", "whose {W} reads {v}"],
    ),
    "cat!=": (
        [
            "whose {W} is not {v}",
            "with {a} {W} other than {v}",
            "where {W} is not {v}",
            "that do not have {W} {v}",
            "with any {W} except {v}",
            "whose {W} isn't {v}",
            "with {W} not equal to {v}",
            "where {W} != {v}",
            "excluding {W} {v}",
            "that don't have the {W} {v}",
        ],
        ["whose {W} is anything but {v}", "with {a} {W} different from {v}", "leaving out {W} {v}"],
    ),
    "in": (
        [
            "whose {W} is {list}",
            "whose {W} is either {list}",
            "with {W} {list}",
            "where {W} is {list}",
            "with {a} {W} of {list}",
            "having {W} {list}",
            "whose {W} is one of {all}",
            "that have {W} {list}",
            "where the {W} is either {list}",
            "with {W} in ({all})",
        ],
        ["whose {W} is any of {all}", "with {list} as {W}", "belonging to {W} {list}"],
    ),
    "not in": (
        [
            "whose {W} is neither {nor}",
            "whose {W} is not {list}",
            "with {a} {W} other than {list}",
            "where {W} is not in ({all})",
            "whose {W} is none of {all}",
            "where the {W} is neither {nor}",
            "excluding {W} {list}",
            "that have neither {W} {nor}",
            "with any {W} except {list}",
            "whose {W} isn't {list}",
        ],
        ["whose {W} is anything but {list}", "leaving out {W} {list}", "with {a} {W} different from {list}"],
    ),
    "outside": (
        [
            "with {a} {W} below {v} or above {u}",
            "whose {W} is less than {v} or more than {u}",
            "where {W} < {v} or {W} > {u}",
            "with {W} under {v} or over {u}",
            "whose {W} is either under {v} or above {u}",
            "with {a} {W} smaller than {v} or bigger than {u}",
            "whose {W} is below {v} or over {u}",
            "with {a} {W} lower than {v} or higher than {u}",
            "where the {W} is under {v} or over {u}",
            "that have {a} {W} less than {v} or greater than {u}",
        ],
        [
            "whose {W} falls below {v} or goes beyond {u}",
            "with {a} {W} either short of {v} or exceeding {u}",
            "whose {W} stays under {v} or tops {u}",
        ],
    ),
    "without": (
        [
            "whose {W} does not contain {v}",
            "without {v} in the {W}",
            "with no {v} in the {W}",
            "whose {W} doesn't contain {v}",
            "where {W} does not contain {v}",
            "with {a} {W} not containing {v}",
            "whose {W} does not include {v}",
            "with {a} {W} not like {v}",
            "where the {W} doesn't include {v}",
            "that do not have {v} in the {W}",
        ],
        ["in whose {W} {v} does not occur", "with {v} nowhere in the {W}", "whose {W} is free of {v}"],
    ),
    "null": (
        [
            "without {a} {W}",
            "with no {W}",
            "that have no {W}",
            "whose {W} is missing",
            "where the {W} is missing",
            "whose {W} is unknown",
            "where {W} is null",
            "whose {W} is empty",
            "with a missing {W}",
            "that don't have {a} {W}",
            "where no {W} is given",
            "whose {W} is not set",
        ],
        ["lacking {a} {W}", "for which no {W} is recorded", "whose {W} was left blank"],
    ),
    "not null": (
        [
            "that have {a} {W}",
            "with a known {W}",
            "whose {W} is not null",
            "where the {W} is given",
            "whose {W} is known",
            "with {a} {W} set",
            "where {W} is not missing",
            "whose {W} is not empty",
            "where {a} {W} is recorded",
            "that do have {a} {W}",
        ],
        ["for which {a} {W} is on file", "whose {W} has been filled in", "with a non-empty {W}"],
    ),
    "starts": (
        [
            "whose {W} starts with {v}",
            "with {a} {W} starting with {v}",
            "whose {W} begins with {v}",
            "with {a} {W} that begins with {v}",
            "where {W} starts with {v}",
            "that have {a} {W} beginning with {v}",
            "with {W} starting with the letters {v}",
            "where the {W} begins with {v}",
            "having {a} {W} that starts with {v}",
            "whose {W} has the prefix {v}",
        ],
        ["whose {W} opens with {v}", "with {v} at the start of the {W}", "whose {W} has {v} as its first letters"],
    ),
    "ends": (
        [
            "whose {W} ends with {v}",
            "with {a} {W} ending in {v}",
            "whose {W} ends in {v}",
            "with {a} {W} that ends with {v}",
            "where {W} ends with {v}",
            "that have {a} {W} ending with {v}",
            "where the {W} ends in {v}",
            "having {a} {W} that ends in {v}",
            "whose {W} has the suffix {v}",
            "with {W} ending on {v}",
        ],
        ["whose {W} closes with {v}", "with {v} at the end of the {W}", "whose {W} has {v} as its last letters"],
    ),
    "contains": (
        [
            "whose {W} contains {v}",
            "with {v} in the {W}",
            "with {v} in their {W}",
            "whose {W} includes {v}",
            "where {W} contains {v}",
            "with {a} {W} containing {v}",
            "that have {v} in the {W}",
            "where the {W} includes {v}",
            "having {v} somewhere in the {W}",
            "with {a} {W} that contains {v}",
            "with {a} {W} like {v}",
        ],
        ["in whose {W} {v} occurs", "with {v} anywhere in the {W}", "whose {W} features {v}"],
    ),
}
TIME: Mods = {
    ">": (
        [
            "{ed} after {v}",
            "that were {ed} after {v}",
            "{ed} later than {v}",
            "with {a} {W} after {v}",
            "whose {W} is after {v}",
            "where {W} is later than {v}",
        ],
        ["{ed} any time after {v}", "whose {W} lies after {v}"],
    ),
    "<": (
        [
            "{ed} before {v}",
            "that were {ed} before {v}",
            "{ed} earlier than {v}",
            "with {a} {W} before {v}",
            "whose {W} is before {v}",
            "where {W} is earlier than {v}",
        ],
        ["{ed} any time before {v}", "whose {W} lies before {v}"],
    ),
    ">=": (
        [
            "{ed} in {v} or later",
            "{ed} since {v}",
            "with {a} {W} of {v} or later",
            "{ed} in or after {v}",
            "{ed} not before {v}",
            "{ed} from {v} on",
        ],
        ["{ed} no earlier than {v}", "whose {W} is {v} or any later year"],
    ),
    "<=": (
        [
            "{ed} in {v} or earlier",
            "{ed} up to {v}",
            "with {a} {W} of {v} or earlier",
            "{ed} in or before {v}",
            "{ed} not after {v}",
            "{ed} until {v}",
        ],
        ["{ed} no later than {v}", "whose {W} is {v} or any earlier year"],
    ),
    "=": (
        ["{ed} in {v}", "that were {ed} in {v}", "whose {W} is {v}", "with {W} {v}", "{ed} in the year {v}"],
        ["{ed} exactly in {v}", "{ed} during {v}"],
    ),
    "between": (
        [
            "{ed} between {v} and {u}",
            "{ed} from {v} to {u}",
            "with {a} {W} between {v} and {u}",
            "whose {W} is between {v} and {u}",
            "that were {ed} between {v} and {u}",
            "{ed} in the years {v} to {u}",
        ],
        ["{ed} anywhere from {v} through {u}", "{ed} in the period {v} to {u}"],
    ),
}
DAY: Mods = {
    **TIME,
    ">=": (
        ["{ed} on or after {v}", "{ed} since {v}", "with {a} {W} of {v} or later", "{ed} from {v} on", "{ed} on {v} or later"],
        ["{ed} no earlier than {v}", "{ed} not before {v}"],
    ),
    "<=": (
        ["{ed} on or before {v}", "{ed} up to {v}", "with {a} {W} of {v} or earlier", "{ed} until {v}", "{ed} by {v}"],
        ["{ed} no later than {v}", "{ed} not after {v}"],
    ),
    "=": (
        ["{ed} on {v}", "that were {ed} on {v}", "whose {W} is {v}", "with {W} {v}", "where {W} = {v}"],
        ["{ed} exactly on {v}", "whose {W} reads {v}"],
    ),
    "year": (
        [
            "{ed} in {y}",
            "that were {ed} in {y}",
            "{ed} in the year {y}",
            "with {a} {W} in {y}",
            "{ed} sometime in {y}",
            "whose {W} is in {y}",
        ],
        ["{ed} during {y}", "{ed} within the year {y}"],
    ),
    "between": (
        [
            "{ed} between {v} and {u}",
            "{ed} from {v} to {u}",
            "with {a} {W} between {v} and {u}",
            "whose {W} is between {v} and {u}",
            "that were {ed} between {v} and {u}",
        ],
        ["{ed} anywhere from {v} through {u}", "{ed} in the period {v} to {u}"],
    ),
}
FLAVOR_MODS: dict[str, Mods] = {
    "price": {
        ">": (
            [
                "that cost more than {v}",
                "more expensive than {v}",
                "costing over {v}",
                "priced above {v}",
                "that cost over {v}",
                "costing more than {v}",
            ],
            ["going for more than {v}", "dearer than {v}"],
        ),
        "<": (
            [
                "cheaper than {v}",
                "that cost less than {v}",
                "costing under {v}",
                "priced below {v}",
                "under {v}",
                "for less than {v}",
                "that cost under {v}",
            ],
            ["going for less than {v}", "to be had for less than {v}"],
        ),
        ">=": (
            ["that cost at least {v}", "priced at {v} or more", "costing at least {v}", "costing {v} or more"],
            ["going for {v} or more"],
        ),
        "<=": (
            ["that cost at most {v}", "priced at {v} or less", "costing no more than {v}", "for {v} or less", "costing at most {v}"],
            ["going for {v} or less"],
        ),
        "=": (["that cost {v}", "priced at {v}", "costing exactly {v}"], ["going for exactly {v}"]),
        "between": (["that cost between {v} and {u}", "priced between {v} and {u}", "costing {v} to {u}"], ["going for {v} to {u}"]),
    },
    "salary": {
        ">": (
            ["that earn more than {v}", "earning over {v}", "that make more than {v}", "paid more than {v}", "who earn above {v}"],
            ["taking home more than {v}"],
        ),
        "<": (
            ["that earn less than {v}", "earning under {v}", "that make less than {v}", "paid less than {v}", "who earn below {v}"],
            ["taking home less than {v}"],
        ),
        ">=": (["that earn at least {v}", "earning {v} or more", "making at least {v}"], ["taking home at least {v}"]),
        "<=": (["that earn at most {v}", "earning {v} or less", "making no more than {v}"], ["taking home at most {v}"]),
        "between": (
            ["that earn between {v} and {u}", "earning {v} to {u}", "making between {v} and {u}"],
            ["taking home between {v} and {u}"],
        ),
    },
    "age": {
        ">": (["older than {v}", "over {v}", "over {v} years old", "aged over {v}", "above the age of {v}"], ["past the age of {v}"]),
        "<": (
            ["younger than {v}", "under {v}", "under {v} years old", "aged under {v}", "below the age of {v}"],
            ["not yet {v} years old"],
        ),
        ">=": (["at least {v} years old", "aged {v} or older", "that are {v} or older", "aged at least {v}"], ["aged {v} and up"]),
        "<=": (["at most {v} years old", "aged {v} or younger", "that are {v} or younger", "aged at most {v}"], ["no older than {v}"]),
        "=": (["aged {v}", "that are {v} years old", "that are exactly {v} years old", "of age {v}"], ["{v} years of age"]),
        "between": (["aged between {v} and {u}", "between {v} and {u} years old", "aged {v} to {u}"], ["from {v} to {u} years of age"]),
    },
    "weight": {
        ">": (["heavier than {v}", "that weigh more than {v}", "weighing over {v}"], ["that weigh in above {v}"]),
        "<": (["lighter than {v}", "that weigh less than {v}", "weighing under {v}"], ["that weigh in below {v}"]),
        ">=": (["that weigh at least {v}", "weighing {v} or more"], ["that weigh in at {v} or more"]),
        "<=": (["that weigh at most {v}", "weighing {v} or less"], ["that weigh in at {v} or less"]),
    },
    "height": {
        ">": (["taller than {v}", "higher than {v}"], ["towering above {v}"]),
        "<": (["shorter than {v}", "lower than {v}"], ["rising to less than {v}"]),
    },
    "length": {
        ">": (["longer than {v}", "that are longer than {v}"], ["stretching beyond {v}"]),
        "<": (["shorter than {v}", "that are shorter than {v}"], ["stretching less than {v}"]),
    },
    "duration": {
        ">": (
            ["longer than {v}", "that last more than {v}", "lasting over {v}", "that take longer than {v}"],
            ["running for more than {v}"],
        ),
        "<": (
            ["shorter than {v}", "that last less than {v}", "lasting under {v}", "that take less than {v}"],
            ["running for less than {v}"],
        ),
        ">=": (["that last at least {v}", "lasting {v} or more"], ["running for at least {v}"]),
        "<=": (["that last at most {v}", "lasting {v} or less"], ["running for at most {v}"]),
    },
    "speed": {">": (["faster than {v}"], ["going faster than {v}"]), "<": (["slower than {v}"], ["going slower than {v}"])},
    "temp": {
        ">": (["warmer than {v} degrees", "hotter than {v}"], ["with it warmer than {v}"]),
        "<": (["colder than {v} degrees", "colder than {v}"], ["with it colder than {v}"]),
    },
    "year": TIME,
    "birth": TIME,
    "date": DAY,
}
SUPERLATIVES: dict[str, tuple[list[str], list[str]]] = {
    # flavor: (words for the largest value, words for the smallest value)
    "price": (["most expensive", "priciest", "costliest"], ["cheapest", "least expensive"]),
    "salary": (["highest paid", "best paid", "top-earning"], ["lowest paid", "worst paid"]),
    "age": (["oldest"], ["youngest"]),
    "year": (["newest", "most recent", "latest"], ["oldest", "earliest"]),
    "date": (["most recent", "latest"], ["earliest", "first"]),
    "birth": (["youngest"], ["oldest"]),
    "weight": (["heaviest"], ["lightest"]),
    "height": (["tallest", "highest"], ["shortest", "lowest"]),
    "length": (["longest"], ["shortest"]),
    "duration": (["longest"], ["shortest"]),
    "size": (["largest", "biggest"], ["smallest"]),
    "speed": (["fastest"], ["slowest"]),
    "temp": (["warmest", "hottest"], ["coldest"]),
}
SUPER_BY_FLAVOR: dict[str, tuple[Frames, Frames]] = {
    # flavor: (frames for the largest value, frames for the smallest value)
    "salary": (
        (
            [
                "{who} earns the most{M}?",
                "Which {S}{M} earns the most?",
                "who makes the most money{M}",
                "Which of the {P}{M} has the best pay?",
                "{who} makes the most{M}?",
                "which {S}{M} is paid the most",
            ],
            ["{who} takes home the most{M}?", "Which {S}{M} gets the biggest pay?"],
        ),
        (
            [
                "{who} earns the least{M}?",
                "Which {S}{M} earns the least?",
                "who makes the least money{M}",
                "Which of the {P}{M} has the worst pay?",
                "{who} makes the least{M}?",
                "which {S}{M} is paid the least",
            ],
            ["{who} takes home the least{M}?", "Which {S}{M} gets the smallest pay?"],
        ),
    ),
    "price": (
        (
            [
                "Which {S}{M} costs the most?",
                "what {S}{M} costs the most",
                "{who} costs the most among {P}{M}?",
                "Which of the {P}{M} costs the most money?",
                "Find the {S}{M} that costs the most.",
            ],
            ["Which {S}{M} sets me back the most?", "For which {S}{M} do I pay the most?"],
        ),
        (
            [
                "Which {S}{M} costs the least?",
                "what {S}{M} costs the least",
                "{who} costs the least among {P}{M}?",
                "Which of the {P}{M} costs the least money?",
                "Find the {S}{M} that costs the least.",
            ],
            ["Which {S}{M} sets me back the least?", "For which {S}{M} do I pay the least?"],
        ),
    ),
    "weight": (
        (
            ["Which {S}{M} weighs the most?", "what {S}{M} weighs the most", "Find the {S}{M} that weighs the most."],
            ["Which {S}{M} is the biggest load?"],
        ),
        (
            ["Which {S}{M} weighs the least?", "what {S}{M} weighs the least", "Find the {S}{M} that weighs the least."],
            ["Which {S}{M} is the smallest load?"],
        ),
    ),
    "duration": (
        (
            ["Which {S}{M} lasts the longest?", "what {S}{M} lasts longest", "Which {S}{M} takes the longest?"],
            ["Which {S}{M} goes on the longest?"],
        ),
        (
            ["Which {S}{M} is over the soonest?", "Which {S}{M} takes the least time?", "what {S}{M} takes the least time"],
            ["Which {S}{M} is done the quickest?"],
        ),
    ),
    "count": (
        (
            [
                "Which {S}{M} has the most {W}?",
                "{who} has the most {W}{M}?",
                "who has the most {W}{M}",
                "Which of the {P}{M} has the most {W}?",
                "the {S}{M} with the most {W}",
            ],
            ["With the most {W}, which {S}{M} is it?"],
        ),
        (
            [
                "Which {S}{M} has the fewest {W}?",
                "{who} has the fewest {W}{M}?",
                "who has the fewest {W}{M}",
                "Which of the {P}{M} has the fewest {W}?",
                "the {S}{M} with the fewest {W}",
            ],
            ["With the fewest {W}, which {S}{M} is it?"],
        ),
    ),
}
AGG_BY_FLAVOR: dict[str, dict[str, tuple[list[str], list[str]]]] = {
    "price": {
        "AVG": (
            ["How much do {P}{M} cost on average?", "how much does {a} {S}{M} cost on average", "What do {P}{M} cost on average?"],
            ["On average, what must I pay for {P}{M}?"],
        ),
        "SUM": (
            ["How much do all {P}{M} cost together?", "How much do all the {P}{M} cost in total?", "what do {P}{M} cost altogether"],
            ["What would buying all {P}{M} cost?"],
        ),
        "MAX": (
            [
                "How much does the most expensive {S}{M} cost?",
                "What does the most expensive {S}{M} cost?",
                "how much is the priciest {S}{M}",
            ],
            ["What would I pay for the most expensive {S}{M}?"],
        ),
        "MIN": (
            ["How much does the cheapest {S}{M} cost?", "What does the cheapest {S}{M} cost?", "how much is the cheapest {S}{M}"],
            ["What would I pay for the cheapest {S}{M}?"],
        ),
    },
    "salary": {
        "AVG": (
            ["How much do {P}{M} earn on average?", "what do {P}{M} earn on average", "How much does {a} {S}{M} earn on average?"],
            ["What pay do {P}{M} get on average?"],
        ),
        "SUM": (
            ["How much do all {P}{M} earn together?", "what do the {P}{M} earn in total", "How much do we pay all {P}{M} in total?"],
            ["What do all {P}{M} cost us in pay?"],
        ),
        "MAX": (
            ["How much does the best paid {S}{M} earn?", "what does the highest paid {S}{M} earn"],
            ["What pay does the top earner of the {P}{M} get?"],
        ),
        "MIN": (
            ["How much does the worst paid {S}{M} earn?", "what does the lowest paid {S}{M} earn"],
            ["What pay does the lowest earner of the {P}{M} get?"],
        ),
    },
    "age": {
        "AVG": (["How old are {P}{M} on average?", "how old is {a} {S}{M} on average"], ["On average, what age are {P}{M}?"]),
        "MAX": (
            ["How old is the oldest {S}{M}?", "how old is the oldest {S}{M}", "What is the age of the oldest {S}{M}?"],
            ["What age does the oldest {S}{M} have?"],
        ),
        "MIN": (
            ["How old is the youngest {S}{M}?", "how old is the youngest {S}{M}", "What is the age of the youngest {S}{M}?"],
            ["What age does the youngest {S}{M} have?"],
        ),
    },
    "weight": {
        "AVG": (["How heavy are {P}{M} on average?", "How much do {P}{M} weigh on average?"], ["On average, how much do {P}{M} weigh?"]),
        "SUM": (["How much do all {P}{M} weigh together?", "how much do {P}{M} weigh in total"], ["What do all {P}{M} weigh altogether?"]),
        "MAX": (
            ["How heavy is the heaviest {S}{M}?", "How much does the heaviest {S}{M} weigh?"],
            ["What does the heaviest {S}{M} weigh?"],
        ),
        "MIN": (
            ["How heavy is the lightest {S}{M}?", "How much does the lightest {S}{M} weigh?"],
            ["What does the lightest {S}{M} weigh?"],
        ),
    },
    "duration": {
        "AVG": (["How long are {P}{M} on average?", "how long do {P}{M} take on average"], ["On average, how long are {P}{M}?"]),
        "SUM": (
            ["How long are all {P}{M} together?", "how long do all {P}{M} take in total"],
            ["How much time do {P}{M} take altogether?"],
        ),
        "MAX": (
            ["How long is the longest {S}{M}?", "how long does the longest {S}{M} take"],
            ["What length does the longest {S}{M} have?"],
        ),
        "MIN": (
            ["How long is the shortest {S}{M}?", "how long does the shortest {S}{M} take"],
            ["What length does the shortest {S}{M} have?"],
        ),
    },
    "count": {
        "AVG": (
            ["How many {W} do {P}{M} have on average?", "how many {W} does {a} {S}{M} have on average", "average number of {W} per {S}{M}"],
            ["On average, {P}{M} have how many {W}?"],
        ),
        "SUM": (
            [
                "How many {W} do the {P}{M} have in total?",
                "How many {W} do all {P}{M} have together?",
                "how many {W} are there in total for {P}{M}",
                "Total number of {W} of {P}{M}",
            ],
            ["Altogether, how many {W} do {P}{M} have?"],
        ),
    },
}
LOOKUP_BY_FLAVOR: dict[str, Frames] = {
    "price": (["How much does {v} cost?", "how much is {v}", "How expensive is {v}?", "What does {v} cost?"], ["What do I pay for {v}?"]),
    "age": (["How old is {v}?", "how old is {v}", "What age is {v}?"], ["How many years old is {v}?"]),
    "salary": (["How much does {v} earn?", "What does {v} earn?", "how much money does {v} make"], ["How much is {v} paid?"]),
    "weight": (["How heavy is {v}?", "How much does {v} weigh?"], ["What does {v} weigh?"]),
    "height": (["How tall is {v}?", "How high is {v}?"], ["What height does {v} reach?"]),
    "length": (["How long is {v}?"], ["What length has {v}?"]),
    "duration": (["How long is {v}?", "How long does {v} last?", "how long does {v} take"], ["What time does {v} take up?"]),
    "year": (
        ["When was {v} {ed}?", "In what year was {v} {ed}?", "when was {v} {ed}", "Which year was {v} {ed}?"],
        ["In which year did {v} get {ed}?"],
    ),
    "date": (["When was {v} {ed}?", "On what date was {v} {ed}?", "when was {v} {ed}"], ["On which day was {v} {ed}?"]),
    "birth": (["When was {v} born?", "In what year was {v} born?", "when was {v} born"], ["{v} was born in which year?"]),
    "count": (["How many {W} does {v} have?", "how many {W} has {v}", "Number of {W} of {v}"], ["{v} has how many {W}?"]),
}
WRAPPERS: Frames = (
    [
        "Schema:\n{d}\nQuestion: {q}",
        "Schema:\n{d}\n\nQuestion: {q}",
        "{d}\n\n{q}",
        "{d}\n{q}",
        "Given the table\n{d}\nWrite SQL: {q}",
        "{q}\n\n{d}",
        "{q}\n\nSchema:\n{d}",
        "Question: {q}\nSchema: {d}",
        "Table: {d}\n{q}",
        "Table: {d}\nQuestion: {q}",
        "-- schema\n{d}\n-- question\n-- {q}",
        "{d}\n-- {q}",
        "Write a SQLite query for this question: {q}\n\n{d}",
        "Write a SQL query: {q}\n{d}",
        "Database:\n{d}\n\nTranslate to SQL: {q}",
        "Using this schema, write an SQL query.\n{d}\n{q}",
        "I have this table:\n{d}\n{q}\nGive me the SQL.",
        "{d}\nSQL for: {q}",
        "### Schema\n{d}\n### Question\n{q}",
        "{d}\n\nQuestion: {q}\nSQL:",
        "Convert the question to SQL.\nSchema: {d}\nQuestion: {q}",
        "Here is my database schema:\n{d}\n\nHow do I write this in SQL? {q}",
    ],
    [
        "My schema is\n{d}\nI need SQL for this: {q}",
        "SQL please: {q}\nTables:\n{d}",
        "DDL:\n{d}\n\nRequest: {q}",
        "{q} Use this schema:\n{d}",
    ],
)


HELD_SHARE = 22
"""Percent of an intent's frames that are never trained on, at least two of them."""


def _hold_out(frames: Frames) -> Frames:
    """Decide by the text alone which frames are held out, so that both sides are of the same style."""
    every = sorted(dict.fromkeys([*frames[0], *frames[1]]), key=lambda frame: hashlib.sha256(frame.encode()).digest())
    held = max(2, len(every) * HELD_SHARE // 100)
    return every[held:], every[:held]


def _is_frames(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(side, list) and len(side) > 2 for side in value)


for _name, _frames in list(globals().items()):
    if _name.isupper() and _is_frames(_frames):
        globals()[_name] = _hold_out(_frames)
