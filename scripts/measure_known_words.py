"""Count how many misspellings of codespell's dictionary `prompt_known` can correct, and how many words it offers for each.

    python scripts/measure_known_words.py [--count 3000]

Needs codespell (pip install codespell) and the base model's tokenizer (expert-kit base pull smollm2-135m).
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from transformers import AutoTokenizer

from expert_kit.archive.grammar_near import slips_of
from expert_kit.base_models import BaseStore
from expert_kit.inference.known_words import KnownWords
from expert_kit.registry import bases_dir
from expert_kit.slips import WordList

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipes" / "spelling"))

from spelling_mistakes import dictionary_entries, dictionary_file  # the recipe's folder is not a package


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=3_000, help="misspellings, drawn with seed 0")
    count = parser.parse_args().count
    folder = BaseStore(bases_dir()).get("smollm2-135m").folder
    words = KnownWords(AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False).get_vocab())
    entries = dictionary_entries(dictionary_file().read_text(encoding="utf-8"))
    pairs = [(wrong, right.lower()) for right, forms in entries.items() for wrong in forms if right.isalpha()]
    random.Random(0).shuffle(pairs)
    share = sum(right in words.known for _, right in pairs) / len(pairs)
    print(f"{len(pairs)} misspellings of single words; the base knows the right word of {100 * share:.1f} %; of {count} of these,")
    drawn = [(wrong, right) for wrong, right in pairs if right in words.known][:count]
    listed = WordList(sorted(words.known))
    meant = {wrong: [other for other in dict(words.meant(wrong)).get(wrong, ()) if other.isalpha()] for wrong, _ in drawn}
    report("the nearest words", [(right, meant[wrong]) for wrong, right in drawn])
    report("all within two slips", [(right, list(listed.near(wrong, slips_of(wrong)))) for wrong, right in drawn])


def report(what: str, offered: Sequence[tuple[str, Sequence[str]]]) -> None:
    """One line: how often the right word is offered, and how many are."""
    inside = sum(right in others for right, others in offered) / len(offered)
    print(f"{what}: {100 * inside:.1f} % inside, {sum(len(others) for _, others in offered) / len(offered):.1f} words on average")


if __name__ == "__main__":
    main()
