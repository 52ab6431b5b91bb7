"""Write cldr.json: names of months and days and date patterns of some languages, from the CLDR data that Babel ships.

    python recipes/dates/extract_cldr.py --out recipes/dates/cldr.json

Needs Babel (pip install babel). The result is kept beside this file, so that the recipe makes the same data with every version of Babel.
The data is under the Unicode licence, see UNICODE-LICENSE.txt.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

LANGUAGES = (
    *("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl"),
    *("cs", "tr", "ru", "uk", "el", "hu", "ro", "id", "ja", "zh", "ko"),
)
NAMED = ("full", "long", "medium", "short")
SKELETONS = ("yMMMEd", "yMMMd", "yMd")


def table(language: str) -> dict[str, Any]:
    """What the recipe needs of one language; patterns with a year of two digits are left out."""
    from babel import Locale  # noqa: PLC0415  only this script needs it

    locale = Locale.parse(language)
    found = [locale.date_formats[name].pattern for name in NAMED]
    found += [str(getattr(locale.datetime_skeletons[name], "pattern", locale.datetime_skeletons[name])) for name in SKELETONS]
    patterns = [re.sub("c{4}", "EEEE", pattern).replace("\u202f", " ") for pattern in found]
    return {
        "months": [locale.months["format"]["wide"][at] for at in range(1, 13)],
        "months_short": [locale.months["format"]["abbreviated"][at] for at in range(1, 13)],
        "days": [locale.days["format"]["wide"][at] for at in range(7)],
        "days_short": [locale.days["format"]["abbreviated"][at] for at in range(7)],
        "patterns": list(dict.fromkeys(pattern for pattern in patterns if "yy" not in pattern)),
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    out: Path = parser.parse_args().out
    tables = {language: table(language) for language in LANGUAGES}
    out.write_text(json.dumps(tables, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
