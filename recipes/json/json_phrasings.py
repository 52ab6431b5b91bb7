"""Ways of asking in the json recipe. ``{s}`` stands for the fields, ``{t}`` for the text; each split has its own."""

from __future__ import annotations

INLINE = {
    "train": (
        "Extract {s} as JSON from this text: {t}",
        "Extract {s} as JSON.\n\n{t}",
        "Give me JSON with {s} for this:\n{t}",
        "Turn this into JSON with the keys {s}.\n\n{t}",
        "Return a JSON object with {s}.\nText: {t}",
        "I need a JSON object with these keys: {s}\n\n{t}",
        "Convert to JSON ({s}): {t}",
        "json with {s}:\n{t}",
        "Please make JSON out of this text, keys {s}: {t}",
        "Write the following as one line of JSON. Keys: {s}\n{t}",
        "keys: {s}\ntext: {t}\njson:",
        "Fields: {s}\nText: {t}\nJSON:",
        "Put {s} into a JSON object.\n\n{t}",
        "Answer with JSON only. Fields: {s}\n\n{t}",
        "Read the text and fill in {s} as JSON.\n\n{t}",
        "{t}\n\nGive me {s} as JSON.",
        "{t}\n\nJSON with {s} please",
        '"{t}"\nExtract {s}. Answer in JSON.',
        "Text: {t}\nKeys: {s}\nJSON:",
        "{t} -> JSON with {s}",
        "can you turn this into json? {t} i need {s}",
        "I want {s} from this text as JSON: {t}",
        "Find {s} in the text below and answer with a JSON object.\n\n{t}",
        "The JSON should have {s}. The text is: {t}",
    ),
    "validation": (
        "Represent the text as JSON, using {s}.\n{t}",
        "{t}\n\nas json, with {s}",
        "Make one JSON object with the properties {s} from: {t}",
        "Required: {s}\nSource: {t}\nAnswer in JSON.",
    ),
    "test": (
        "Could you give me this as a JSON object? It needs {s}.\n\n{t}",
        "pls parse into json, i want {s}\n\n{t}",
        "Structure this note as JSON. Properties: {s}.\nNote: {t}",
        "What are {s} here? Reply with JSON.\n{t}",
        "{t}\n\nTransform the sentence above into JSON holding {s}.",
        "Input: {t}\nOutput a JSON record with {s}.",
        "Store this as JSON, keys should be {s}: {t}",
        "Here is a message: {t}\nPull out {s} and write JSON, nothing else.",
    ),
}
"""For fields on one line."""

BLOCK = {
    "train": (
        "Schema:\n{s}\n\nText: {t}\n\nJSON:",
        "Schema: {s}\nText: {t}\nJSON:",
        "Write JSON that is valid against this schema:\n{s}\n\n{t}",
        "Use this schema: {s}\n\n{t}",
        "{s}\n\n{t}",
        "{s}\nFill this in from the text: {t}",
        "Extract the data as JSON.\n{s}\n\n{t}",
        "Return JSON of this form:\n{s}\n\nText: {t}",
        "Fields:\n{s}\n\nText:\n{t}",
        "Give me one line of JSON that follows\n{s}\n\nfor this text: {t}",
        "Fill in {s} from the following text.\n\n{t}",
        "Convert the text to JSON. Format:\n{s}\nText: {t}",
        "I need JSON like this: {s}\n\n{t}",
        "Answer only with JSON.\n{s}\n---\n{t}",
        "{t}\n\nJSON according to {s}",
        "Text: {t}\n\nReturn JSON for\n{s}",
        "{t}\n\nTurn this into JSON:\n{s}",
        'From the text "{t}" make JSON of the form\n{s}',
        "Please extract what this schema asks for.\n{s}\n\n{t}",
        'schema = {s}\ntext = "{t}"',
    ),
    "validation": (
        "The output must match {s}\nInput: {t}",
        "{t}\n\nMap this onto {s} and give only the JSON.",
        "Produce JSON in this shape:\n{s}\nfrom: {t}",
    ),
    "test": (
        "We store records like this:\n{s}\n\nPlease encode: {t}",
        "My API wants {s}. What would I send for this? {t}",
        'Take the sentence "{t}" and give back JSON for this definition:\n{s}',
        "JSON please, it has to fit\n{s}\n\n{t}",
        "definition: {s}\nsentence: {t}",
        "{t}\n\nEncode it for this structure, JSON only:\n{s}",
    ),
}
"""For schemas, lists and templates."""

REQUESTS = (
    "extract {s} as JSON",
    "make a JSON object with {s}",
    "give me {s} as JSON",
    "I need {s} as a JSON object",
    "turn this into JSON with {s}",
    "return JSON with the keys {s}",
    "convert it to JSON, keys {s}",
    "write JSON with {s}",
    "pull out {s} and answer in JSON",
    "JSON, fields: {s}",
    "fill {s} as JSON",
    "get {s} out of this, as JSON",
    "create a JSON record ({s})",
    "json please, keys: {s}",
    "the JSON must have {s}",
    "list {s} as one JSON object",
    "what would this be in JSON with {s}?",
    "can you write this as json? keys are {s}",
)
"""Requests of training that are combined with what follows."""
OPENERS = ("", "", "", "", "", "", "please ", "hi, ", "hey, ", "pls ", "now ", "ok, ", "next one: ")
INTROS = ("{t}",) * 6 + (
    '"{t}"',
    "Text: {t}",
    "text: {t}",
    "Input: {t}",
    "Message: {t}",
    "Here it is: {t}",
    "The text: {t}",
    "Note: {t}",
    "Sentence: {t}",
    "Source: '{t}'",
)
ENDINGS = ("",) * 8 + (" JSON only.", " No explanation.", " Thanks!", " Only the JSON please.", "\n\nJSON:", "\nAnswer:")

NULL_NOTES = {
    "train": ("Use null for what is missing.", "If a value is not in the text, use null.", "Missing values are null.", "Unknown is null."),
    "validation": ("Put null where the text is silent.",),
    "test": ("Write null if the text does not say it.", "Anything not mentioned should be null."),
}

BEFORE = ("Hi! ", "Hello team, ", "FYI: ", "Good morning. ", "Just in: ", "Update: ", "So, ", "As you asked: ", "Quick note. ", "Fwd: ")
AFTER = (
    " Thanks!",
    " Cheers",
    " Let me know if that works.",
    " It has been raining all day.",
    " Best regards",
    " More tomorrow.",
    " That is all I know.",
    " Sent from my phone.",
    " I hope this helps.",
)
"""Small talk around a text of training, which no field asks for."""
